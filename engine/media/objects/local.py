"""Objects as files of a folder: ``<folder>/<account>/<name>``."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import Unavailable
from engine.media.objects.port import Opened, StoredObject
from engine.media.receive import STAGED, folder_of, receive

_ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished file is one whose engine died."""


class LocalObjects:
    """Implements ``engine.media.objects.port.Objects``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, account: str, name: str, chunks: AsyncIterator[bytes], *, limit: int) -> StoredObject:
        folder = folder_of(self._folder, account)
        try:
            staged = await receive(chunks, folder, limit=limit)
            path = staged.path.replace(folder / name)
        except OSError as error:
            raise Unavailable("the object can't be kept") from error
        return StoredObject(name, staged.size, _modified(path), staged.sha256)

    async def get(self, account: str, name: str) -> Opened | None:
        path = folder_of(self._folder, account) / name
        stored = await asyncio.to_thread(_stored, path)
        return Opened(stored, path=path) if stored else None

    async def delete(self, account: str, name: str) -> bool:
        path = folder_of(self._folder, account) / name
        try:
            path.unlink()
        except (FileNotFoundError, IsADirectoryError):
            return False
        except OSError as error:
            raise Unavailable("the object can't be deleted") from error
        return True

    async def list(self, account: str) -> Sequence[StoredObject]:
        return await asyncio.to_thread(_listed, folder_of(self._folder, account))


def _stored(path: Path) -> StoredObject | None:
    try:
        return StoredObject(path.name, path.stat().st_size, _modified(path)) if path.is_file() else None
    except FileNotFoundError:
        return None


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _listed(folder: Path) -> list[StoredObject]:
    if not folder.is_dir():
        return []
    for path in folder.glob(f".*{STAGED}"):
        if path.stat().st_mtime < time.time() - _ABANDONED:
            path.unlink(missing_ok=True)
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [stored for path in paths if (stored := _stored(path))]
