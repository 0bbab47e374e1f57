"""Park and retrieve: a parked party waits with music in a holding bridge, under a slot of its account."""

from collections.abc import Mapping
from typing import Any

import structlog

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.numbers import is_extension
from engine.controls.hold import put_in, take_out
from engine.controls.transfer import CONVERSATION, begin, follow, number_of
from engine.controls.who import named, talkers
from engine.errors import RequestError, StateConflict, StoreError
from engine.sessions.conversation import Conversation
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs.bridge import make_bridge
from engine.verbs.hangup import hangup
from engine.verbs.play import play

log = structlog.get_logger(__name__)

SLOTS = range(1, 100)
COMEBACKS = 3


async def park(session: Session, order: Order) -> Mapping[str, Any]:
    """The party named, else the other side, waits; whom it talked to is hung up, after hearing the slot when a phone parked.
    ``slot``: 1 to 99, else the lowest that is free."""
    call = session.call
    if call.slot is not None:
        raise StateConflict(f"the call is parked already, in slot {call.slot}")
    if call.transfer is not None:
        raise StateConflict("a transfer is under way")
    leg = named(session, order)
    slot = _slot(session, order.fields.get("slot"))
    others = [each for each in talkers(session) if each is not leg]
    result = {"leg_id": leg.leg_id, "slot": slot}
    conversation, session.slot = session.conversation, slot
    try:
        if conversation is not None:
            await _out_of(session, conversation, leg)
        session.record(Kind.CALL_PARKED, slot=slot, party=leg.n, bridge=_bridge(session))
    finally:
        session.slot = None
    held(session, leg)
    await session.committed()
    order.settle(result)
    if conversation is not None:
        session.spawn(come_back(session, leg), "comeback")
    for each in others:
        session.spawn(_dismiss(session, each, slot if order.by == "phone" else ""), "parked")
    if conversation is None:  # its flow plays to it: the one that comes in its place puts it there
        session.divert(CONVERSATION, {"bridge": _bridge(session)}, leg)
    return result


async def _out_of(session: Session, conversation: Conversation, leg: Leg) -> None:
    """From the conversation to the slot, or back: then those who talked go on. Raises TelephonyError."""
    before, conversation.parties = conversation.parties, [leg]
    try:
        await to_slot(session, leg)
    except BaseException:
        if leg.alive:
            await session.attempt(put_in(session, leg, conversation.bridge))
        conversation.parties = before
        session.waiters.wake()
        raise


def held(session: Session, leg: Leg) -> None:
    if leg.state == "up":
        session.record(Kind.LEG_HELD, leg=leg.n, bridge="")
    if session.call.state == "talking":
        session.record(Kind.CALL_HELD, held=leg.n)


def _bridge(session: Session) -> str:
    return ids.bridge_id(session.call.request_id)


async def to_slot(session: Session, leg: Leg) -> None:
    """Into the holding bridge, with music. Raises TelephonyError."""
    lot = ids.holding_id(session.call.request_id)
    await make_bridge(session, lot, kind="holding")
    await take_out(session, leg)
    await put_in(session, leg, lot)
    await session.switch.hold_music(leg.channel_id, on=True)


async def _dismiss(session: Session, leg: Leg, slot: str) -> None:
    if slot:
        await session.attempt(_out(session, leg))
        await play(session, leg, f"digits:{slot}", longest=10)
    await hangup(session, leg, why="transfer")


async def _out(session: Session, leg: Leg) -> None:
    await take_out(session, leg)


def _slot(session: Session, wanted: int | None) -> str:
    taken = session.services.parked(session.account.account)
    if wanted is not None:
        if str(wanted) in taken:
            raise StateConflict(f"slot {wanted} is taken")
        return str(wanted)
    free = next((str(slot) for slot in SLOTS if str(slot) not in taken), None)
    if free is None:
        raise StateConflict("all slots are taken")
    return free


async def retrieve(session: Session, order: Order) -> Mapping[str, Any]:
    """``to`` (else whom the parked party talked to last) is called and connected to it; it waits on if nobody answers. A
    phone that dialled the slot's code is connected at once."""
    call = session.call
    if call.slot is None:
        raise StateConflict("the call is not parked")
    parked = call.legs[call.parties[0]]
    to = number_of(session, order.fields.get("to") or _last(session, parked))
    target = await begin(session, "retrieve", None, parked, to, arrived=order.fields.get("arrived"))
    order.settle({"leg_id": target.leg_id})
    follow(session, parked)
    return {"leg_id": target.leg_id}


async def come_back(session: Session, parked: Leg) -> None:
    """A party that nobody fetches rings back the phone of the house that it talked to, some times, and then waits on: each
    time is one of the transfers that a call may have."""
    to, after = _last(session, parked), session.account.limits.park_comeback
    if not after or not is_extension(to):
        return
    for _ in range(COMEBACKS):
        if await session.until(lambda: session.call.slot is None or not parked.alive, after):
            return
        order = Order("retrieve", fields={"to": to}, by="timer")
        try:
            session.inbox.put(session, order)
            await order.outcome
        except (RequestError, StoreError) as error:
            log.info("not_come_back", request_id=session.call.request_id, error=str(error))


def _last(session: Session, parked: Leg) -> str:
    """Number of whom the parked party talked to last; empty: nobody."""
    spoken = [leg for leg in session.call.legs.values() if leg.answered_at and leg.role != "monitor"]
    return next((leg.number for leg in reversed(spoken) if leg is not parked), "")
