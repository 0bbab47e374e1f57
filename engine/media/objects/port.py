"""The object store: files of an account by name, as they came."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    name: str
    size: int
    """Bytes."""
    modified_at: datetime
    sha256: str | None = None
    """Known when it is put; not kept."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An object to be read: from ``path`` where it is a file of ours, else from ``chunks``."""

    stored: StoredObject
    chunks: AsyncIterator[bytes] | None = None
    path: Path | None = None


class Objects(Protocol):
    """Names are one part of a path and begin with a letter, digit or underscore (``engine.media.objects.names``); who
    calls has checked them. Everything raises Unavailable when the store can't be reached or can't keep more."""

    async def put(self, account: str, name: str, chunks: AsyncIterator[bytes], *, limit: int) -> StoredObject:
        """Keep it under ``name``, in place of what was there; whoever reads meanwhile reads the old one whole.

        Raises TooLarge and what ``chunks`` raises, and then the old one is still there.
        """

    async def get(self, account: str, name: str) -> Opened | None: ...

    async def delete(self, account: str, name: str) -> bool:
        """Whether it was there."""

    async def list(self, account: str) -> Sequence[StoredObject]:
        """By name."""
