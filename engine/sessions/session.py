"""The live call: what verbs and flows hold in their hands.

A session owns the model of its call and is the only one to change it. Events from Asterisk are taken in at once, in
the reader's own turn (``deliver``); the flow, which is the call's one task, sees what has become of it when it wakes.
Nothing here is locked, because nothing here runs at the same time as something else.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from engine import ids
from engine.calls.account import Account
from engine.calls.events import Event, Kind
from engine.calls.model import Call, Leg
from engine.calls.states import IllegalMove
from engine.errors import TelephonyError, Unsupported
from engine.sessions.conversation import Consult, Conversation, Monitor
from engine.sessions.inbox import Inbox
from engine.sessions.services import Services, Waiters
from engine.store.port import CallEvent, JournalRecord, NewLeg
from engine.telephony.port import Door, Switch

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Session:
    call: Call
    account: Account
    switch: Switch
    services: Services
    resumed: bool = False
    """Built from the store after a restart."""
    requested: set[str] = field(default_factory=set)
    """Channels that this process has asked Asterisk to make."""
    entered: set[str] = field(default_factory=set)
    """Channels of ours that Asterisk has handed to us."""
    unplaced: set[int] = field(default_factory=set)
    """Legs that were committed, and that Asterisk has not dialled: to be placed."""
    undecided: set[int] = field(default_factory=set)
    """Legs whose placing was cut off; the comparison after the break decides."""
    gone: set[str] = field(default_factory=set)
    """Channels that Asterisk has destroyed, helpers (snoops) included."""
    recorders: set[str] = field(default_factory=set)
    """Recordings that Asterisk has begun."""
    asked: dict[int, str] = field(default_factory=dict)
    """Legs that we asked to end → why."""
    left_by: dict[int, str] = field(default_factory=dict)
    """Legs whose own party hung up → callee or caller."""
    returned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Channels that came back from a subroutine of the dialplan → its name and its results."""
    finished: dict[str, bool] = field(default_factory=dict)
    """Playbacks and recordings that are over → whether they went well."""
    messages: set[str] = field(default_factory=set)
    """Messages in Asterisk's recording folder, which are deleted with the call."""
    keys_taken: dict[int, int] = field(default_factory=dict)
    """Leg → how many of the keys that its party pressed a verb has taken."""
    stale: set[str] = field(default_factory=set)
    """Playbacks that the last process left running."""
    playing: dict[str, set[str]] = field(default_factory=dict)
    """Channel → the playbacks that run on it: a bridge that is to take the channel blocks until they are over."""
    talking: set[str] = field(default_factory=set)
    """Channels whose parties speak, where talk detection is set."""
    bridges: set[str] = field(default_factory=set)
    joined: dict[str, str] = field(default_factory=dict)
    """Channel → the bridge it was put into."""
    conversation: Conversation | None = None
    """Who talks with whom just now."""
    consult: Consult | None = None
    """An attended transfer under way."""
    monitor: Monitor | None = None
    """Who listens in."""
    slot: str | None = None
    """Where the call is just being parked: no other call is."""
    diverted: bool = False
    """A command took the call out of its flow: another one is to be entered."""
    inbox: Inbox = field(default_factory=Inbox)
    """What is wanted of the call from outside."""
    stop_reason: str | None = None
    """Why somebody outside wants the call to end: cancelled, timeout, abandoned."""
    result: str | None = None
    """What stands as the call's result when its flow is stopped before it gives one."""
    closing: bool = False
    """The flow is over; what is left is hung up and the end is written. Nothing stops that."""
    task: asyncio.Task[None] | None = None
    door: Door | None = None
    """By which the caller came, if not by Stasis; it is the call's switch too."""
    released: set[str] = field(default_factory=set)
    """Channels that went on in the dialplan: what becomes of them is not this call's."""
    background: asyncio.TaskGroup | None = None
    jobs: set[asyncio.Task[None]] = field(default_factory=set)
    waiters: Waiters = field(default_factory=Waiters)

    # -- what happens is written down ------------------------------------------------------------------------------

    def record(self, kind: Kind, *, at: datetime | None = None, leg: int | None = None, **data: Any) -> bool:
        """Take an event into the model and the journal; False when it does not fit the state, and is left out."""
        event = Event(kind, at or self.services.now(), leg, data, self.call.seq + 1)
        try:
            self.call.apply(event)
        except IllegalMove as error:
            log.debug("illegal_move", request_id=self.call.request_id, error=str(error))
            return False
        self.services.journal.append(CallEvent(self.call.request_id, event))
        self.waiters.wake()
        return True

    def keep(self, *records: JournalRecord) -> None:
        self.services.journal.append(*records)

    async def committed(self) -> None:
        """All that was recorded is durable. Raises StoreAway when it can't be."""
        await self.services.journal.committed()

    async def step(self, name: str) -> None:
        """Name where the flow stands. The journal is one ordered stream, so that whatever the flow commits next
        commits this first; there is nothing to wait for here."""
        if self.call.step != name:
            self.record(Kind.CALL_STEP, step=name)

    def new_leg(self, role: str, number: str, endpoint: str, *, attempt: int = 1, **known: Any) -> Leg:
        """Write down that a party is about to be tried. Its ids derive from the call and its ordinal."""
        n = max(self.call.legs, default=0) + 1
        request_id = self.call.request_id
        channel_id = known.pop("channel_id", None) or ids.channel_id(request_id, n)
        leg_id = ids.leg_id(request_id, n)
        created_at = known.pop("created_at", None) or self.services.now()
        self.keep(
            NewLeg(leg_id, request_id, n, role, number, endpoint, channel_id, attempt, self.switch.name, created_at)
        )
        self.record(
            Kind.LEG_CREATED, at=created_at, leg=n, leg_id=leg_id, role=role, number=number, endpoint=endpoint,
            channel_id=channel_id, attempt=attempt, server=self.switch.name, **known,
        )  # fmt: skip
        return self.call.legs[n]

    def require(self, leg: Leg, what: str) -> None:
        """Raises Unsupported where that party's door has no ``what``."""
        if self.door is not None and leg.channel_id == self.door.channel_id:
            raise Unsupported(what)

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def until(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``ready()``; it is asked after each event of this call. False after ``timeout`` seconds."""
        return await self.waiters.until(ready, timeout)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Do something beside the flow, within the call's scope: it ends with the call, and its error is the call's."""
        assert self.background is not None
        job = self.background.create_task(work, name=f"{name} {self.call.request_id}")
        self.jobs.add(job)
        job.add_done_callback(self.jobs.discard)
        return job

    # -- ending ----------------------------------------------------------------------------------------------------

    async def hangup(self, leg: Leg, why: str, *, cause: int = 16) -> None:
        """Ask Asterisk to end a leg; that it has ended is told by its event."""
        if not leg.alive:
            return
        self.asked.setdefault(leg.n, why)
        await self.switch.hangup(leg.channel_id, cause=cause)

    def stop(self, reason: str) -> None:
        """Have the call end: its flow is cancelled, its legs are hung up, its CDR is written."""
        if self.stop_reason is None and not self.closing:
            self.stop_reason = reason
            if self.task is not None:
                self.task.cancel()

    def divert(self, flow: str, params: Mapping[str, Any], leg: Leg) -> None:
        """Take the call out of its flow, which is cancelled with its jobs, and into another, which is about ``leg``."""
        if self.stop_reason is None and not self.closing and self.task is not None:
            self.record(Kind.CALL_DIVERTED, flow=flow, params=dict(params), party=leg.n)
            self.diverted = True
            self.task.cancel()

    def live_legs(self) -> list[Leg]:
        return [leg for leg in self.call.legs.values() if leg.alive]

    async def attempt(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do all of it, at once; what Asterisk refuses is logged: events tell what became of the channels."""
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, TelephonyError):
                log.info("refused", request_id=self.call.request_id, error=repr(outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
