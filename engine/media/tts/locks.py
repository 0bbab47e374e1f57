"""One process at a time renders a text: a lock file for each key, gone when nobody renders it."""

import asyncio
import contextlib
import fcntl
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

from engine.media.tts.files import FILE_MODE

RETRY = 0.02
"""Seconds between tries, on average; the kernel tells nobody without blocking a thread."""


@contextlib.asynccontextmanager
async def exclusive(path: Path) -> AsyncIterator[None]:
    """Hold the lock file ``path``; waits for whoever holds it. The caller has the deadline. Raises OSError."""
    handle = _try(path)
    while handle is None:
        await asyncio.sleep(RETRY * random.uniform(0.5, 1.5))
        handle = _try(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - in the page cache, and must not be cut short
        os.close(handle)


def _try(path: Path) -> int | None:
    """The held file; None while somebody has it, or when it was removed between being opened and being locked."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
