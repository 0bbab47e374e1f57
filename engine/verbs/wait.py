from engine.calls.model import Leg
from engine.sessions.session import Session


async def wait(session: Session, seconds: float, *, leg: Leg | None = None) -> bool:
    """Wait; False when ``leg`` ended meanwhile."""
    await session.until(lambda: leg is not None and not leg.alive, seconds)
    return leg is None or leg.alive
