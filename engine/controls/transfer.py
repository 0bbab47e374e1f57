"""Transfers: blind, and attended with complete, cancel and swap. What is ordered is here; how it goes on in carry_out.py."""

from collections.abc import Mapping
from typing import Any

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.numbers import EMERGENCY, BadNumber, is_extension, normalize
from engine.calls.states import LegState
from engine.controls.carry_out import carry_out, options_of
from engine.controls.who import named, ours, talkers
from engine.errors import InvalidFields, StateConflict
from engine.sessions.conversation import Consult
from engine.sessions.inbox import Order
from engine.sessions.observe import end_leg
from engine.sessions.session import Session
from engine.telephony.events import Channel
from engine.verbs.dial import announce

MOST = 10
"""Transfers of one call: more is a loop."""
_GONE = "one of the three has gone"
CONVERSATION = "conversation"
"""The flow of those whom a command took out of theirs."""


async def transfer(session: Session, order: Order) -> Mapping[str, Any]:
    """Blind: the party named (else our side) leaves, and the other one is connected to ``to``. A party that is alone in the
    call is itself the one who moves."""
    leg = named(session, order, None if order.leg else ours(session))
    others = [each for each in talkers(session) if each is not leg]
    transferer, transferee = (leg, others[0]) if others else (None, leg)
    return await _begin(session, order, "blind", transferer, transferee)


async def attended_transfer(session: Session, order: Order) -> Mapping[str, Any]:
    """The party named (else our side) talks to ``to`` while the other one hears music."""
    leg = named(session, order, None if order.leg else ours(session))
    others = [each for each in talkers(session) if each is not leg]
    if not others or not all(each.up for each in (leg, others[0])):
        raise StateConflict("there is nobody to be transferred")
    return await _begin(session, order, "attended", leg, others[0])


async def complete(session: Session, order: Order) -> Mapping[str, Any]:
    """End the consultation by connecting the two others; while the target rings, this makes it a blind transfer."""
    consult, before = _consult(session), session.call.conversation
    told = await _wish(session, order, "complete")
    if consult.wish and session.call.conversation == before:  # a blind one has taken the wish
        raise StateConflict(_GONE)
    return told


async def cancel(session: Session, order: Order) -> Mapping[str, Any]:
    """End the consultation by letting the target go; who was held is back."""
    return await _wish(session, order, "cancel")


async def swap(session: Session, order: Order) -> Mapping[str, Any]:
    """Talk to the other one of the two; who was talked to hears music."""
    consult = _consult(session)
    if consult.target is None or not consult.target.up:
        raise StateConflict("the target has not answered")
    before = consult.swapped
    told = await _wish(session, order, "swap")
    if consult.swapped == before:
        raise StateConflict(_GONE)
    return told


async def _wish(session: Session, _order: Order, wish: str) -> Mapping[str, Any]:
    consult = _consult(session)
    consult.wish = wish
    session.waiters.wake()
    await session.until(lambda: consult.wish != wish or session.consult is not consult)
    return {"leg_id": consult.target.leg_id} if consult.target else {}


def _consult(session: Session) -> Consult:
    consult = session.consult
    if consult is None or consult.wish:
        raise StateConflict("no attended transfer is under way")
    return consult


async def _begin(
    session: Session, order: Order, how: str, transferer: Leg | None, transferee: Leg
) -> Mapping[str, Any]:
    """The answer of a blind one comes before its flow may be taken away, of an attended one when the music plays."""
    to = number_of(session, order.fields.get("to", ""))
    target = await begin(session, how, transferer, transferee, to, by_phone=order.by == "phone")
    result = {"leg_id": target.leg_id}
    if transferer is not None and order.fields.get("refer"):
        await session.attempt(session.switch.transfer_progress(transferer.channel_id, "channel_answered"))
    if how == "blind":
        order.settle(result)
    follow(session, transferee)
    if how == "attended":
        await session.until(lambda: not transferee.alive or transferee.state == "held" or session.call.transfer is None)
    return result


def number_of(session: Session, to: str) -> str:
    """Raises InvalidFields."""
    if not to:
        raise InvalidFields({"to": "is required"})
    try:
        return to if to in EMERGENCY else normalize(to, country=session.account.country)
    except BadNumber as error:
        raise InvalidFields({"to": str(error)}) from None


async def begin(
    session: Session,
    how: str,
    transferer: Leg | None,
    transferee: Leg,
    to: str,
    *,
    by_phone: bool = False,
    arrived: Channel | None = None,
    taken: Leg | None = None,
) -> Leg:
    """Past the gate: the target's row, and what is about to happen, committed. ``arrived``: the target's channel, which
    came by itself; ``taken``: the target, of another call. Raises Forbidden, InvalidFields,
    StateConflict, StoreAway."""
    call = session.call
    if call.transfer is not None or session.consult is not None:
        raise StateConflict("a transfer is under way")
    staying = [leg for leg in session.live_legs() if leg.n not in session.asked]
    if to in {leg.number for leg in staying if leg is not transferer or how == "attended"}:
        raise InvalidFields({"to": "is in this call already"})
    if transferer is not None and to == transferer.number:
        raise InvalidFields({"to": "is the party that transfers"})
    if call.transfers >= MOST:
        raise StateConflict(f"the call was transferred {MOST} times")
    told: dict[str, Any] = {
        "how": how,
        "to": to,
        "transferer": transferer.n if transferer else None,
        "transferee": transferee.n,
        "conversation": 1 + max((leg.conversation for leg in call.legs.values()), default=0),
        "attempt": 1 + max((leg.attempt for leg in call.legs.values() if leg.role == "target"), default=0),
        "caller_id": _shown(session, to, transferee),
        "by_phone": by_phone or (is_extension(to) and to not in EMERGENCY),
        "bridge": session.conversation.bridge if session.conversation else "",
    }
    if arrived or taken:
        target = _arrived(session, told, arrived, taken)
    else:
        target = await announce(session, options_of(session, told))
    session.record(Kind.CALL_TRANSFERRING, **told)
    try:
        await session.committed()
    except BaseException:  # nobody will carry it out, and it would keep the call from every other one
        give_up(session, target)
        raise
    return target


def give_up(session: Session, target: Leg) -> None:
    """The transfer that was just begun is none."""
    session.record(Kind.CALL_TRANSFER_FAILED, reason="error", target=target.n)
    if target.state is LegState.CREATED:
        session.unplaced.discard(target.n)
        session.asked.setdefault(target.n, "unplaced")
        end_leg(session, target, session.services.now(), q850=None, sip_code=None)


def _arrived(session: Session, told: Mapping[str, Any], channel: Channel | None, taken: Leg | None) -> Leg:
    """A phone that dialled a slot's code, or the party of another call: nobody is dialled, so that it needs no gate."""
    options = options_of(session, told)
    if channel is not None:
        name, channel_id = channel.name, channel.id
    else:
        assert taken is not None
        name, channel_id = taken.channel or "", taken.channel_id
    endpoint = name.rsplit("-", 1)[0]
    leg = session.new_leg(
        options.role, options.number, endpoint, attempt=options.attempt, channel_id=channel_id, channel=name,
        **options.known,
    )  # fmt: skip
    session.entered.add(channel_id)
    if channel is not None:
        session.record(Kind.LEG_RINGING, leg=leg.n)
    return leg


def _shown(session: Session, to: str, transferee: Leg) -> str:
    """What the target sees: within the house whom it will talk to, outside a caller id of the account."""
    account, given = session.account, str(session.call.params.get("caller_id", ""))
    ours_ = given if given in account.caller_ids else min(account.caller_ids, default="")
    return transferee.number if is_extension(to) and transferee.number.isdecimal() else ours_


def follow(session: Session, transferee: Leg) -> None:
    """Have the transfer go on: beside the talk, or, of a party in another flow, in place of that flow."""
    if session.conversation is not None:
        session.spawn(carry_out(session), "transfer")
    else:
        session.divert(CONVERSATION, {}, transferee)
