"""Hold and resume: a held party is out of its bridge, hears music, and is not heard."""

from collections.abc import Mapping
from typing import Any

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.states import LegState
from engine.controls.who import named
from engine.errors import StateConflict
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs.play import quiet


async def hold(session: Session, order: Order) -> Mapping[str, Any]:
    """The party named, else the other side, hears music. 409 when it is held."""
    leg = named(session, order)
    _not_in_consultation(session)
    await hold_leg(session, leg)
    return {"leg_id": leg.leg_id}


async def resume(session: Session, order: Order) -> Mapping[str, Any]:
    """The party named, else the one that is held, is back where it was. 409 when nobody is held."""
    leg = named(session, order, _held(session))
    if session.call.slot is not None:
        raise StateConflict("the call is parked: retrieve it")
    _not_in_consultation(session)
    await resume_leg(session, leg)
    return {"leg_id": leg.leg_id}


def _not_in_consultation(session: Session) -> None:
    if session.consult is not None:
        raise StateConflict("an attended transfer is under way: swap, complete or cancel it")


def _held(session: Session) -> Leg | None:
    return next((leg for leg in session.live_legs() if leg.held_from is not None), None)


async def hold_leg(session: Session, leg: Leg) -> None:
    """Raises StateConflict when it is held already, TelephonyError."""
    if leg.state is LegState.HELD:
        raise StateConflict("the party is held already")
    bridge = await take_out(session, leg)
    await session.switch.hold_music(leg.channel_id, on=True)
    session.record(Kind.LEG_HELD, leg=leg.n, bridge=bridge)
    if session.call.state == "talking":
        session.record(Kind.CALL_HELD, held=leg.n)


async def resume_leg(session: Session, leg: Leg, *, into: str | None = None) -> None:
    """``into``: the bridge that it comes to, else the one that it left. Raises StateConflict when no command holds it,
    TelephonyError."""
    if leg.held_from is None:
        raise StateConflict("its own phone holds the call" if leg.state is LegState.HELD else "the party is not held")
    bridge = (leg.held_from or _place(session, leg)) if into is None else into
    await session.switch.hold_music(leg.channel_id, on=False)
    if bridge:
        await put_in(session, leg, bridge)
    session.record(Kind.LEG_RESUMED, leg=leg.n, bridge=bridge)
    if session.call.state == "held" and _held(session) is None:
        session.record(Kind.CALL_RESUMED, resumed=leg.n)


def _place(session: Session, leg: Leg) -> str:
    """Where a party belongs that was in no bridge when it was held: with whom it talks by now."""
    conversation = session.conversation
    return conversation.bridge if conversation is not None and leg in conversation.parties else ""


async def take_out(session: Session, leg: Leg) -> str:
    """Out of its bridge, whose id is returned; empty when it is in none. Raises TelephonyError."""
    bridge = session.joined.get(leg.channel_id, "")
    await quiet(session, leg)
    if bridge:
        await session.switch.bridge_remove(bridge, leg.channel_id)
        session.joined.pop(leg.channel_id, None)
    return bridge


async def put_in(session: Session, leg: Leg, bridge: str) -> None:
    """Raises TelephonyError."""
    if session.joined.get(leg.channel_id) != bridge:
        await take_out(session, leg)
        await session.switch.bridge_add(bridge, leg.channel_id)
        session.joined[leg.channel_id] = bridge
