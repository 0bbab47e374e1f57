"""``python -m engine.media.child TASK``: one piece of work, asked for on standard input and answered on standard output,
both JSON. Started by ``engine.media.worker`` alone."""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from engine.media.worker import NO_ROOM, WorkRefused

TASKS = {"convert": "engine.media.library.convert", "transcribe": "engine.media.stt.recognise"}
"""Task → the module whose ``work`` does it."""
_PR_SET_PDEATHSIG = 1


def main(task: str) -> int:
    request: dict[str, Any] = json.load(sys.stdin)
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    _humble(request)
    work: Callable[[Mapping[str, Any]], Mapping[str, Any]] = importlib.import_module(TASKS[task]).work
    try:
        answer = work(request)
    except WorkRefused as refusal:
        answer = {"refused": str(refusal)}
    except OSError:
        return NO_ROOM
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        json.dump(answer, out)
    return 0


def _humble(request: Mapping[str, Any]) -> None:
    """End with the parent, take what processor time is left over, and no more memory or time than ``request`` allows."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request["parent"]:
        sys.exit("the parent is gone")
    os.nice(request["nice"])
    for name, limit in (
        ("memory", resource.RLIMIT_AS),
        ("seconds", resource.RLIMIT_CPU),
        ("file", resource.RLIMIT_FSIZE),
    ):
        if wanted := request.get(name):
            resource.setrlimit(limit, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
