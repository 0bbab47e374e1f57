"""Wait until a party is quiet: the end of a greeting, say."""

from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs.subroutine import subroutine

GRACE = 2.0


async def wait_for_silence(session: Session, leg: Leg, *, quiet: float = 1.0, timeout: float = 10.0) -> bool:
    """True when the party was quiet for ``quiet`` seconds, False after ``timeout`` or when it hung up. The leg must be in no
    bridge. By Asterisk's WaitForSilence(). Raises TelephonyError."""
    milliseconds, seconds = str(max(int(quiet * 1000), 1)), str(max(round(timeout), 1))
    result = await subroutine(session, leg, "silence", milliseconds, seconds, within=timeout + quiet + GRACE)
    return result is not None and result[:1] == ("SILENCE",)
