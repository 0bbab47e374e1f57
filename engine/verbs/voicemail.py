"""Let a party leave a message in a mailbox of Asterisk's."""

import re
from dataclasses import dataclass

from engine.calls.model import Leg
from engine.errors import UnsafeValue
from engine.sessions.session import Session
from engine.verbs.subroutine import subroutine

LONGEST = 600.0
_MAILBOX = re.compile(r"[0-9]{1,20}(@[A-Za-z0-9_-]{1,40})?")
_GREETINGS = {"unavailable": "u", "busy": "b", "none": "s"}


@dataclass(frozen=True, slots=True)
class Left:
    """``reason``: left, failed (no such mailbox, full, or too short) or hangup, which may have left a message too."""

    reason: str


async def voicemail(session: Session, leg: Leg, mailbox: str, *, greeting: str = "unavailable") -> Left:
    """Greet as the mailbox does (``unavailable``, ``busy``, or ``none``), record until ``#``, silence or hang-up. The leg
    must be in no bridge, and is back when this returns. Raises UnsafeValue, TelephonyError."""
    if not _MAILBOX.fullmatch(mailbox):
        raise UnsafeValue("not an acceptable mailbox")
    whole = mailbox if "@" in mailbox else f"{mailbox}@default"
    result = await subroutine(session, leg, "voicemail", whole, _GREETINGS[greeting], within=LONGEST)
    if result is None:
        return Left("failed" if leg.up else "hangup")
    return Left("left" if result[:1] == ("SUCCESS",) else "failed")
