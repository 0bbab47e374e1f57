"""After a link was lost, or this engine was: what Asterisk has is compared with what our calls believe (DESIGN §3).

Nothing is guessed that Asterisk can tell: what it has now comes from its lists, what ended in the gap from its own CEL.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from engine import ids
from engine.calls.events import Event, Kind
from engine.calls.model import Leg, replay
from engine.calls.states import CallState, LegState
from engine.errors import StoreError, TelephonyError
from engine.sessions.observe import EARLY, NORMAL_CLEARING, end_leg, own_party
from engine.sessions.registry import Registry
from engine.sessions.scope import closed
from engine.sessions.session import Session
from engine.telephony.events import Channel
from engine.telephony.port import BridgeInfo, Switch

log = structlog.get_logger(__name__)

FRESH = timedelta(seconds=30)
"""A call that Asterisk never saw is placed after a restart while its request is younger than this."""

SWEPT_EVERY = 60.0
"""Seconds between two sweeps for ghosts."""

AGI = "agi"
"""Parameter ``door`` of calls that came by FastAGI."""

NEVER_PLACED_LATER = frozenset({"otp", "voicemail_broadcast"})
"""Flows that end with their process: the secret of one died with it, the other is a try that counts."""


class History(Protocol):
    """What CEL says of one channel; times aware, in UTC."""

    @property
    def answered_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def cause(self) -> int | None: ...
    @property
    def ended_by_party(self) -> bool:
        """Its own party hung up."""


class CelReader(Protocol):
    async def lookup(self, channel_ids: set[str], since: datetime) -> Mapping[str, History]: ...


class NoCel:
    """An Asterisk whose CEL we can't read: ends in a gap get the best time known."""

    async def lookup(self, channel_ids: set[str], since: datetime) -> Mapping[str, History]:  # noqa: ARG002
        return {}


@dataclass(frozen=True, slots=True)
class Found:
    """What a server has."""

    channels: Mapping[str, Channel]
    bridges: Sequence[BridgeInfo]
    history: Mapping[str, History]
    replied: frozenset[str] = frozenset()
    """Channels in state Down whose far end has sent a reply: they were dialled."""
    lost_at: datetime | None = None
    """When the link broke; of one that broke with this engine's last process, that one's last sign of life."""


async def server(registry: Registry, switch: Switch, cel: CelReader) -> None:
    """Compare one server's channels with its calls, start the flows of adopted calls, and end what nobody owns.
    Raises TelephonyError when the link broke again; it is called again with the next link."""
    sessions = [session for session in registry.sessions.values() if session.switch.name == switch.name]
    open_legs = {leg.channel_id: session for session in sessions for leg in session.live_legs()}
    channels, bridges = await asyncio.gather(switch.channels(), switch.bridges())
    present = {channel.id: channel for channel in channels}
    history = await _history(registry, cel, sessions, open_legs)
    found = Found(
        present, bridges, history, await _replied(switch, sessions, present), registry.lost_at.get(switch.name)
    )
    for session in sessions:
        compare(session, found, set(open_legs))
    registry.settled.add(switch.name)
    await _let_go(switch, [session for session in sessions if session.task is None], present)
    for session in sessions:
        if session.task is None:
            registry.run(session)
    await _end_ghosts(registry, switch, channels, bridges)


async def _let_go(switch: Switch, sessions: Sequence[Session], present: Mapping[str, Channel]) -> None:
    """A caller who was lent to us and in no bridge when the last process died would be so for ever."""
    for session in sessions:
        caller = session.call.leg("caller")
        if caller is not None and not caller.alive and caller.why == "engine_restart" and caller.channel_id in present:
            await session.attempt(switch.give_back(caller.channel_id))


async def _history(
    registry: Registry, cel: CelReader, sessions: Sequence[Session], open_legs: Mapping[str, Session]
) -> Mapping[str, History]:
    if not open_legs:
        return {}
    since = min((session.call.began_at for session in sessions), default=registry.services.now())
    return await cel.lookup(set(open_legs), since)


async def _replied(switch: Switch, sessions: Sequence[Session], present: Mapping[str, Channel]) -> frozenset[str]:
    """Which of the channels that may not have been dialled were, in truth. Asterisk keeps the cause of each SIP
    response to a channel's INVITE, of 100 too; one that had none may be dialled."""
    doubtful = [
        leg.channel_id
        for session in sessions
        for leg in session.live_legs()
        if _undecided(session, leg) and leg.state is LegState.CREATED and leg.channel_id in present
    ]
    replies = [await switch.get_variable(channel, "HANGUPCAUSE_KEYS()") for channel in doubtful]
    return frozenset(channel for channel, causes in zip(doubtful, replies, strict=True) if causes)


def _undecided(session: Session, leg: Leg) -> bool:
    """Nobody knows whether this leg was placed: its process is dead, or its link broke in between."""
    return session.task is None or leg.n in session.undecided


def compare(session: Session, found: Found, known: set[str]) -> None:
    """Bring one call up to what the server has. Pure of waiting, so that no event comes in between. ``known``:
    channels that were there to be listed; one made since is none of this comparison's business."""
    call = session.call
    session.entered = {
        *(channel for channel in session.entered if channel not in known),
        *(channel for channel in found.channels if ids.request_of(channel) == call.request_id),
    }
    for leg in session.live_legs():
        channel, past = found.channels.get(leg.channel_id), found.history.get(leg.channel_id)
        if _door_is_shut(session, leg, found):
            session.asked.setdefault(leg.n, "engine_restart")
            _ended_in_gap(session, leg, past, found.lost_at)
        elif channel is not None:
            _present(session, leg, channel, past, replied=channel.id in found.replied)
        elif leg.channel_id not in known:
            continue
        elif past is None and leg.state is LegState.CREATED:
            _never_seen(session, leg)
        else:
            _ended_in_gap(session, leg, past, found.lost_at)
    _compare_bridges(session, found.bridges)
    if session.task is None:
        _adopted(session)
    session.waiters.wake()


def _door_is_shut(session: Session, leg: Leg, found: Found) -> bool:
    """The caller came by FastAGI to a process that is dead, and is in the dialplan's hands since. Who was talking then
    is in ours still."""
    if session.task is not None or leg.role != "caller" or session.call.params.get("door") != AGI:
        return False
    return not any(
        leg.channel_id in bridge.channels
        for bridge in found.bridges
        if ids.request_of(bridge.id) == session.call.request_id
    )


def _adopted(session: Session) -> None:
    session.record(Kind.CALL_ADOPTED, engine=session.services.engine_id)
    caller = session.call.leg("caller")
    left = session.call.params.get("door") == AGI and caller is not None and not caller.alive
    if left or (not session.call.legs and not _placeable(session)):
        session.stop("engine_restart")


def _placeable(session: Session) -> bool:
    age = session.services.now() - session.call.began_at
    return age < FRESH and session.call.flow not in NEVER_PLACED_LATER


def _present(session: Session, leg: Leg, channel: Channel, past: History | None, *, replied: bool) -> None:
    now = session.services.now()
    session.entered.add(channel.id)
    if channel.state == "Up" and not leg.up:
        _dialed(session, leg, channel, now)
        at = (past.answered_at if past else None) or now
        session.record(Kind.LEG_ANSWERED, at=at, leg=leg.n)
    elif channel.state == "Ringing" and leg.state in EARLY:
        _dialed(session, leg, channel, now)
        session.record(Kind.LEG_RINGING, at=now, leg=leg.n)
    elif leg.state is LegState.CREATED and replied:
        _dialed(session, leg, channel, now)
    elif leg.state is LegState.CREATED and leg.role != "caller" and _undecided(session, leg):
        session.unplaced.add(leg.n)


def _dialed(session: Session, leg: Leg, channel: Channel, now: datetime) -> None:
    if leg.state is LegState.CREATED and leg.role != "caller":
        session.record(Kind.LEG_DIALING, at=now, leg=leg.n, channel=channel.name)


def _never_seen(session: Session, leg: Leg) -> None:
    """A row without a channel. While this process lives, the verb that made the row looks after it."""
    if not _undecided(session, leg):
        return
    if _placeable(session):
        session.unplaced.add(leg.n)
        return
    session.asked.setdefault(leg.n, "engine_restart" if session.task is None else "unplaced")
    end_leg(session, leg, session.services.now(), q850=None, sip_code=None, reconciled=True)


def _ended_in_gap(session: Session, leg: Leg, past: History | None, lost_at: datetime | None) -> None:
    if past and past.answered_at and not leg.up:
        session.record(Kind.LEG_ANSWERED, at=past.answered_at, leg=leg.n, reconciled=True)
    if past and past.ended_by_party:
        session.left_by.setdefault(leg.n, own_party(leg))
    elif past and _cancelled(session, leg, past):
        session.asked.setdefault(leg.n, "cancelled")
    at = past.ended_at if past else None
    if past and at is None and lost_at:  # Asterisk died without a word of it, and the link with it
        at = max(lost_at, leg.answered_at or leg.ringing_at or leg.created_at)
    end_leg(
        session,
        leg,
        at or session.services.now(),
        q850=past.cause if past else None,
        sip_code=None,
        reconciled=True,
    )


def _cancelled(session: Session, leg: Leg, past: History) -> bool:
    """Ended on our side before its time to ring was over: Asterisk was stopped."""
    if leg.answered_at or leg.role == "caller" or past.ended_at is None or past.cause not in (0, NORMAL_CLEARING):
        return False
    limits = session.account.limits
    longest = limits.agent_ring if leg.role == "agent" else limits.destination_ring
    return (past.ended_at - (leg.dialing_at or leg.created_at)).total_seconds() < longest


def _compare_bridges(session: Session, bridges: Sequence[BridgeInfo]) -> None:
    call = session.call
    mine = [bridge for bridge in bridges if ids.request_of(bridge.id) == call.request_id]
    session.bridges = {bridge.id for bridge in mine}
    legs = {leg.channel_id for leg in call.legs.values()}
    session.joined = {
        channel: bridge.id
        for bridge in bridges
        for channel in bridge.channels
        if channel in legs or bridge.id in session.bridges  # a room's bridge is no call's
    }
    up = [leg for leg in session.live_legs() if leg.up and leg.channel_id in session.joined]
    if mine and call.state is CallState.IN_FLOW and len(up) > 1:
        session.record(Kind.CALL_BRIDGED, bridge=mine[0].id, legs=[leg.n for leg in up])


async def sweep_forever(registry: Registry, every: float = SWEPT_EVERY) -> None:
    """Sweep each server that can be reached about every ``every`` seconds: a hang-up that a busy server did not answer
    leaves a channel that no event will tell of again."""
    while True:
        await asyncio.sleep(every * random.uniform(0.8, 1.2))
        for switch in registry.switches.values():
            if switch.up and switch.name in registry.settled:
                try:
                    await sweep(registry, switch)
                except (TelephonyError, StoreError) as error:
                    log.info("not_swept", server=switch.name, error=repr(error))


async def sweep(registry: Registry, switch: Switch) -> None:
    """End what nobody owns on this server. Raises TelephonyError, StoreAway."""
    channels, bridges = await asyncio.gather(switch.channels(), switch.bridges())
    await _end_ghosts(registry, switch, channels, bridges)


async def _end_ghosts(
    registry: Registry, switch: Switch, channels: Sequence[Channel], bridges: Sequence[BridgeInfo]
) -> None:
    """End channels and bridges of ours that belong to no live call of any engine: ghosts slow Asterisk down."""
    ours = {
        identifier: registry.owner(identifier)
        for identifier in _identifiers(channels, bridges)
        if ids.request_of(identifier)
    }
    ghosts = {identifier: call for identifier, call in ours.items() if call and call not in registry.sessions}
    if not ghosts:
        return
    owned = await registry.services.calls.is_live(list(set(ghosts.values())))
    swept = {identifier: call for identifier, call in ghosts.items() if call not in owned | registry.sessions.keys()}
    ending = {channel.id for channel in channels}
    for identifier in swept:
        log.warning("ghost_swept", id=identifier)
        try:
            await (switch.hangup(identifier) if identifier in ending else switch.destroy_bridge(identifier))
        except TelephonyError as error:
            log.info("ghost_kept", id=identifier, error=repr(error))


def _identifiers(channels: Sequence[Channel], bridges: Sequence[BridgeInfo]) -> list[str]:
    return [*(channel.id for channel in channels), *(bridge.id for bridge in bridges)]


async def adopt(registry: Registry) -> int:
    """Rebuild the calls that lived when this engine's last process ended; how many. Their flows start when their
    server was compared with them. Raises StoreAway."""
    services = registry.services
    adopted = 0
    for new, events in await services.calls.live(services.engine_id):
        account = await services.accounts.get(new.account)
        call = replay(events)
        if not call.alive:
            services.journal.append(closed(call))
        elif account is not None and new.request_id not in registry.sessions:
            switch = registry.switches.get(call.server or "") or next(iter(registry.switches.values()))
            session = registry.register(call, account, switch, resumed=True)
            session.stale = _still_playing(events)
            session.keys_taken = {n: len(leg.dtmf) for n, leg in call.legs.items()}
            adopted += 1
    return adopted


def _still_playing(events: Sequence[Event]) -> set[str]:
    """Playbacks that the last process left running; a channel can't be bridged while one runs."""
    started = {event.data["playback"] for event in events if event.kind is Kind.PLAY_STARTED}
    return started - {event.data["playback"] for event in events if event.kind is Kind.PLAY_ENDED}
