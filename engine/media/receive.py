"""Bytes from outside into a file, a piece at a time, never more than may come."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.errors import NotFound, TooLarge

STAGED = ".part"
"""How the names of files end that are not finished. They begin with a dot, which no name of ours does."""
_ENOUGH = 1 << 20
"""Bytes that are gathered before they are written."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that has come whole, and that has no name yet. Whoever has it moves or deletes it."""

    path: Path
    size: int
    sha256: str

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def folder_of(root: Path, account: str) -> Path:
    """The account's own folder. Raises NotFound for an account whose name would lead out of ``root``."""
    if account in ("", ".", "..") or "/" in account or "\0" in account:
        raise NotFound("no folder for this account")
    return root / account


def staged_path(folder: Path) -> Path:
    return folder / f".{secrets.token_hex(8)}{STAGED}"


async def receive(chunks: AsyncIterator[bytes], folder: Path, *, limit: int) -> Staged:
    """Write what comes into a new file in ``folder``. Raises TooLarge, OSError and what ``chunks`` raises, and then
    nothing is left."""
    path = await asyncio.to_thread(_new, folder)
    digest, size, gathered = hashlib.sha256(), 0, bytearray()
    try:
        with path.open("wb") as file:
            async for chunk in chunks:
                size = within(limit, size + len(chunk))
                gathered += chunk
                if len(gathered) >= _ENOUGH:
                    await asyncio.to_thread(_flush, file, digest, gathered)
            await asyncio.to_thread(_finish, file, digest, gathered)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Staged(path, size, digest.hexdigest())


def within(limit: int, size: int) -> int:
    """``size``, when so many bytes may come. Raises TooLarge."""
    if size > limit:
        raise TooLarge(f"the file is over {limit} bytes")
    return size


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return staged_path(folder)


def _flush(file: IO[bytes], digest: "hashlib._Hash", gathered: bytearray) -> None:
    digest.update(gathered)
    file.write(gathered)
    gathered.clear()


def _finish(file: IO[bytes], digest: "hashlib._Hash", gathered: bytearray) -> None:
    _flush(file, digest, gathered)
    file.flush()
    os.fsync(file.fileno())
