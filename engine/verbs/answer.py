from engine.calls.model import Leg
from engine.sessions.session import Session

ANSWERED_WITHIN = 5.0


async def answer(session: Session, leg: Leg) -> bool:
    """Answer a call that came in; False when the caller was gone first. Raises TelephonyError."""
    if leg.up:
        return True
    if leg.alive:
        await session.switch.answer(leg.channel_id)
        await session.until(lambda: leg.up or not leg.alive, ANSWERED_WITHIN)
    return leg.up
