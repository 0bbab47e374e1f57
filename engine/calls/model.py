"""A call and its legs, built from events and from nothing else: live, after a restart, and when a call is replayed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.calls.events import Event, Kind
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

    @property
    def alive(self) -> bool:
        return self.state is not CallState.ENDED

    def leg(self, role: str, attempt: int | None = None) -> Leg | None:
        """The latest leg of that role (and attempt)."""
        for leg in reversed(self.legs.values()):
            if leg.role == role and attempt in (None, leg.attempt):
                return leg
        return None

    def principal(self) -> Leg | None:
        """The party dialled last, whose fate is the call's: a dialled leg, else the only party there is. One that was
        given up because another of those dialled at the same time answered is not it."""
        dialled = [leg for leg in self.legs.values() if leg.role in _DIALLED]
        candidates = dialled or list(self.legs.values())
        if candidates and candidates[-1].why == "elsewhere":
            candidates = [leg for leg in candidates if leg.answered_at] or candidates
        return candidates[-1] if candidates else None

    def apply(self, event: Event) -> None:
        """Take ``event`` in. Raises IllegalMove, and then nothing has changed."""
        leg = self.legs.get(event.leg) if event.leg is not None else None
        after = next_call_state(self.state, event.kind)
        if leg is not None and event.kind is not Kind.LEG_CREATED:
            leg.state = next_leg_state(leg.state, event.kind)
        if apply := _APPLY.get(event.kind):
            apply(self, leg, event)
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
    )


def _step(call: Call, _leg: Leg | None, event: Event) -> None:
    call.step = event.data["step"]


def _bridged(call: Call, _leg: Leg | None, event: Event) -> None:
    call.bridged_at = call.bridged_at or event.at


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
    if leg.role != "agent" and leg is call.principal():
        call.answered_at = event.at


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
    call.recording_name = event.data.get("recording_name", call.recording_name)
    call.transcript_recording = event.data.get("transcript_recording", call.transcript_recording)


_APPLY: Mapping[Kind, Callable[[Call, Leg | None, Event], None]] = {
    Kind.CALL_STEP: _step,
    Kind.CALL_BRIDGED: _bridged,
    Kind.CALL_ENDED: _ended,
    Kind.LEG_CREATED: _leg_created,
    Kind.LEG_DIALING: _leg_dialing,
    Kind.LEG_RINGING: _leg_ringing,
    Kind.LEG_PROGRESS: _leg_progress,
    Kind.LEG_ANSWERED: _leg_answered,
    Kind.LEG_HELD: _leg_held,
    Kind.LEG_RESUMED: _leg_resumed,
    Kind.LEG_MUTED: _leg_muted,
    Kind.LEG_DTMF: _leg_dtmf,
    Kind.LEG_ENDED: _leg_ended,
    Kind.RECORDING_STARTED: _recording_started,
}
