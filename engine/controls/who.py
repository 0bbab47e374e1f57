"""Whom an order is about, when it does not say, or says it by role or id."""

from collections.abc import Mapping
from typing import Any

from engine.calls.model import Leg
from engine.calls.numbers import is_extension
from engine.errors import StateConflict
from engine.sessions.inbox import Order, party
from engine.sessions.services import Control
from engine.sessions.session import Session

PAIR = 2
CONNECTED_WITHIN = 2.0
"""Seconds that an order waits for parties who have answered to be put together."""


def once_connected(control: Control) -> Control:
    """``control``, after parties who have both answered were put together: until then they can't be taken apart."""

    async def waits(session: Session, order: Order) -> Mapping[str, Any]:
        await session.until(lambda: session.conversation is not None or len(talkers(session)) < PAIR, CONNECTED_WITHIN)
        return await control(session, order)

    return waits


def up(leg: Leg) -> Leg:
    """Raises StateConflict for a leg that has not answered."""
    if not leg.up:
        raise StateConflict("that leg has not answered")
    return leg


def talkers(session: Session) -> list[Leg]:
    """Those who are in the call's conversation; else everybody who is up, but for who only listens."""
    if session.conversation is not None:
        return [leg for leg in session.conversation.parties if leg.alive]
    return [leg for leg in session.live_legs() if leg.up and leg.role != "monitor"]


def ours(session: Session) -> Leg:
    """The party on our side: the agent, else a phone of ours, else the first. Raises StateConflict when nobody is up."""
    found = talkers(session)
    if not found:
        raise StateConflict("nobody is on the line")
    phones = [leg for leg in found if is_extension(leg.number)]
    return next((leg for leg in found if leg.role == "agent"), (phones or found)[0])


def theirs(session: Session) -> Leg:
    """The party on the other side. Raises StateConflict when nobody is up."""
    mine = ours(session)
    return next((leg for leg in talkers(session) if leg is not mine), mine)


def named(session: Session, order: Order, default: Leg | None = None) -> Leg:
    """Raises NotFound, StateConflict."""
    if order.leg:
        return up(party(session, order.leg))
    return up(default or theirs(session))
