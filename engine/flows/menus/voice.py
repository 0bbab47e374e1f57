"""What a menu asks of whoever is at the other end: a caller on the line, or a person at a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Saying:
    """A text to be spoken, or ``media``: an Asterisk URI."""

    text: str = ""
    media: str = ""
    voice: str = ""
    language: str = ""
    rate: str | int = "medium"
    pitch: str = "medium"
    volume: str = "medium"


@dataclass(frozen=True, slots=True)
class Ask:
    """``end``: keys that end it. ``timeout``: seconds to the first key, ``between``: from key to key."""

    digits: int = 1
    end: str = ""
    timeout: float = 5.0
    between: float = 2.0


@dataclass(frozen=True, slots=True)
class Heard:
    """``reason``: digits, terminator, timeout or hangup."""

    digits: str
    reason: str


@dataclass(frozen=True, slots=True)
class Connect:
    targets: tuple[tuple[str, float], ...]
    """(number, seconds that it rings), in turn."""
    whisper: tuple[Saying, ...] = ()
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A recording of the caller. ``mail``: whom it is sent to, with ``subject``."""

    longest: float = 180.0
    beep: bool = True
    end: str = "#"
    silence: int = 5
    """Seconds without a sound that end it; 0: none do."""
    mail: str = ""
    subject: str = ""
    text: str = ""


class Voice(Protocol):
    @property
    def facts(self) -> Mapping[str, str]:
        """``caller`` and ``dialed``."""

    @property
    def zone(self) -> str:
        """Time zone of opening hours that name none."""

    def here(self) -> bool:
        """Nobody has hung up."""

    def now(self) -> datetime: ...

    async def step(self, name: str) -> None:
        """Told of each menu that is entered."""

    async def say(self, sayings: Sequence[Saying]) -> None: ...

    async def ask(self, sayings: Sequence[Saying], ask: Ask) -> Heard:
        """Keys; the first one ends what is said."""

    async def connect(self, connect: Connect) -> str:
        """Talk to the first who answers; when that is over: connected, else busy, no_answer, rejected or failed."""

    async def record(self, message: Message) -> bool:
        """The caller's words; False when there were none."""

    async def mailbox(self, extension: str, *, greet: bool) -> bool:
        """Have a message left in a mailbox, which greets by itself where ``greet``; False when it took none."""

    async def mail(self, to: str, subject: str, text: str) -> None: ...

    async def call_back(self, number: str, agent: str, after: float) -> None:
        """Somebody is to call this number; ``agent``, if it is one, ``after`` so many seconds."""

    async def flow(self, name: str, params: Mapping[str, str]) -> str | None: ...

    async def hangup(self, cause: int) -> None: ...
