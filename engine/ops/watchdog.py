"""Name who blocks the event loop, while it is blocked: a flow that does so holds up every call of the engine.

The loop leaves a sign of life several times a second; a thread looks for it, and when it stays away looks at the loop's
own thread: which task it is in, and in which line. What holds Python's global lock (a regular expression that explodes)
blocks this thread too and is told of when it is over; systemd's watchdog ends an engine that is never over it.
"""

import asyncio
import inspect
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

log = structlog.get_logger(__name__)

PATIENCE: Final = 0.5
"""Seconds without a sign of life after which the loop is blocked."""
_SIGNS: Final = 4
"""In that time."""
_DEEPEST: Final = 12
"""Frames that are told."""
_CALL: Final = re.compile(r"\b([0-9a-f]{10})$")
_WAITING: Final = frozenset({"runners.py", "selectors.py", "base_events.py"})
"""Where a loop is that only waits: it had no turn, because the machine has too much to do."""


@dataclass(frozen=True, slots=True)
class Sight:
    """``task``: name of what the loop is in. ``line``: where the coroutine stands that does not give back; ``inside``: what
    it is in the middle of, file:line function, the outermost first."""

    task: str
    line: str
    inside: tuple[str, ...]


class LoopWatchdog:
    """``flow_of``: request id → the flow of that call. ``blocked`` counts how often the loop was."""

    def __init__(self, flow_of: Callable[[str], str | None] = lambda _: None, *, patience: float = PATIENCE) -> None:
        self._flow_of = flow_of
        self._patience = patience
        self._sign = 0.0
        self._next = patience
        self._since: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.blocked = 0

    def start(self) -> None:
        """Watch the running loop, from its own thread."""
        loop = asyncio.get_running_loop()
        self._live(loop)
        self._thread = threading.Thread(
            target=self._watch, args=(loop, threading.get_ident()), name="loop watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join(self._patience)

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sign = time.monotonic()
        self._timer = loop.call_later(self._patience / _SIGNS, self._live, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._stop.wait(self._patience / _SIGNS):
            silent = time.monotonic() - self._sign
            if silent > self._next:
                self._look(loop, thread)
            elif silent <= self._patience and self._since is not None:
                log.warning("loop_free_again", seconds=round(self._sign - self._since, 3))
                self._since, self._next = None, self._patience

    def _look(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        sight = look(loop, thread)
        if sight is None:
            return
        if self._since is None:
            self._since = self._sign
            self.blocked += 1
        self._next *= 2  # looked at again, ever more seldom, while it lasts
        call = _CALL.search(sight.task)
        log.error(
            "loop_blocked",
            seconds=round(time.monotonic() - self._sign, 3),
            flow=self._flow_of(call[1]) if call else None,
            line=sight.line,
            task=sight.task,
            inside=sight.inside,
        )


def look(loop: asyncio.AbstractEventLoop, thread: int) -> Sight | None:
    """What the loop's thread is in the middle of; None when it only waits."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, for this
    if frame is None or Path(frame.f_code.co_filename).name in _WAITING:
        return None
    inside = tuple(
        f"{summary.filename}:{summary.lineno} {summary.name}" for summary in traceback.extract_stack(frame, _DEEPEST)
    )
    task = asyncio.current_task(loop)
    return Sight(task.get_name() if task else "", _told(_coroutine(frame) or frame), inside)


def _coroutine(frame: FrameType | None) -> FrameType | None:
    """The innermost coroutine of a stack: that one did not give back."""
    while frame is not None and not frame.f_code.co_flags & inspect.CO_COROUTINE:
        frame = frame.f_back
    return frame


def _told(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
