"""A call and its legs, built from events and from nothing else: live, after a restart, and when a call is replayed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.calls.events import Event, Kind
from engine.calls.rooms import Membership, take
from engine.calls.states import CallState, LegState, next_call_state, next_leg_state


@dataclass(slots=True)
class Leg:
    """One channel. ``n`` is its ordinal within the call; ids derive from it, so that they are known before Asterisk."""

    n: int
    leg_id: str
    role: str
    """agent, customer, caller, target, member or monitor."""
    number: str
    endpoint: str
    channel_id: str
    created_at: datetime
    attempt: int = 1
    state: LegState = LegState.CREATED
    channel: str | None = None
    dialing_at: datetime | None = None
    ringing_at: datetime | None = None
    progress_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    sip_code: int | None = None
    q850: int | None = None
    hangup_by: str | None = None
    """callee, caller, peer, engine or network."""
    why: str | None = None
    """Why we ended it: ring_timeout, cancelled, elsewhere, peer, limit, flow, engine_restart, unplaced; null
    when we did not."""
    dtmf: str = ""
    reconciled: bool = False
    conversation: int = 0
    """Ordinal of the conversation that it was dialled for: 0, or the one that a transfer wants."""
    other: int | None = None
    """Whom it was dialled for, by a transfer."""
    held_from: str | None = None
    """The bridge that it comes back to, of a leg that a command holds; null when it isn't held, or its own phone does."""
    muted: str = ""
    """in (it is not heard), out (it hears nothing), both, or nothing of it."""

    @property
    def alive(self) -> bool:
        return self.state is not LegState.ENDED

    @property
    def up(self) -> bool:
        return self.state in (LegState.UP, LegState.HELD)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One under way. ``how``: blind, attended or retrieve. ``transferer`` and ``transferee`` are ordinals of legs;
    nobody transfers a party that is alone. ``conversation``: the one that there will be. ``attempt``: of its target."""

    how: str
    transferee: int
    transferer: int | None
    conversation: int
    attempt: int
    to: str
    caller_id: str
    by_phone: bool = False


@dataclass(frozen=True, slots=True)
class Diversion:
    """Where a call went when a command took it out of its flow: the flow it is in now. ``leg``: whom that is about."""

    flow: str
    params: Mapping[str, Any]
    leg: int | None = None


@dataclass(slots=True)
class Recording:
    """One that runs. ``sides``: agent and customer → the file of that side; ``option`` as it was ordered."""

    name: str
    option: str
    sides: Mapping[str, str]
    paused: bool = False


@dataclass(slots=True)
class Call:
    """What a customer asked for, or what came in."""

    request_id: str
    account: str
    flow: str
    direction: str
    """outbound or inbound."""
    created_at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the flow, JSON values."""
    campaign_id: str | None = None
    server: str | None = None
    """Name of the Asterisk server it began on, where it stays."""
    state: CallState = CallState.QUEUED
    step: str | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    result: str | None = None
    reconciled: bool = False
    recording_name: str | None = None
    transcript_recording: str | None = None
    """Name of a recording that is made to be transcribed and then deleted; nobody asked to keep it."""
    legs: dict[int, Leg] = field(default_factory=dict)
    seq: int = 0
    bridged_at: datetime | None = None
    conversation: int = 0
    """The one that is on: 0 is what the call was made for, each transfer begins another."""
    conversation_ends: dict[int, datetime] = field(default_factory=dict)
    """Of those that ended before the call."""
    parties: tuple[int, ...] = ()
    """Who talks, since somebody has."""
    recordings: list[str] = field(default_factory=list)
    """Names of all of them, in turn; messages that a caller left are none."""
    recorded: dict[int, str] = field(default_factory=dict)
    """Conversation → name of its first recording."""
    recording: Recording | None = None
    transfer: Transfer | None = None
    transfers: int = 0
    slot: str | None = None
    """Where it is parked."""
    diversion: Diversion | None = None
    scheduled_at: datetime | None = None
    """When it is, or was, to be dialled; null: at once."""
    placed_at: datetime | None = None
    """When a scheduled call's time had come."""
    room: Membership | None = None
    """The conference room that it is, or was, in."""

    @property
    def first(self) -> Leg:
        """The party that the call's flow is about, when it is about one: who called, unless a diversion says another."""
        return self.legs[(self.diversion.leg if self.diversion else None) or 1]

    @property
    def began_at(self) -> datetime:
        """From when on it could dial."""
        return self.placed_at or self.created_at

    @property
    def alive(self) -> bool:
        return self.state is not CallState.ENDED

    def leg(self, role: str, attempt: int | None = None) -> Leg | None:
        """The latest leg of that role (and attempt)."""
        for leg in reversed(self.legs.values()):
            if leg.role == role and attempt in (None, leg.attempt):
                return leg
        return None

    def principal(self, conversation: int = 0) -> Leg | None:
        """The party dialled last for a conversation, whose fate is its: a dialled leg, else the only party there is. One
        that was given up because another of those dialled at the same time answered is not it. A campaign's call is about
        its contact, whomever it connected the contact to."""
        if self.campaign_id is not None and conversation == 0 and (contact := self.leg("customer")) is not None:
            return contact
        meant = [leg for leg in self.legs.values() if leg.conversation == conversation and leg.role != "monitor"]
        dialled = [leg for leg in meant if leg.role in _DIALLED]
        candidates = dialled or meant
        if candidates and candidates[-1].why == "elsewhere":
            answered = [leg for leg in candidates if leg.answered_at]
            candidates = [leg for leg in answered if leg.why != "elsewhere"] or answered or candidates
        return candidates[-1] if candidates else None

    def apply(self, event: Event) -> None:
        """Take ``event`` in. Raises IllegalMove, and then nothing has changed."""
        leg = self.legs.get(event.leg) if event.leg is not None else None
        after = next_call_state(self.state, event.kind)
        if leg is not None and event.kind is not Kind.LEG_CREATED:
            leg.state = next_leg_state(leg.state, event.kind)
        if apply := _APPLY.get(event.kind):
            apply(self, leg, event)
        elif event.kind.startswith("room."):
            self.room = take(self.room, event)
        self.state = after
        self.seq = max(self.seq, event.seq)
        if event.data.get("reconciled"):
            self.reconciled = True


_DIALLED = frozenset({"customer", "target", "member"})


def replay(events: Iterable[Event]) -> Call:
    """The call that these events make; the first one must be ``call.created``."""
    iterator = iter(events)
    first = next(iterator)
    if first.kind is not Kind.CALL_CREATED:
        raise ValueError(f"a timeline begins with call.created, not {first.kind}")
    call = created(first)
    for event in iterator:
        call.apply(event)
    return call


def created(event: Event) -> Call:
    data = event.data
    return Call(
        request_id=data["request_id"],
        account=data["account"],
        flow=data["flow"],
        direction=data["direction"],
        created_at=event.at,
        params=data.get("params", {}),
        campaign_id=data.get("campaign_id"),
        server=data.get("server"),
        state=CallState(data.get("state", CallState.QUEUED)),
        recording_name=data.get("recording_name"),
        seq=event.seq,
        scheduled_at=_time(data.get("scheduled_at")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _changed(call: Call, _leg: Leg | None, event: Event) -> None:
    call.params = event.data["params"]
    call.scheduled_at = _time(event.data.get("scheduled_at"))


def _placed(call: Call, _leg: Leg | None, event: Event) -> None:
    call.placed_at = event.at
    call.server = event.data.get("server", call.server)
    call.params = event.data.get("params", call.params)


def _step(call: Call, _leg: Leg | None, event: Event) -> None:
    call.step = event.data["step"]


def _bridged(call: Call, _leg: Leg | None, event: Event) -> None:
    call.bridged_at = call.bridged_at or event.at
    call.parties = tuple(event.data.get("legs", call.parties))


def _transferring(call: Call, _leg: Leg | None, event: Event) -> None:
    """What is known of a transfer under way. A blind one ends the conversation at once."""
    data = event.data
    call.transfer = Transfer(
        how=data["how"],
        transferee=data["transferee"],
        transferer=data["transferer"],
        conversation=data["conversation"],
        attempt=data["attempt"],
        to=data["to"],
        caller_id=data["caller_id"],
        by_phone=data.get("by_phone", False),
    )
    call.transfers += 1
    call.diversion = Diversion("conversation", {"bridge": data["bridge"]})
    if call.transfer.how == "blind":
        call.conversation_ends.setdefault(call.conversation, event.at)
        call.parties = (call.transfer.transferee,)


def _transferred(call: Call, _leg: Leg | None, event: Event) -> None:
    call.conversation_ends.setdefault(call.conversation, event.at)
    call.conversation = event.data["conversation"]
    call.parties = tuple(event.data["legs"])
    call.transfer = call.slot = None
    call.diversion = Diversion("conversation", {"bridge": event.data["bridge"]})


def _transfer_failed(call: Call, _leg: Leg | None, _event: Event) -> None:
    call.transfer = None


def _parked(call: Call, _leg: Leg | None, event: Event) -> None:
    call.conversation_ends.setdefault(call.conversation, event.at)
    call.slot = event.data["slot"]
    call.diversion = Diversion("conversation", {"bridge": event.data["bridge"]})
    call.parties = (event.data["party"],)


def _diverted(call: Call, _leg: Leg | None, event: Event) -> None:
    data = event.data
    call.diversion = Diversion(data["flow"], data.get("params", {}), data.get("party"))
    if data["flow"] != "conversation":
        call.slot = None


def _ended(call: Call, _leg: Leg | None, event: Event) -> None:
    call.ended_at = event.at
    call.end_reason = event.data["end_reason"]
    call.result = event.data.get("result")


def _leg_created(call: Call, _leg: Leg | None, event: Event) -> None:
    assert event.leg is not None
    data = event.data
    call.legs[event.leg] = Leg(
        n=event.leg,
        leg_id=data["leg_id"],
        role=data["role"],
        number=data["number"],
        endpoint=data["endpoint"],
        channel_id=data["channel_id"],
        channel=data.get("channel"),
        attempt=data.get("attempt", 1),
        created_at=event.at,
        conversation=data.get("conversation", 0),
        other=data.get("other"),
    )
    call.server = data.get("server", call.server)


def _leg_dialing(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.dialing_at = event.at
        leg.channel = event.data.get("channel", leg.channel)


def _leg_ringing(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.ringing_at = event.at


def _leg_progress(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.progress_at = leg.progress_at or event.at


def _leg_answered(call: Call, leg: Leg | None, event: Event) -> None:
    if not leg:
        return
    leg.answered_at = event.at
    leg.reconciled = leg.reconciled or bool(event.data.get("reconciled"))
    first_of_several = call.answered_at is None and leg.role in _DIALLED
    if first_of_several or (leg.role != "agent" and leg is call.principal()):
        call.answered_at = event.at


def _leg_moved(_call: Call, leg: Leg | None, event: Event) -> None:
    """Its channel lives on in another call."""
    if leg:
        leg.ended_at, leg.hangup_by, leg.why = event.at, "engine", "moved"


def _leg_held(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.held_from = event.data.get("bridge")


def _leg_resumed(_call: Call, leg: Leg | None, _event: Event) -> None:
    if leg:
        leg.held_from = None


def _leg_muted(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.muted = event.data["muted"]


def _leg_dtmf(_call: Call, leg: Leg | None, event: Event) -> None:
    if leg:
        leg.dtmf += event.data["digit"]


def _leg_ended(_call: Call, leg: Leg | None, event: Event) -> None:
    if not leg:
        return
    data = event.data
    leg.ended_at = event.at
    leg.sip_code, leg.q850 = data.get("sip_code"), data.get("q850")
    leg.hangup_by, leg.why = data.get("hangup_by"), data.get("why")
    leg.reconciled = leg.reconciled or bool(data.get("reconciled"))


def _recording_started(call: Call, _leg: Leg | None, event: Event) -> None:
    data = event.data
    call.transcript_recording = data.get("transcript_recording", call.transcript_recording)
    name = data.get("recording_name")
    if name is None:
        return
    call.recording_name = call.recording_name or name
    call.recorded.setdefault(call.conversation, name)
    if "message" not in data:
        call.recordings.append(name)
        call.recording = Recording(name, data.get("option", "both"), data.get("sides", {}))


def _recording_paused(call: Call, _leg: Leg | None, event: Event) -> None:
    if call.recording:
        call.recording.paused = event.kind is Kind.RECORDING_PAUSED


def _recording_stopped(call: Call, _leg: Leg | None, _event: Event) -> None:
    call.recording = None


_APPLY: Mapping[Kind, Callable[[Call, Leg | None, Event], None]] = {
    Kind.CALL_CHANGED: _changed,
    Kind.CALL_PLACED: _placed,
    Kind.CALL_STEP: _step,
    Kind.CALL_BRIDGED: _bridged,
    Kind.CALL_TRANSFERRING: _transferring,
    Kind.CALL_TRANSFERRED: _transferred,
    Kind.CALL_TRANSFER_FAILED: _transfer_failed,
    Kind.CALL_PARKED: _parked,
    Kind.CALL_DIVERTED: _diverted,
    Kind.CALL_ENDED: _ended,
    Kind.LEG_CREATED: _leg_created,
    Kind.LEG_DIALING: _leg_dialing,
    Kind.LEG_RINGING: _leg_ringing,
    Kind.LEG_PROGRESS: _leg_progress,
    Kind.LEG_ANSWERED: _leg_answered,
    Kind.LEG_MOVED: _leg_moved,
    Kind.LEG_HELD: _leg_held,
    Kind.LEG_RESUMED: _leg_resumed,
    Kind.LEG_MUTED: _leg_muted,
    Kind.LEG_DTMF: _leg_dtmf,
    Kind.LEG_ENDED: _leg_ended,
    Kind.RECORDING_STARTED: _recording_started,
    Kind.RECORDING_PAUSED: _recording_paused,
    Kind.RECORDING_RESUMED: _recording_paused,
    Kind.RECORDING_STOPPED: _recording_stopped,
}
