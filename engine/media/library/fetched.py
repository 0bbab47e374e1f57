"""Sounds from a stranger's server, for one call: kept as Asterisk plays them for as long as calls may need them."""

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import soundfile

from engine.errors import FetchFailed, InvalidFields
from engine.media.library.library import Library
from engine.media.library.port import Playable
from engine.media.receive import folder_of
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
        folder = folder_of(self.library.folder, account) / _FOLDER
        async with aclosing(self.sender.pieces(url, max_bytes=MOST_BYTES, types=TYPES)) as pieces:
            staged = await self.library.receive(account, pieces)
        path = folder / f"{staged.sha256[:32]}.wav"
        try:
            if not await asyncio.to_thread(_fresh, path):
                await self.library.convert(staged.path, path)
        except InvalidFields as error:
            raise FetchFailed(error.fields["file"]) from None
        finally:
            staged.discard()
        duration = await asyncio.to_thread(lambda: soundfile.info(path).duration)
        place = folder_of(self.library.sounds, account) / _FOLDER / path.stem
        return Playable(f"sound:{place}", path, duration)


def _fresh(path: Path) -> bool:
    """Whether it is there; then it is used from now on. What has not been for long goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.iterdir():
        with suppress(FileNotFoundError):
            if other != path and other.stat().st_mtime < time.time() - _KEPT:
                other.unlink()
    if path.exists():
        path.touch()
        return True
    return False
