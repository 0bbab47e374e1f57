"""Music on hold for one party."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session


@asynccontextmanager
async def hold_music(session: Session, leg: Leg) -> AsyncIterator[None]:
    """The party hears music while the block runs. Refusals are logged: without music is better than without a call."""
    if leg.up:
        await session.attempt(session.switch.hold_music(leg.channel_id, on=True))
    try:
        yield
    finally:
        if leg.up:
            await session.attempt(session.switch.hold_music(leg.channel_id, on=False))


async def music_for(session: Session, leg: Leg, seconds: float) -> bool:
    """Let a party hear music for so long; False when it ended meanwhile. Raises TelephonyError when there is none."""
    try:
        await session.switch.hold_music(leg.channel_id, on=True)
    except TelephonyError:
        if leg.up:
            raise
        return False
    await session.until(lambda: not leg.up, seconds)
    if leg.up:
        await session.attempt(session.switch.hold_music(leg.channel_id, on=False))
    return leg.up
