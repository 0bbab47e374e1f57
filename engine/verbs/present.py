"""Make sure that who answered is there to hear."""

from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session

PATIENCE = 0.5
"""Seconds after the answer within which a party's first packet is waited for."""
LOOK = 0.03
"""Seconds between looks: a little more than a packet lasts."""


async def present(session: Session, leg: Leg) -> bool:
    """Wait for the first RTP packet of a party that has answered, or half a second; False when it ended meanwhile.

    What came before the answer is early media, so a packet counts that came since the first look.
    """
    before: int | None = None
    while leg.up and _since_answer(session, leg) < PATIENCE:
        try:
            count = await session.switch.packets_from(leg.channel_id)
        except TelephonyError:
            await session.until(lambda: not leg.up, max(PATIENCE - _since_answer(session, leg), 0))
            break
        if before is not None and count > before:
            break
        before = count if before is None else before
        await session.until(lambda: not leg.up, LOOK)
    return leg.up


def _since_answer(session: Session, leg: Leg) -> float:
    assert leg.answered_at is not None
    return (session.services.now() - leg.answered_at).total_seconds()
