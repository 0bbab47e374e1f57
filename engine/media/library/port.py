"""A sound of the media library, and what the library asks of its memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Media:
    """A sound that was uploaded, in the form that Asterisk plays."""

    account: str
    name: str
    """How requests name it; unique within the account."""
    extension: str | None
    """Number by which instant calls ask for it; unique within the account."""
    file: str
    """Name of the file in the account's folder, without ``.wav``."""
    source: str
    """What it was: wav, mp3, ogg or flac."""
    duration: float
    """Seconds."""
    size: int
    """Bytes of the file."""
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewMedia:
    """As ``Media``, before the store has given it its time."""

    account: str
    name: str
    extension: str | None
    file: str
    source: str
    duration: float
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Playable:
    """A sound that Asterisk can play now."""

    media: str
    """URI for the port's ``play``: ``sound:/path/without/extension``."""
    path: Path
    """The file: 16-bit 8 kHz mono WAV."""
    duration: float
    """Seconds."""


class MediaTable(Protocol):
    """Everything raises StoreAway while PostgreSQL is."""

    async def put(self, media: NewMedia) -> Media:
        """Keep it; one of the same name is replaced. Raises Duplicate when the extension is another one's."""

    async def get(self, account: str, name: str) -> Media | None: ...

    async def by_extension(self, account: str, extension: str) -> Media | None: ...

    async def list(self, account: str, *, limit: int, after: str) -> Sequence[Media]:
        """By name, those behind the name ``after``."""

    async def delete(self, account: str, name: str) -> Media | None:
        """What was there; None when nothing was."""

    async def files(self) -> frozenset[tuple[str, str]]:
        """(account, file) of every sound there is."""
