"""Two calls of a phone become one: what REFER with Replaces asks for. The party it consulted goes over to the other call."""

from collections.abc import Mapping
from typing import Any

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.controls.carry_out import carry_out
from engine.controls.hold import take_out
from engine.controls.transfer import begin, give_up
from engine.controls.who import named, talkers
from engine.errors import NotFound, StateConflict, TelephonyError
from engine.sessions.inbox import Order
from engine.sessions.session import Session


async def merge(session: Session, order: Order) -> Mapping[str, Any]:
    """Of the phone named, whose second call has ``channel``: its peer here and its peer there talk; both calls of the phone
    end. While the other one rings it becomes a blind transfer."""
    phone = named(session, order)
    other = session.services.session_with(order.fields["channel"])
    if other is None or other is session or other.account.account != session.account.account:
        raise NotFound("no call of the account has that channel")
    transferee = next((leg for leg in talkers(session) if leg is not phone), None)
    if transferee is None or session.conversation is None:
        raise StateConflict("there is nobody to be transferred")
    target = _target(other, order.fields["channel"])
    if not target.up:
        number = target.number
        other.stop("cancelled")
        leg = await begin(session, "blind", phone, transferee, number, by_phone=True)
    else:
        leg = await begin(session, "merge", phone, transferee, target.number, taken=target)
        try:
            await _move(session, leg, other, target)
        except TelephonyError:  # it has gone meanwhile: who talk here go on
            give_up(session, leg)
            raise
    await session.attempt(session.switch.transfer_progress(phone.channel_id, "channel_answered"))
    session.spawn(carry_out(session), "transfer")
    return {"leg_id": leg.leg_id}


def _target(other: Session, channel: str) -> Leg:
    """Raises StateConflict."""
    found = [leg for leg in other.live_legs() if leg.channel_id != channel and leg.role != "monitor"]
    if not found or other.call.transfer is not None:
        raise StateConflict("nobody is on the phone's other call")
    return found[-1]


async def _move(session: Session, leg: Leg, other: Session, target: Leg) -> None:
    """The channel is this call's from now on. That call, whose party it was, ends."""
    await take_out(other, target)
    session.services.move(target.channel_id, session.call.request_id)
    session.entered.add(target.channel_id)
    other.record(Kind.LEG_MOVED, leg=target.n, to=session.call.request_id)
    session.record(Kind.LEG_RINGING, leg=leg.n)
    session.record(Kind.LEG_ANSWERED, leg=leg.n)
    await session.committed()
