"""Letters that flows write: what a caller left, and who wants to be called back."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """``recording``: name of a recording of the account that is sent along, once it is there."""

    account: str
    request_id: str
    to: str
    subject: str
    text: str
    recording: str = ""


class Post(Protocol):
    async def send(self, letter: Letter) -> None:
        """Keep it until it has left; it is durable when this returns. Raises OSError when the disk is full."""


class NoPost:
    """A ``Post`` for an engine without one: letters are dropped."""

    async def send(self, letter: Letter) -> None: ...
