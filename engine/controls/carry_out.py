"""How a transfer goes on once it is ordered: by what stands of it in the call, so that a restart can take it up again."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from engine import ids
from engine.calls import disposition
from engine.calls.events import Kind
from engine.calls.model import Leg, Transfer
from engine.calls.states import LegState
from engine.controls.hold import hold_leg, put_in, resume_leg, take_out
from engine.errors import StateConflict, TelephonyError
from engine.sessions.conversation import Consult, Conversation
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.answer import answer
from engine.verbs.bridge import join, make_bridge
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from engine.verbs.play import play
from engine.verbs.record import MOST, start_recording, stop_recording

log = structlog.get_logger(__name__)

BACK = "*"
"""The key with which a transferer drops the target."""


async def carry_out(session: Session) -> None:
    """The transfer that stands in the call, to its end. Nobody's end ends the conversation meanwhile."""
    transfer, conversation = session.call.transfer, session.conversation
    if transfer is None or conversation is None:
        return
    conversation.changing += 1
    try:
        await _carry_out(session, conversation, transfer)
        await _record_on(session, conversation)
    except TelephonyError as error:
        log.warning("transfer_failed", request_id=session.call.request_id, error=repr(error))
        session.record(Kind.CALL_TRANSFER_FAILED, reason="error", target=None)
        alone = sum(leg.alive for leg in conversation.parties) < 2  # noqa: PLR2004
        conversation.given_up = alone and session.call.slot is None
    finally:
        if session.call.transfer is None or session.call.transfer is transfer:
            session.consult = None
        conversation.changing -= 1
        session.waiters.wake()


async def _carry_out(session: Session, conversation: Conversation, transfer: Transfer) -> None:
    if transfer.how == "attended":
        await _attended(session, conversation, transfer)
    elif transfer.how == "merge":
        await _merge(session, conversation, transfer)
    elif transfer.how == "retrieve":
        await _retrieve(session, conversation, transfer)
    else:
        await _blind(session, conversation, transfer)


async def _record_on(session: Session, conversation: Conversation) -> None:
    """A recording that has lost one of its sides to the transfer ends, and one of those who talk now begins."""
    recording, parties = session.call.recording, [leg for leg in conversation.parties if leg.up]
    if recording is None or len(parties) < 2:  # noqa: PLR2004
        return
    recorded = {file.rpartition(".")[0] for file in recording.sides.values()}
    if recorded <= {leg.channel_id for leg in parties}:
        return
    transferee, target = parties
    agent, customer = (transferee, target) if transferee.role == "agent" else (target, transferee)
    await stop_recording(session)
    if len(session.call.recordings) < MOST:
        await start_recording(session, recording.option, {"agent": agent, "customer": customer})


def options_of(session: Session, told: Mapping[str, Any]) -> Dial:
    return Dial(
        "target",
        told["to"],
        told["caller_id"],
        ring_timeout=session.account.limits.destination_ring,
        attempt=told["attempt"],
        by_phone=told["by_phone"],
        known={"conversation": told["conversation"], "other": told["transferee"]},
    )


def _options(session: Session, transfer: Transfer) -> Dial:
    return options_of(session, {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__})


def _leg(session: Session, n: int | None) -> Leg | None:
    return session.call.legs[n] if n is not None else None


# -- blind ---------------------------------------------------------------------------------------------------------


async def _blind(session: Session, conversation: Conversation, transfer: Transfer) -> None:
    """The transferer goes at once; the transferee hears the target ring, and then the target or why it is not there."""
    transferee, transferer = session.call.legs[transfer.transferee], _leg(session, transfer.transferer)
    conversation.parties = [transferee]
    if transferer is not None:
        session.record(Kind.CALL_UNBRIDGED, bridge=conversation.bridge)
        await session.attempt(session.hangup(transferer, "transfer"))
    await _free(session, transferee, conversation.bridge)
    await join(session, conversation.bridge, transferee)
    target = await dial(
        session, replace(_options(session, transfer), bridge=conversation.bridge, alongside=transferee)
    )  # fmt: skip
    if target.up and transferee.alive:
        _connected(session, conversation, transfer, transferee, target)
    else:
        await _not_there(session, conversation, transferee, target)


async def _free(session: Session, leg: Leg, bridge: str) -> None:
    """Off hold, if it is held, and into the bridge."""
    if leg.held_from is not None and leg.alive:
        await _try(resume_leg(session, leg, into=bridge))


async def _try(work: Any) -> None:
    """What can't be done any more is seen in the legs."""
    try:
        await work
    except (TelephonyError, StateConflict):
        return


def _connected(session: Session, conversation: Conversation, transfer: Transfer, transferee: Leg, target: Leg) -> None:
    conversation.parties = [transferee, target]
    legs = [transferee.n, target.n]
    session.record(
        Kind.CALL_TRANSFERRED, conversation=transfer.conversation, legs=legs, bridge=conversation.bridge
    )  # fmt: skip
    if session.call.state not in ("talking", "held"):
        session.record(Kind.CALL_BRIDGED, bridge=conversation.bridge, legs=legs)


async def _not_there(session: Session, conversation: Conversation, transferee: Leg, target: Leg) -> None:
    """Nobody is left for the transferee: it is told why."""
    reason = disposition.end_reason(target)
    session.record(Kind.CALL_TRANSFER_FAILED, reason=reason, target=target.n)
    if transferee.up:
        await _try(take_out(session, transferee))
        prompts = session.services.prompts
        heard = prompts.get(reason, prompts["failed"])
        await play(session, transferee, *heard, longest=15, stop_when=lambda: session.call.transfer is not None)
    if session.call.transfer is None:
        conversation.parties = [transferee, target]


async def _merge(session: Session, conversation: Conversation, transfer: Transfer) -> None:
    """The target is there already: it comes from the transferer's other call."""
    transferee, transferer = session.call.legs[transfer.transferee], _leg(session, transfer.transferer)
    target = session.call.leg("target", transfer.attempt)
    assert target is not None
    conversation.parties = [transferee, target]
    await _free(session, transferee, conversation.bridge)
    await join(session, conversation.bridge, transferee, target)
    _connected(session, conversation, transfer, transferee, target)
    if transferer is not None:
        await session.attempt(session.hangup(transferer, "transfer"))


# -- retrieve ------------------------------------------------------------------------------------------------------


async def _retrieve(session: Session, conversation: Conversation, transfer: Transfer) -> None:
    """The parked party hears music until the target is there, and goes on hearing it when nobody comes."""
    parked = session.call.legs[transfer.transferee]
    options = replace(_options(session, transfer), alongside=parked)
    target = session.call.leg(options.role, options.attempt)
    if target is not None and ids.request_of(target.channel_id) is None:
        await _try(answer(session, target))
    else:
        target = await dial(session, options)
    if target.up and parked.alive:
        await _try(take_out(session, parked))
        await _free(session, parked, "")
        await join(session, conversation.bridge, parked, target)
        _connected(session, conversation, transfer, parked, target)
    else:
        await hangup(session, target)
        session.record(Kind.CALL_TRANSFER_FAILED, reason=disposition.end_reason(target), target=target.n)


# -- attended ------------------------------------------------------------------------------------------------------


async def _attended(session: Session, conversation: Conversation, transfer: Transfer) -> None:
    """The transferer hears the target ring and talks to it, while the transferee hears music."""
    transferee, transferer = session.call.legs[transfer.transferee], _leg(session, transfer.transferer)
    assert transferer is not None
    consult = session.consult = Consult(transferer, transferee)
    bridge = ids.bridge_id(session.call.request_id, transfer.conversation + 1)
    if transferee.up and transferee.state is not LegState.HELD:
        await _try(hold_leg(session, transferee))
    await make_bridge(session, bridge)
    if transferer.up and transferer.held_from is None:
        await _move(session, transferer, bridge)
    keys.flush(session, transferer)
    dialing = session.spawn(_dial(session, consult, transfer, bridge), "consult")
    dialing.add_done_callback(lambda _: session.waiters.wake())
    await session.until(lambda: dialing.done() or not transferer.alive or consult.wish == "complete")
    if not dialing.done():
        await _turn_blind(session, conversation, consult, transfer)
    await asyncio.wait([dialing])
    target = consult.target
    assert target is not None
    consult.swapped = target.held_from is not None
    if target.up and transferer.alive and transferee.alive:
        await _talk(session, consult, bridge)
    await _decide(session, conversation, consult, transfer, bridge)


async def _move(session: Session, leg: Leg, bridge: str) -> None:
    if session.joined.get(leg.channel_id) != bridge:
        await _try(take_out(session, leg))
        await _try(put_in(session, leg, bridge))


async def _dial(session: Session, consult: Consult, transfer: Transfer, bridge: str) -> None:
    options = replace(
        _options(session, transfer),
        bridge=bridge,
        alongside=consult.transferee,
        give_up=lambda: _back(session, consult),
    )
    consult.target = session.call.leg(options.role, options.attempt)
    await dial(session, options)


def _back(session: Session, consult: Consult) -> bool:
    """The transferer wants to be back with the transferee."""
    if BACK in keys.unread(session, consult.transferer):
        keys.flush(session, consult.transferer)
        consult.wish = "cancel"
    return consult.wish == "cancel" and consult.transferer.alive


async def _turn_blind(session: Session, conversation: Conversation, consult: Consult, transfer: Transfer) -> None:
    """The transferer left while the target rings: the transferee hears it ring."""
    transferee = consult.transferee
    session.record(Kind.CALL_TRANSFERRING, **{**_told(transfer), "how": "blind", "bridge": conversation.bridge})
    conversation.parties = [transferee]
    await session.attempt(session.hangup(consult.transferer, "transfer"))
    consult.wish = ""
    await _free(session, transferee, "")
    session.record(Kind.CALL_UNBRIDGED, bridge=conversation.bridge)
    await session.attempt(session.switch.ring(transferee.channel_id))


def _told(transfer: Transfer) -> dict[str, Any]:
    return {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__}


async def _talk(session: Session, consult: Consult, bridge: str) -> None:
    """Transferer and target talk, until one of the three has gone or it is decided."""
    target = consult.target
    assert target is not None

    def news() -> bool:
        gone = not (consult.transferer.alive and consult.transferee.alive and target.up)
        return gone or bool(consult.wish) or _back(session, consult)

    while True:
        await session.until(news)
        if consult.wish != "swap":
            return
        if consult.transferer.up and consult.transferee.up and target.up:
            await _swap(session, consult, bridge)
        consult.wish = ""
        session.waiters.wake()


async def _swap(session: Session, consult: Consult, bridge: str) -> None:
    target = consult.target
    assert target is not None
    waiting, talking = (target, consult.transferee) if consult.swapped else (consult.transferee, target)
    await _try(hold_leg(session, talking))
    await _try(resume_leg(session, waiting, into=bridge))
    consult.swapped = not consult.swapped


async def _decide(
    session: Session, conversation: Conversation, consult: Consult, transfer: Transfer, bridge: str
) -> None:
    transferer, transferee, target = consult.transferer, consult.transferee, consult.target
    assert target is not None
    if not transferee.alive:
        session.record(Kind.CALL_TRANSFER_FAILED, reason="hangup", target=target.n)
        conversation.parties = [transferee]
    elif target.up and (not transferer.alive or consult.wish == "complete"):
        await _hand_over(session, conversation, consult, transfer, bridge)
    elif transferer.alive:
        await _return(session, conversation, consult, bridge)
    else:
        await session.attempt(session.switch.ring_stop(transferee.channel_id))
        await _not_there(session, conversation, transferee, target)


async def _hand_over(
    session: Session, conversation: Conversation, consult: Consult, transfer: Transfer, bridge: str
) -> None:
    transferee, target = consult.transferee, consult.target
    assert target is not None
    before, conversation.bridge = conversation.bridge, bridge
    if not consult.transferer.alive:
        await session.attempt(session.switch.ring_stop(transferee.channel_id))
    await session.attempt(session.hangup(consult.transferer, "transfer"))
    for leg in (transferee, target):
        await _free(session, leg, bridge)
        if leg.up and leg.held_from is None:
            await _try(put_in(session, leg, bridge))
    _connected(session, conversation, transfer, transferee, target)
    if before != bridge:
        await session.attempt(session.switch.destroy_bridge(before))
        session.bridges.discard(before)


async def _return(session: Session, conversation: Conversation, consult: Consult, bridge: str) -> None:
    """The target is let go; transferer and transferee talk again."""
    target = consult.target
    assert target is not None
    reason = "cancelled" if consult.wish == "cancel" else disposition.end_reason(target)
    if target.alive:
        await hangup(session, target, why="cancelled")
    await _move(session, consult.transferer, conversation.bridge)
    if consult.swapped:
        await _move(session, consult.transferee, conversation.bridge)
    await _free(session, consult.transferee, conversation.bridge)
    session.record(Kind.CALL_TRANSFER_FAILED, reason=reason, target=target.n)
    await session.attempt(session.switch.destroy_bridge(bridge))
    session.bridges.discard(bridge)
