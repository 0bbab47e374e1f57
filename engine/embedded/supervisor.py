"""Children of one supervisor: started, watched, started again, ended in order.

Each child leads a process group of its own and dies with the supervisor (``PR_SET_PDEATHSIG``); its pid file lets the
next supervisor clear what a killed one left behind all the same. One task per child; nothing here blocks.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from engine.embedded.environment import child_environment
from engine.embedded.postgres import Identity, identity_options
from engine.embedded.process import Process, alive, die_with_parent, look_up, read_pid, signal_group, write_pid
from engine.errors import TrunklineError

_PROBE_PAUSE = 0.03
_EARLY_DEATH = 2.0
"""Seconds; a child that served for a shorter time counts as failing again."""
_LONGEST_PAUSE = 10.0
_FIRST_START_TRIES = 3
_PRIVATE = 0o077
"""Umask: what a child writes (Asterisk's CEL: who called whom) is for its own user alone."""
_BIG_LOG = 32 << 20
_HASTENED = 5.0
"""Seconds that a child has to end at once."""


class StartFailed(TrunklineError):
    """A child could not be brought up; the message has its last words and its log file."""


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    name: str
    command: Sequence[str]
    log: Path
    """Its standard output and error, appended."""
    ready: Callable[[], Awaitable[bool]]
    """One try, which takes at most a few seconds: does it answer?"""
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None
    restart_after: float = 2.0
    """Seconds between a death and the next start."""
    ready_within: float = 60.0
    """Seconds its first start may take."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 5.0
    """Seconds it has after ``stop_signal`` before it is killed."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the supervisor is gone."""


class Child:
    """One supervised process. ``pid`` is that of the process that last answered its probe, or None before."""

    def __init__(self, spec: ChildSpec, run: Path, changed: Callable[["Child"], None]) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.deaths = 0
        self._ready_at: float | None = None
        self._pid_file = run / f"{spec.name}.pid"
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start it and return once it is ready. Raises StartFailed when it keeps dying before that."""
        self._task = asyncio.create_task(self._keep(), name=f"child {self.spec.name}")
        await asyncio.wait((self._task, self._first_ready), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    @property
    def keeper(self) -> "asyncio.Task[None] | None":
        """The task that keeps it running; it ends by an error alone."""
        return self._task

    async def stop(self, *, hasten: asyncio.Event | None = None) -> None:
        """End it and its group. ``hasten`` sends the stop signal again, for a child that then ends at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self._first_ready.done():
            self._first_ready.cancel()
        if self._process is not None:
            await self._end(self._process, hasten)
        self._pid_file.unlink(missing_ok=True)

    async def _end(self, process: asyncio.subprocess.Process, hasten: asyncio.Event | None) -> None:
        leader = look_up(process.pid)
        if process.returncode is None and leader is not None:
            signal_group(leader, self.spec.stop_signal)
            with contextlib.suppress(TimeoutError):
                await self._patience(process, leader, hasten)
        _kill_group(process.pid)
        await process.wait()

    async def _patience(
        self, process: asyncio.subprocess.Process, leader: Process, hasten: asyncio.Event | None
    ) -> None:
        async with asyncio.timeout(self.spec.stop_within):
            if hasten is not None:
                ended = asyncio.ensure_future(process.wait())
                hurry = asyncio.ensure_future(hasten.wait())
                await asyncio.wait((ended, hurry), return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()
                if not ended.done():
                    signal_group(leader, self.spec.stop_signal)
                    async with asyncio.timeout(_HASTENED):
                        await ended
            await process.wait()

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._ready_at = None
            problem = await self._run_once()
            self.deaths += 1
            served = 0.0 if self._ready_at is None else time.monotonic() - self._ready_at
            failures = failures + 1 if served < _EARLY_DEATH else 1
            if not self._first_ready.done() and failures >= _FIRST_START_TRIES:
                raise StartFailed(problem)
            await asyncio.sleep(pause(self.spec.restart_after, failures))

    async def _run_once(self) -> str:
        """Start it, wait for its answer, wait for its end; gives what to say about that end.

        Raises StartFailed when it was the first start and no answer came in its time: a second would be no better.
        """
        try:
            process = await self._spawn()
        except OSError as error:
            return f"{self.spec.name}: {self.spec.command[0]}: {error.strerror or error}"
        ready = asyncio.create_task(self._wait_ready(process), name=f"ready {self.spec.name}")
        ended = asyncio.create_task(process.wait(), name=f"wait {self.spec.name}")
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not ready.result() and not ended.done():
                _kill_group(process.pid)
            await ended
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)
        _kill_group(process.pid)
        if not ready.cancelled() and not ready.result():
            within = f"within {self.spec.ready_within:.0f} s"
            raise StartFailed(f"{self.spec.name} did not answer {within}; {_last_words(self.spec.log)}")
        return f"{self.spec.name} ended with {_end_of(process.returncode)}; {_last_words(self.spec.log)}"

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec = self.spec
        with _open_log(spec.log) as log:
            process = await asyncio.create_subprocess_exec(
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=child_environment(spec.environment),
                process_group=0,
                umask=_PRIVATE,
                preexec_fn=die_with_parent(spec.death_signal),
                **identity_options(spec.identity),
            )
        self._process = process
        write_pid(self._pid_file, process.pid)
        return process

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> bool:
        """True once it answers. The first start has a deadline (False); later, one that waits for others is let be."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self.spec.ready_within or self._first_ready.done():
            if await self.spec.ready():
                self.pid = process.pid
                self._ready_at = time.monotonic()
                self._changed(self)
                if not self._first_ready.done():
                    self._first_ready.set_result(None)
                return True
            await asyncio.sleep(max(_PROBE_PAUSE, min(waited / 20, 1.0)))
        return False


def pause(first: float, failures: int) -> float:
    """Seconds before the next start: ``first`` (0: at once) after one death, then doubled, capped, and jittered."""
    if failures <= 1:
        return first
    grown = min(max(first, 0.25) * 2.0 ** (failures - 2), _LONGEST_PAUSE)
    return grown * random.uniform(0.75, 1.0)


def _kill_group(pid: int) -> None:
    """Kill what is left of the group whose leader is ended; its number can't be taken by another while it lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end_of(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _BIG_LOG:
            path.replace(path.with_name(path.name + ".1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def _last_words(log: Path, lines: int = 5) -> str:
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - 4096))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    last = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    return f"its log {log} ends: {' | '.join(last)}" if last else f"its log {log} is empty"


def clear_leftovers(run: Path, signals: Mapping[str, signal.Signals], seconds: float = 10.0) -> list[str]:
    """End what a killed supervisor left behind, by its pid files; gives the names of what was still alive.

    ``signals`` names the signal of a child that is better not killed outright; half-time later it is. Blocks for at
    most ``seconds``, before anything is started.
    """
    left = [(file, process) for file in sorted(run.glob("*.pid")) if (process := read_pid(file)) and alive(process)]
    began = time.monotonic()
    for file, process in left:
        signal_group(process, signals.get(file.stem, signal.SIGKILL))
    while remaining := [process for _, process in left if alive(process)]:
        if time.monotonic() > began + seconds:
            raise StartFailed(f"can't end {', '.join(file.stem for file, _ in left)} of an earlier supervisor")
        if time.monotonic() > began + seconds / 2:
            for process in remaining:
                signal_group(process, signal.SIGKILL)
        time.sleep(_PROBE_PAUSE)
    for file in run.glob("*.pid"):
        file.unlink(missing_ok=True)
    return [file.stem for file, _ in left]


async def run_probe(command: Sequence[str], seconds: float = 3.0) -> bool:
    """True when ``command`` exits 0 in time: the usual readiness probe."""
    probe = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=die_with_parent(),
    )
    try:
        async with asyncio.timeout(seconds):
            return await probe.wait() == 0
    except TimeoutError:
        return False
    finally:
        if probe.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                probe.kill()
            await probe.wait()
