"""What the engine asks of text to speech, and what an engine of speech has to do.

``Speaker`` is what verbs and flows are handed. Words and errors are those of the documents (``reference/cpaas-api.txt``,
outbound_call and create_campaign).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from engine.errors import TrunklineError


class EngineFailed(TrunklineError):
    """The engine of speech could not speak. Its message never has the text."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What to say and how. Empty strings ask for the default: Joanna, or the first voice of ``language``."""

    text: str = field(repr=False)
    """Plain text; ``,,`` is a pause. ``repr`` leaves it out, because it may hold a code."""
    voice: str = ""
    """A voice of the documents: Joanna, TTS_EN-GB_SERENA. It wins over ``language``."""
    language: str = ""
    """``en-US``."""
    rate: str | int = "medium"
    """A word, or 1 to 100 where 50 is normal (Media.TTS.Options)."""
    pitch: str = "medium"
    volume: str = "medium"
    engine: str = "standard"
    """``standard`` or ``neural``: the document's tts_engine_type."""


def _nothing() -> None:
    """Nobody holds it."""


@dataclass(slots=True)
class Spoken:
    """Speech in a file that stays until ``close``: ``with await speaker.speak(speech) as spoken: …play spoken.media``."""

    media: str
    """URI for Asterisk."""
    path: Path | None
    """16-bit 8 kHz mono WAV; None for the fallback."""
    duration: float
    """Seconds; 0 for the fallback, whose length only Asterisk knows."""
    fallback: bool = False
    """The engine was dead or slow: this is the recorded prompt, and not what was asked for."""
    note: str = ""
    """What is otherwise than asked for, in words for the call's record."""
    on_close: Callable[[], None] = field(default=_nothing, repr=False)

    def close(self) -> None:
        """Let go of the file. A secret one is deleted. Closing again does nothing."""
        release, self.on_close = self.on_close, _nothing
        release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Speaker(Protocol):
    """Text to speech, as verbs and flows have it."""

    def check(self, speech: Speech) -> str:
        """Whether it can be said; what will be otherwise than asked for, in words ("" for nothing).

        Raises InvalidFields by the documents' names: text, voice, language_code, rate, pitch, volume, tts_engine_type.
        """

    async def speak(self, speech: Speech) -> Spoken:
        """The speech in the cache, rendered when it is not there; the fallback after the deadline. Raises InvalidFields."""

    async def speak_secret(self, speech: Speech) -> Spoken:
        """As ``speak`` without any trace: no cache, no hash, no log; the file is deleted by ``close``."""


class Speechless:
    """A ``Speaker`` for an engine without text to speech: every text is the recorded prompt."""

    def __init__(self, fallback: str = "sound:please-try-call-later") -> None:
        self.fallback = fallback

    def check(self, speech: Speech) -> str:  # noqa: ARG002 - as the protocol has it
        return ""

    async def speak(self, speech: Speech) -> Spoken:  # noqa: ARG002 - as the protocol has it
        return Spoken(self.fallback, None, 0.0, fallback=True, note="no text to speech: recorded prompt")

    async def speak_secret(self, speech: Speech) -> Spoken:
        return await self.speak(speech)


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Script = tuple[str | Pause, ...]
"""What is said, and where nothing is."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A checked ``Speech``, in terms that an engine can be told."""

    script: Script = field(repr=False)
    voice: str
    """Name in the documents."""
    language: str
    gender: str
    """``female`` or ``male``."""
    rate: int
    """Percent of the voice's own."""
    pitch: int
    """Percent."""
    volume: str
    neural: bool

    @property
    def characters(self) -> int:
        return sum(len(part) for part in self.script if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples as an engine gave them: 16-bit little-endian mono."""

    pcm: bytes = field(repr=False)
    rate: int
    """Hertz."""


class SpeechEngine(Protocol):
    """One way to make speech."""

    name: str
    neural: bool
    """Whether it has neural voices at all."""

    @property
    def version(self) -> str:
        """Changes when the same words would sound otherwise. Known without a running engine."""

    async def start(self) -> None:
        """Get ready, so that the first call does not wait for it. An engine that can't start fails when it speaks."""

    async def render(self, utterance: Utterance) -> Sound:
        """Speak. May be cancelled at any time, and then leaves nothing running. Raises EngineFailed."""

    async def close(self) -> None: ...
