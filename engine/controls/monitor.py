"""A supervisor in a live call: spy (hears both), whisper (is heard by one), barge (talks with all)."""

from collections.abc import Mapping
from typing import Any

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.numbers import EMERGENCY, is_extension
from engine.controls.hold import put_in, take_out
from engine.controls.transfer import number_of
from engine.controls.who import named, ours, talkers
from engine.errors import InvalidFields, StateConflict, TelephonyError
from engine.sessions.conversation import Monitor
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs.bridge import make_bridge
from engine.verbs.dial import Dial, announce, dial
from engine.verbs.hangup import hangup

ENTERS_WITHIN = 3.0
ROLE = "monitor"


async def spy(session: Session, order: Order) -> Mapping[str, Any]:
    """``to`` is called, and hears the party named (else our side) and whom that talks to; nobody hears it. Without ``to``
    whoever monitors the call already does so from now on."""
    return await _monitor(session, order, "spy")


async def whisper(session: Session, order: Order) -> Mapping[str, Any]:
    """As ``spy``, and the party named hears the monitor; the other one does not."""
    return await _monitor(session, order, "whisper")


async def barge(session: Session, order: Order) -> Mapping[str, Any]:
    """The monitor talks with all."""
    return await _monitor(session, order, "barge")


async def _monitor(session: Session, order: Order, mode: str) -> Mapping[str, Any]:
    there = session.monitor
    to = order.fields.get("to", "")
    if not to and there is None:
        raise InvalidFields({"to": "is required: nobody monitors the call"})
    if to and there is not None:
        raise StateConflict("the call is monitored already")
    spied = named(session, order, None if order.leg else (there.spied if there and there.spied.up else ours(session)))
    if there is not None:
        there.spied, there.mode = spied, mode
        session.waiters.wake()
        await session.until(
            lambda: session.monitor is not there or not there.leg.up or there.attached == _wanted(session, there)
        )
        if not there.leg.alive:
            raise StateConflict("the monitor has gone")
        return {"leg_id": there.leg.leg_id}
    options = _options(session, number_of(session, to))
    monitor = session.monitor = Monitor(await announce(session, options), spied, mode)
    session.spawn(_watch(session, monitor, options), "monitor")
    return {"leg_id": monitor.leg.leg_id}


def _options(session: Session, to: str) -> Dial:
    account, legs = session.account, session.call.legs.values()
    if to in {leg.number for leg in session.live_legs()}:
        raise InvalidFields({"to": "is in this call already"})
    return Dial(
        ROLE,
        to,
        min(account.caller_ids, default=""),
        ring_timeout=account.limits.agent_ring,
        attempt=1 + max((leg.attempt for leg in legs if leg.role == ROLE), default=0),
        by_phone=is_extension(to) and to not in EMERGENCY,
    )


async def _watch(session: Session, monitor: Monitor, options: Dial) -> None:
    """Call the monitor, and see that it hears who is there, until it has enough or nobody is."""
    try:
        leg = await dial(session, options)
        while leg.up:
            if not await _attach(session, monitor):
                await hangup(session, leg)
                return
            await session.until(
                lambda: not leg.up or not monitor.spied.alive or monitor.attached != _wanted(session, monitor)
            )
            if leg.up and not monitor.spied.alive:
                monitor.spied = next((each for each in talkers(session) if each.up), monitor.spied)
    finally:
        await _detach(session, monitor)
        await session.attempt(*([session.switch.destroy_bridge(monitor.bridge)] if monitor.bridge else []))
        session.bridges.discard(monitor.bridge)
        session.monitor = None


def _wanted(session: Session, monitor: Monitor) -> tuple[Leg, str, str]:
    return monitor.spied, monitor.mode, session.conversation.bridge if session.conversation else ""


async def _attach(session: Session, monitor: Monitor) -> bool:
    """As it is wanted now; by the monitor's own job alone, for two at once would leave a channel that goes on listening.
    False when that can't be: the party or the monitor has gone."""
    wanted = spied, mode, bridge = _wanted(session, monitor)
    try:
        await _detach(session, monitor)
        if mode == "barge" and bridge:
            await put_in(session, monitor.leg, bridge)
        else:
            await _listen(session, monitor, spied, mode)
    except TelephonyError:
        return False
    monitor.attached = wanted
    session.record(Kind.CALL_MONITORED, mode=mode, monitor=monitor.leg.n, party=spied.n)
    return True


async def _listen(session: Session, monitor: Monitor, spied: Leg, mode: str) -> None:
    monitor.bridge = ids.bridge_id(session.call.request_id, 100 + monitor.leg.n)
    monitor.snoop = snoop = ids.spy_id(spied.channel_id, monitor.leg.n, monitor.turn)
    monitor.turn += 1
    await make_bridge(session, monitor.bridge)
    whispers = "out" if mode == "whisper" else "none"
    await session.switch.snoop(spied.channel_id, snoop, spy="both", whisper=whispers)
    await session.until(lambda: snoop in session.entered or not spied.alive, ENTERS_WITHIN)
    await session.switch.bridge_add(monitor.bridge, snoop)
    await put_in(session, monitor.leg, monitor.bridge)


async def _detach(session: Session, monitor: Monitor) -> None:
    if monitor.leg.alive:
        await session.attempt(_out(session, monitor.leg))
    if monitor.snoop:
        await session.attempt(session.switch.hangup(monitor.snoop))
        session.entered.discard(monitor.snoop)
        monitor.snoop = ""


async def _out(session: Session, leg: Leg) -> None:
    await take_out(session, leg)
