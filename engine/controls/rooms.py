"""What is done to a member of a conference room: mute, pause, let go. Orders into the member's own call."""

from collections.abc import Mapping
from typing import Any

from engine.calls.events import Kind
from engine.calls.rooms import PHONE, WEB
from engine.controls.hold import hold_leg, resume_leg
from engine.controls.mute import mute_leg
from engine.errors import NotFound
from engine.sessions.inbox import Order
from engine.sessions.rooms import LiveRoom, Member
from engine.sessions.services import Control
from engine.sessions.session import Session

CHANGE, KICK = "room.change", "room.kick"
ENDS_WITHIN = 3.0


def change(live: LiveRoom, member: Member, *, muted: bool | None, paused: bool | None) -> Order:
    """An order that mutes (nobody hears the member) or pauses (out of the room, with music); None leaves it as it is."""
    return Order(CHANGE, fields={"live": live, "member": member, "muted": muted, "paused": paused})


def kick(live: LiveRoom, member: Member) -> Order:
    return Order(KICK, fields={"live": live, "member": member})


async def give(order: Order) -> Mapping[str, Any]:
    """Put an order into its member's call; what came of it. Raises NotFound when the member has left, and what the order
    raises."""
    order.fields["member"].session.inbox.put(order.fields["member"].session, order)
    return await order.outcome


async def _change(session: Session, order: Order) -> Mapping[str, Any]:
    live, member = _here(order)
    muted, paused, origin = order.fields["muted"], order.fields["paused"], _origin(order)
    leg = member.leg
    if muted is not None and muted != member.muted:
        await mute_leg(session, leg, "in", on=muted)
        live.record(member, Kind.ROOM_MUTED if muted else Kind.ROOM_UNMUTED, origin=origin)
    if paused is not None and paused != member.paused:
        if paused:
            await hold_leg(session, leg)
        else:
            await live.make_bridge(anew=True)
            await resume_leg(session, leg, into=live.bridge)
        live.record(member, Kind.ROOM_PAUSED if paused else Kind.ROOM_UNPAUSED, origin=origin)
    await session.committed()
    return {}


async def _kick(session: Session, order: Order) -> Mapping[str, Any]:
    live, member = _here(order)
    live.record(member, Kind.ROOM_HANGUP, origin=_origin(order))
    await session.committed()
    try:
        await session.hangup(member.leg, "cancelled")
        await session.until(lambda: not member.leg.alive, ENDS_WITHIN)
    finally:
        if not member.leg.alive:  # the end of its call may take this order's job with it
            order.settle({})
    return {}


def _here(order: Order) -> tuple[LiveRoom, Member]:
    live: LiveRoom = order.fields["live"]
    member: Member = order.fields["member"]
    if not member.leg.alive or member.id not in live.members:
        raise NotFound("nobody in the room has this id")
    return live, member


def _origin(order: Order) -> str:
    return PHONE if order.by == "phone" else WEB


ROOM_CONTROLS: Mapping[str, Control] = {CHANGE: _change, KICK: _kick}
"""For the rooms' own routes, which know more than a call's id."""
