"""One engine a state folder, and its signs of life for the one that comes after it."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from engine.errors import ConfigError

SIGN: Final = 1.0
"""Seconds between two signs of life."""


@dataclass(frozen=True, slots=True)
class StateLock:
    """``last_alive``: when the engine before this one gave its last sign of life, to the second."""

    file: IO[str]
    last_alive: datetime | None

    async def live(self) -> None:
        """Give signs of life for ever: the lock file's time of change."""
        while True:
            os.utime(self.file.fileno())
            await asyncio.sleep(SIGN)


@contextlib.contextmanager
def hold(state: Path) -> Iterator[StateLock]:
    """The state folder is ours inside: two engines would fight for its spool. Raises ConfigError."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "engine.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise ConfigError(f"an engine runs on {state} already (pid {pid})") from None
        before = os.fstat(file.fileno())
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield StateLock(file, datetime.fromtimestamp(before.st_mtime, UTC) if before.st_size else None)
