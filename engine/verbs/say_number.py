"""Say digits or a number with Asterisk's recorded voice. Never for what is secret: Asterisk's log spells it."""

from collections.abc import Callable

from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs.play import Played, play

LONGEST = 120.0


async def say_digits(
    session: Session, leg: Leg, digits: str, *, stop_when: Callable[[], bool] | None = None
) -> Played:  # fmt: skip
    """Each of 0-9, ``*`` and ``#`` on its own, at most 64. Raises UnsafeValue."""
    return await play(session, leg, f"digits:{digits}", longest=LONGEST, stop_when=stop_when)


async def say_number(
    session: Session, leg: Leg, number: int, *, stop_when: Callable[[], bool] | None = None
) -> Played:  # fmt: skip
    """``1987`` as one thousand nine hundred and eighty-seven; not negative, at most 15 digits. Raises UnsafeValue."""
    return await play(session, leg, f"number:{number}", longest=LONGEST, stop_when=stop_when)
