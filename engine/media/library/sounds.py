"""What a request means by a file's name: a sound of the media library, or an object of the account.

An object is whatever somebody put there, and Asterisk plays 8 kHz WAV. It is made into that when it is first asked for,
and kept beside the library for as long as the object stays the same and is used.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import soundfile

from engine.errors import NotFound
from engine.media.library.library import Library
from engine.media.library.port import Playable
from engine.media.objects import names
from engine.media.objects.port import Objects, Opened
from engine.media.receive import folder_of, receive

_FOLDER = "objects"
"""Within the account's media folder; the library's own sweep leaves it alone."""
_UNUSED = 7 * 24 * 3600.0
"""Seconds after which what nobody asked for is deleted; it can be made again."""


@dataclass(frozen=True, slots=True)
class Sounds:
    library: Library
    objects: Objects

    async def find(self, account: str, name: str) -> Playable:
        """The sound that ``name`` means, media before objects; media also with or without ``.wav``.

        Raises NotFound, InvalidFields (``file``: the object is no sound), StoreAway, Unavailable.
        """
        if found := await self.library.named(account, name):
            return found
        opened = await self.objects.get(account, names.known(name))
        if opened is None:
            raise NotFound("no media and no object has this name")
        return await self._of(account, opened)

    async def _of(self, account: str, opened: Opened) -> Playable:
        file = f"{opened.stored.name}-{_mark(opened)}"
        path = folder_of(self.library.folder, account) / _FOLDER / f"{file}.wav"
        if not await asyncio.to_thread(_fresh, path):
            await self._make(opened, path)
        duration = await asyncio.to_thread(lambda: soundfile.info(path).duration)
        place = folder_of(self.library.sounds, account) / _FOLDER / file
        return Playable(f"sound:{place}", path, duration)

    async def _make(self, opened: Opened, path: Path) -> None:
        if opened.path is not None:
            await self.library.convert(opened.path, path)
            return
        assert opened.chunks is not None
        staged = await receive(opened.chunks, path.parent, limit=self.library.limit)
        try:
            await self.library.convert(staged.path, path)
        finally:
            staged.discard()


def _mark(opened: Opened) -> str:
    """Another one for each content that the object has had."""
    stored = opened.stored
    seen = f"{stored.name} {stored.size} {stored.modified_at.timestamp()}"
    return hashlib.sha256(seen.encode()).hexdigest()[:16]


def _fresh(path: Path) -> bool:
    """Whether it is there; then it is used from now on. What has not been for long goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.iterdir():
        if other != path and other.stat().st_mtime < time.time() - _UNUSED:
            other.unlink(missing_ok=True)
    if path.exists():
        path.touch()
        return True
    return False
