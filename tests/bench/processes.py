"""Processes that help to measure, and what any process has cost so far."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.embedded.process import die_with_parent

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_LONGEST_LINE = 1 << 26


class Helper:
    """A Python process of ours, asked and answering by lines of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = (sys.executable, "-m", module, *arguments)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, first: dict[str, Any] | None = None) -> dict[str, Any]:
        """Its first line."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            preexec_fn=die_with_parent(),
        )
        return await self.ask(first)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ask(self, task: dict[str, Any] | None, seconds: float = 180.0) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if task is not None:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
        async with asyncio.timeout(seconds):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[2]} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(3):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def cpu_ms(pids: Iterable[int]) -> float:
    """User and system time of these processes, from ``/proc/<pid>/stat`` fields 14 and 15."""
    return sum(_ticks(pid) for pid in pids) * _TICK_MS


def machine_ms() -> tuple[float, float]:
    """(busy, idle) time of all processors together since boot, from the first line of ``/proc/stat``."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) * _TICK_MS, idle * _TICK_MS


def family(pid: int) -> list[int]:
    """A process and its children: PostgreSQL with its backends."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(int(stat.parent.name))
        if fields and int(fields[1]) == pid:
            children.append(int(stat.parent.name))
    return [pid, *children]


def resident_kb(pid: int) -> int:
    """Memory that is the process's own (``Private_*`` of smaps_rollup), in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _ticks(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _fields(pid: int) -> list[str]:
    """Fields of ``/proc/<pid>/stat`` from the third (state) on; [] when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
