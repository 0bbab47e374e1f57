"""All live calls of this engine, and the way of an event to its call: O(1), never waiting for a flow."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from engine import ids
from engine.calls.account import Account
from engine.calls.events import Event, Kind
from engine.calls.model import Call, created
from engine.errors import NotFound, StateConflict, StoreAway, Unavailable
from engine.sessions import scope
from engine.sessions.inbox import Order
from engine.sessions.observe import deliver, leg_of
from engine.sessions.services import Services
from engine.sessions.session import Session
from engine.store.port import CallEvent, NewCall
from engine.telephony import events as t
from engine.telephony.port import Switch

log = structlog.get_logger(__name__)

GRACE = 1.0
"""Seconds beyond an order's own time after which nobody waits for its answer."""

Arrive = Callable[["Registry", t.ChannelEntered], None]
"""What is done with a channel that the dialplan sent into our application."""


@dataclass(slots=True)
class Registry:
    services: Services
    switches: Mapping[str, Switch]
    arrive: Arrive
    on_link: Callable[[t.TelephonyEvent], None]
    """Told of lost and restored links."""
    sessions: dict[str, Session] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    """Channels whose id Asterisk chose (they came in) → request id."""
    early: dict[str, list[t.TelephonyEvent]] = field(default_factory=dict)
    """Events of a channel that came in, while its call is being written down."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    live: Counter[str] = field(default_factory=Counter)
    """Account → live calls."""
    on_server: Counter[str] = field(default_factory=Counter)
    settled: set[str] = field(default_factory=set)
    """Servers whose channels were compared with our calls since the link came up."""
    lost_at: dict[str, datetime] = field(default_factory=dict)
    """Server → when its link was last known to stand before it broke, or the engine did."""
    draining: bool = False

    # -- events ----------------------------------------------------------------------------------------------------

    def dispatch(self, event: t.TelephonyEvent) -> None:
        """Hand an event to the call it belongs to. The links' reader calls this: it must not wait."""
        if isinstance(event, t.LinkLost | t.LinkRestored):
            if isinstance(event, t.LinkLost):
                self.lost_at[event.server] = event.at
            self.on_link(event)
            return
        identifier = _identifier(event)
        session = self.holder(identifier)
        if session is not None:
            deliver(session, event)
            if isinstance(event, t.ChannelEntered) and _given_up(session, identifier):
                self._ghost(event)
        elif identifier in self.early:
            self.early[identifier].append(event)
        elif isinstance(event, t.ChannelEntered):
            self._unexpected(event)

    def owner(self, identifier: str) -> str | None:
        """The call that a channel, or what hangs on it, belongs to: by its id, unless it came in or moved."""
        moved = self.foreign.get(identifier) or self.foreign.get(identifier.rpartition(".")[0])
        return moved or ids.request_of(identifier)

    def session_with(self, channel: str) -> Session | None:
        """The live call that a channel is in."""
        return self.sessions.get(self.owner(channel) or "")

    def holder(self, identifier: str) -> Session | None:
        """That call, if it lives here, and did not let the channel go on in the dialplan."""
        request_id = self.owner(identifier)
        session = self.sessions.get(request_id) if request_id else None
        return None if session is None or identifier in session.released else session

    def move(self, channel_id: str, request_id: str) -> None:
        """Events of the channel go to that call from now on."""
        self.foreign[channel_id] = request_id

    def _unexpected(self, event: t.ChannelEntered) -> None:
        if ids.request_of(event.channel.id) is None:
            self.early[event.channel.id] = [event]
            self.arrive(self, event)
        elif event.server in self.settled:
            self._ghost(event)

    def _ghost(self, event: t.ChannelEntered) -> None:
        log.warning("ghost", channel=event.channel.id)
        self.spawn(self._end_ghost(event.server, event.channel.id), "ghost")

    async def _end_ghost(self, server: str, channel_id: str) -> None:
        await self.switches[server].hangup(channel_id)

    # -- calls -----------------------------------------------------------------------------------------------------

    def choose(self) -> Switch:
        """The healthy server with the fewest calls. Raises Unavailable."""
        healthy = [switch for switch in self.switches.values() if switch.up and switch.name in self.settled]
        if not healthy:
            raise Unavailable("no Asterisk server can be reached", retry_after=2)
        return min(healthy, key=lambda switch: self.on_server[switch.name])

    async def start(self, new: NewCall, account: Account, switch: Switch) -> None:
        """Write a call down and run its flow at once: the row of its first attempt, without which the flow does not
        dial, then goes to PostgreSQL together with the row of the call. Returns when the call is committed. Raises
        StoreAway, and then there is no call: its flow got no further than to that commit."""
        session = self._write_down(new, account, switch)
        self.run(session)
        try:
            await self.services.journal.committed()
        except StoreAway:
            session.stop(scope.ABANDONED)
            self.forget(session)
            raise

    async def begin(self, new: NewCall, account: Account, switch: Switch) -> Session:
        """Write a call down, whose flow is to be run when it is committed. Raises StoreAway, and then there is no
        call."""
        session = self._write_down(new, account, switch)
        try:
            await self.services.journal.committed()
        except StoreAway:
            self.forget(session)
            raise
        return session

    def _write_down(self, new: NewCall, account: Account, switch: Switch) -> Session:
        event = _created_event(new, switch)
        session = self.register(created(event), account, switch)
        self.services.journal.append(new, CallEvent(new.request_id, event))
        return session

    def register(self, call: Call, account: Account, switch: Switch, *, resumed: bool = False) -> Session:
        session = Session(call, account, switch, self.services, resumed=resumed)
        self.sessions[call.request_id] = session
        self.live[account.account] += 1
        self.on_server[switch.name] += 1
        for leg in call.legs.values():
            if ids.request_of(leg.channel_id) != call.request_id and leg.alive:
                self.foreign[leg.channel_id] = call.request_id
        return session

    def forget(self, session: Session) -> None:
        if self.sessions.pop(session.call.request_id, None) is None:
            return
        self.live[session.account.account] -= 1
        self.on_server[session.switch.name] -= 1
        for leg in session.call.legs.values():
            if self.foreign.get(leg.channel_id) == session.call.request_id:
                del self.foreign[leg.channel_id]

    def take_up(self, call: Call, account: Account, switch: Switch) -> Session:
        """Run the flow of a call whose beginning is committed: one that was due."""
        session = self.register(call, account, switch)
        self.run(session)
        return session

    def run(self, session: Session) -> None:
        """Run a registered call in a task of its own."""
        session.task = self.spawn(self._run(session), f"call {session.call.request_id}")

    async def _run(self, session: Session) -> None:
        flow = self.services.flow_of(session.call.flow) or _no_such_flow
        try:
            await scope.run(session, flow)
        except Exception:
            log.exception("call_lost", request_id=session.call.request_id)
        finally:
            self.forget(session)

    def spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", task=task.get_name(), error=repr(error))

    # -- what commands ask -----------------------------------------------------------------------------------------

    def find(self, request_id: str) -> Call | None:
        """A call that lives here. One whose end is not committed yet is the store's to tell of, as it stands there."""
        session = self.sessions.get(request_id)
        return session.call if session and session.call.alive else None

    def live_calls(self, account: str) -> int:
        return self.live[account]

    def accepting(self) -> None:
        """Raises Unavailable while no call can be taken."""
        if self.draining:
            raise Unavailable("the engine is stopping", retry_after=5)
        self.choose()

    async def end_call(self, request_id: str) -> None:
        """Have a live call end; returns when its end is on its way. Raises NotFound, StateConflict."""
        session = self.sessions.get(request_id)
        if session is None:
            raise NotFound("no such live call")
        if session.stop_reason is not None or session.closing:
            raise StateConflict("the call is ending already")
        session.stop("cancelled")

    def parked(self, account: str) -> Mapping[str, str]:
        """The account's slots that are taken → request ids."""
        return {
            slot: session.call.request_id
            for session in self.sessions.values()
            if (slot := session.call.slot or session.slot) is not None
            and session.account.account == account
            and session.call.alive
        }

    def channel(self, account: str, name: str) -> tuple[str, str, str] | None:
        """Request id, leg id, and id of the leg that talks with it (empty: none), of the live channel of that name."""
        for session in self.sessions.values():
            if session.account.account != account:
                continue
            for leg in session.live_legs():
                if leg.channel == name:
                    others = session.conversation.others(leg) if session.conversation else []
                    return session.call.request_id, leg.leg_id, others[0].leg_id if others else ""
        return None

    async def control(self, request_id: str, order: Order) -> Mapping[str, Any]:
        """Have a live call do what is ordered; what it has to tell. Raises NotFound when no such call lives here, and what
        the order raises; Unavailable when it was not done in time."""
        session = self.sessions.get(request_id)
        if session is None:
            raise NotFound("no such live call")
        session.inbox.put(session, order)
        try:
            async with asyncio.timeout(order.within + GRACE):
                return await order.outcome
        except TimeoutError:
            raise Unavailable("the call did not take the command in time", retry_after=2) from None

    def abandon(self) -> Sequence[asyncio.Task[None]]:
        """Leave every call as it is in Asterisk, for the next engine to adopt."""
        for session in list(self.sessions.values()):
            session.stop(scope.ABANDONED)
        return list(self.tasks)


def _given_up(session: Session, channel: str) -> bool:
    """A leg that we called has ended for us before Asterisk had made its channel: the hang-up came too early for it."""
    leg = leg_of(session, channel)
    return leg is not None and not leg.alive and ids.request_of(channel) is not None


async def _no_such_flow(session: Session, _params: Mapping[str, Any]) -> str | None:
    session.record(Kind.CALL_REFUSED, rule="flow", flow=session.call.flow)
    if session.door is not None:
        await session.door.tell(TRUNKLINE_ERROR=f"no flow is called {session.call.flow}")
    raise LookupError(f"no flow is called {session.call.flow!r}")


def _created_event(new: NewCall, switch: Switch) -> Event:
    data = {
        "request_id": new.request_id,
        "account": new.account,
        "flow": new.flow,
        "direction": new.direction,
        "params": dict(new.params),
        "campaign_id": new.campaign_id,
        "server": switch.name,
    }
    return Event(Kind.CALL_CREATED, new.created_at, None, data, seq=1)


def _identifier(event: t.TelephonyEvent) -> str:
    match event:
        case t.PlaybackStarted() | t.PlaybackEnded():
            return event.playback_id
        case t.RecordingStarted() | t.RecordingEnded():
            return event.name
        case _:
            channel: t.Channel = event.channel  # type: ignore[attr-defined]
            return channel.id
