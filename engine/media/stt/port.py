"""A transcript, what makes one, and what its jobs ask of their memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from engine.errors import TrunklineError


class CannotTranscribe(TrunklineError):
    """Trying again would not help: the recording can't be read, or the recogniser is not installed."""


class TranscriptionFailed(TrunklineError):
    """It may go better the next time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Something that one speaker said without a long pause. Times in seconds from the begin of the recording."""

    speaker: str
    """agent or customer; the party whose channel it is."""
    start: float
    end: float
    text: str
    confidence: float | None = None
    """0 to 1, as the recogniser has it."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """What a recogniser made of a recording. ``segments`` in the order in which they began."""

    recogniser: str
    language: str
    duration: float
    """Seconds of the recording."""
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """A line for each segment: ``agent: hello``."""
        return "\n".join(f"{segment.speaker}: {segment.text}" for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A call's transcript and what has become of it: ``state`` is pending, running, ready or failed."""

    request_id: str
    account: str
    recording: str
    """Name of the recording that it is made from."""
    kept: bool
    """The recording was asked for; else it was made to be transcribed, and goes afterwards."""
    state: str
    attempts: int
    recogniser: str | None
    language: str | None
    duration: float | None
    text: str | None
    segments: tuple[Segment, ...]
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    discarded: bool
    """The recording that was not to be kept is gone."""


class Recogniser(Protocol):
    """Speech to text, of a whole recording."""

    async def transcribe(self, recording: Path, speakers: Sequence[str]) -> Transcription:
        """``speakers``: whose channel each one is, left first. Raises CannotTranscribe, TranscriptionFailed."""


class TranscriptTable(Protocol):
    """Everything raises StoreAway while PostgreSQL is. Rows begin with their recording's end, in the database itself."""

    async def get(self, request_id: str, account: str | None = None) -> Transcript | None: ...

    async def claim(self, engine: str, seconds: float) -> Transcript | None:
        """One that is due, running from now on; it is due again when nothing was heard of it for so long."""

    async def take(self, request_id: str, seconds: float) -> Transcript | None:
        """The one of that call, whatever its state, also when nobody asked for it; None without a recording of both sides."""

    async def recover(self, engine: str) -> None:
        """What this engine was running when it ended is due at once."""

    async def again(self, request_id: str, *, seconds: float, error: str) -> None:
        """Due again in so many seconds."""

    async def ready(self, request_id: str, done: Transcription, at: datetime) -> None:
        """Keep it and tell of it: timeline and outbox."""

    async def failed(self, request_id: str, error: str, at: datetime) -> None: ...

    async def to_discard(self, engine: str) -> Sequence[Transcript]:
        """Those whose recording was made for them alone and is still there."""

    async def discarded(self, request_id: str) -> None: ...
