"""Mute one direction of a party, or both."""

from collections.abc import Mapping
from typing import Any

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.controls.who import named, ours
from engine.sessions.inbox import Order
from engine.sessions.session import Session

_PARTS = {"": frozenset[str](), "in": frozenset({"in"}), "out": frozenset({"out"}), "both": frozenset({"in", "out"})}


async def mute(session: Session, order: Order) -> Mapping[str, Any]:
    """``direction``: in (nobody hears the party; the default), out (it hears nobody), both. Muting twice is no error."""
    return await _set(session, order, on=True)


async def unmute(session: Session, order: Order) -> Mapping[str, Any]:
    """``direction``: in, out or both (the default)."""
    return await _set(session, order, on=False)


async def _set(session: Session, order: Order, *, on: bool) -> Mapping[str, Any]:
    leg = named(session, order, None if order.leg else ours(session))
    direction = order.fields.get("direction") or ("in" if on else "both")
    await mute_leg(session, leg, direction, on=on)
    return {"leg_id": leg.leg_id, "muted": leg.muted}


async def mute_leg(session: Session, leg: Leg, direction: str = "in", *, on: bool) -> None:
    """Raises TelephonyError."""
    before, parts = _PARTS[leg.muted], _PARTS[direction]
    after = before | parts if on else before - parts
    if after != before:
        changed = sorted(after ^ before)
        await session.switch.mute(leg.channel_id, changed[0] if len(changed) == 1 else "both", on=on)
        session.record(Kind.LEG_MUTED, leg=leg.n, muted=next(word for word in _PARTS if _PARTS[word] == after))
