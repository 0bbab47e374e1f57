"""Work on files that strangers sent, or that takes long, in a process of its own.

What comes in is hostile until it was read: libraries that decode it are C, and a good file of one kilobyte may hold an
hour. The process has little memory, little time and a low priority, does not see our environment, and ends with us.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import TrunklineError

_MOST = 64 << 20
"""Bytes that an answer may have."""
_ROOT = Path(__file__).resolve().parents[2]


class WorkRefused(TrunklineError):
    """The worker will not do it; the message says why, and may be shown to whoever asked."""


class WorkerFailed(TrunklineError):
    """It died, or did not answer in time."""


class TookTooLong(WorkerFailed):
    pass


class NoRoom(WorkerFailed):
    """The disk is full, or a folder is not ours to write."""


NO_ROOM = 75
"""Exit code (EX_TEMPFAIL) that says so."""


async def run(task: str, request: Mapping[str, Any], *, deadline: float) -> Mapping[str, Any]:
    """Have ``engine.media.child`` do ``task``. Raises WorkRefused, WorkerFailed; leaves no process, also when
    cancelled."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "engine.media.child", task),
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd="/", env=_environment(), limit=_MOST,
    )  # fmt: skip
    try:
        async with asyncio.timeout(deadline):
            out, _ = await process.communicate(json.dumps({**request, "parent": os.getpid()}).encode())
    except TimeoutError:
        raise TookTooLong(f"took longer than {deadline:g} s") from None
    finally:
        await _end(process)
    if process.returncode == NO_ROOM:
        raise NoRoom("the worker could not write")
    if process.returncode:
        raise WorkerFailed(f"the worker ended with {process.returncode}")
    answer: Mapping[str, Any] = json.loads(out)
    if "refused" in answer:
        raise WorkRefused(answer["refused"])
    return answer


async def _end(process: Process) -> None:
    """It ends at once, whatever it does; waiting for it takes a moment, also while we are being cancelled."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def _environment() -> dict[str, str]:
    """No secret of ours, one thread for each library of numbers."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **threads}
