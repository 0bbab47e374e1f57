"""Keys that a party pressed and that nothing has taken yet. Each key is taken once, by whichever verb wants it."""

from engine.calls.model import Leg
from engine.sessions.session import Session


def unread(session: Session, leg: Leg) -> str:
    """Keys pressed since the last one that was taken, in order."""
    return leg.dtmf[session.keys_taken.get(leg.n, 0) :]


def take(session: Session, leg: Leg, count: int) -> str:
    """The next ``count`` keys, which no other verb sees from now on."""
    keys = unread(session, leg)[:count]
    session.keys_taken[leg.n] = session.keys_taken.get(leg.n, 0) + len(keys)
    return keys


def flush(session: Session, leg: Leg) -> str:
    """Forget what was pressed before, and give it."""
    return take(session, leg, len(leg.dtmf))
