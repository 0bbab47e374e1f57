"""Sounds from a stranger's server, for one call: kept as Asterisk plays them for as long as calls may need them."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from engine.errors import FetchFailed, InvalidFields
from engine.media.library.library import Library
from engine.media.library.port import Playable
from engine.media.receive import folder_of, receive
from engine.webhooks.sender import Sender

MOST_BYTES = 20 << 20
TYPES = ("audio/", "application/ogg", "application/octet-stream", "binary/octet-stream")
"""Content types that are taken; what it is in truth, its content tells."""
_FOLDER = "fetched"
"""Within the account's media folder; the library's own sweep leaves it alone."""
_KEPT = 24 * 3600.0
"""Seconds; a call lasts two hours at most."""


@dataclass(frozen=True, slots=True)
class Fetched:
    library: Library
    sender: Sender

    async def get(self, account: str, url: str) -> Playable:
        """The sound at ``url``, as it is there now. Raises FetchFailed, whose text may be told, and Unavailable."""
        body = (await self.sender.fetch(url, max_bytes=MOST_BYTES, types=TYPES)).body
        folder = folder_of(self.library.folder, account) / _FOLDER
        name = hashlib.sha256(body).hexdigest()[:32]
        path = folder / f"{name}.wav"
        if not await asyncio.to_thread(_fresh, path):
            await self._make(body, path)
        duration = await asyncio.to_thread(lambda: soundfile.info(path).duration)
        place = folder_of(self.library.sounds, account) / _FOLDER / name
        return Playable(f"sound:{place}", path, duration)

    async def _make(self, body: bytes, path: Path) -> None:
        staged = await receive(_once(body), path.parent, limit=MOST_BYTES)
        try:
            await self.library.convert(staged.path, path)
        except InvalidFields as error:
            raise FetchFailed(error.fields["file"]) from None
        finally:
            staged.discard()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _fresh(path: Path) -> bool:
    """Whether it is there; then it is used from now on. What has not been for long goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if other != path and other.stat().st_mtime < time.time() - _KEPT:
                other.unlink()
    if path.exists():
        path.touch()
        return True
    return False
