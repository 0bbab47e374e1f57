"""What is said when a flow failed: to everybody who is on the line, and to a caller who was not answered yet."""

import asyncio

from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.bridge import dissolve
from engine.verbs.play import play

LONGEST = 8.0


async def apologise(session: Session) -> None:
    """A bridge is left first: each hears it on its own."""
    await asyncio.gather(*(dissolve(session, bridge) for bridge in list(session.bridges)))
    await asyncio.gather(*(_tell(session, leg) for leg in session.live_legs() if leg.up or leg.role == "caller"))


async def _tell(session: Session, leg: Leg) -> None:
    if await answer(session, leg):
        await play(session, leg, *session.services.prompts["error"], longest=LONGEST)
