from engine.calls.model import Leg
from engine.sessions.session import Session

ENDS_WITHIN = 3.0


async def hangup(session: Session, leg: Leg, *, cause: int = 16, why: str = "flow") -> None:
    """End one party's leg with a Q.850 cause, and wait for its end. One that has ended is left alone."""
    await session.attempt(session.hangup(leg, why, cause=cause))
    await session.until(lambda: not leg.alive, ENDS_WITHIN)
