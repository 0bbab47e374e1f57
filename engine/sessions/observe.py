"""From what Asterisk tells to what happened in the call. Runs in the reader's turn: short, and never waits."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.states import LegState
from engine.ids import request_of
from engine.sessions.refer import refer
from engine.sessions.session import Session
from engine.telephony import events as t

NORMAL_CLEARING = 16
"""Q.850."""
NO_ANSWER_TO_INVITE = 408
"""What Asterisk itself puts down when no packet came back (RFC 3261, timer B)."""

RETURN = "return"
"""First Stasis argument of a channel that comes back from ``dialplan/trunkline.conf``."""

EARLY = (LegState.CREATED, LegState.DIALING)


def deliver(session: Session, event: t.TelephonyEvent) -> None:
    """Take one event in, and wake the flow if it waited for it."""
    observer = _OBSERVERS.get(type(event))
    if observer is not None:
        observer(session, event)
        session.waiters.wake()


def leg_of(session: Session, channel_id: str) -> Leg | None:
    """The latest: a channel of another call that could not be taken may be taken at the second try."""
    for leg in reversed(session.call.legs.values()):
        if leg.channel_id == channel_id:
            return leg
    return None


def _entered(session: Session, event: t.ChannelEntered) -> None:
    session.entered.add(event.channel.id)
    if event.args[:1] == (RETURN,):
        session.returned[event.channel.id] = event.args[1:]


def _dialing(session: Session, event: t.ChannelDialing) -> None:
    leg = leg_of(session, event.channel.id)
    if leg and leg.state is LegState.CREATED:
        session.record(Kind.LEG_DIALING, at=event.at, leg=leg.n, channel=event.channel.name)


def _ringing(session: Session, event: t.ChannelRinging) -> None:
    leg = leg_of(session, event.channel.id)
    if leg and leg.state in EARLY:
        _was_dialed(session, leg, event.at, event.channel.name)
        session.record(Kind.LEG_RINGING, at=event.at, leg=leg.n)


def _progress(session: Session, event: t.ChannelProgress) -> None:
    leg = leg_of(session, event.channel.id)
    if leg and leg.alive and leg.progress_at is None:
        session.record(Kind.LEG_PROGRESS, at=event.at, leg=leg.n)


def _up(session: Session, event: t.ChannelUp) -> None:
    leg = leg_of(session, event.channel.id)
    if leg and leg.alive and leg.answered_at is None:
        _was_dialed(session, leg, event.at, event.channel.name)
        session.record(Kind.LEG_ANSWERED, at=event.at, leg=leg.n)


def _was_dialed(session: Session, leg: Leg, at: datetime, channel: str) -> None:
    """A later fact implies the earlier one, if that was lost with the link."""
    if leg.state is LegState.CREATED and leg.role != "caller":
        session.record(Kind.LEG_DIALING, at=at, leg=leg.n, channel=channel)


def _hangup_requested(session: Session, event: t.ChannelHangupRequested) -> None:
    leg = leg_of(session, event.channel.id)
    if leg is None or leg.n in session.asked:
        return
    if event.ours:
        session.asked[leg.n] = "limit" if leg.up else "ring_timeout"
    else:
        session.left_by.setdefault(leg.n, own_party(leg))


def own_party(leg: Leg) -> str:
    return "caller" if leg.role == "caller" else "callee"


def _left(session: Session, event: t.ChannelLeft) -> None:
    """A channel that the dialplan gave us: Asterisk tells us of its hang-up and that it left us, but not of its end,
    for its events are ours only while it is. One that was sent on in the dialplan lives, and nobody asked for its end.
    """
    leg = leg_of(session, event.channel.id)
    if leg is not None and request_of(leg.channel_id) is None and (leg.n in session.left_by or leg.n in session.asked):
        session.gone.add(event.channel.id)
        end_leg(session, leg, event.at, q850=NORMAL_CLEARING, sip_code=None)


def _gone(session: Session, event: t.ChannelGone) -> None:
    session.gone.add(event.channel.id)
    leg = leg_of(session, event.channel.id)
    if leg:
        end_leg(session, leg, event.at, q850=event.cause, sip_code=event.sip_code)


def end_leg(
    session: Session, leg: Leg, at: datetime, *, q850: int | None, sip_code: int | None, reconciled: bool = False
) -> None:
    """Write a leg's end down, with who ended it. A SIP code of a leg that we ended is Asterisk's invention."""
    by, why = session.left_by.get(leg.n), session.asked.get(leg.n)
    if why is None and sip_code == NO_ANSWER_TO_INVITE and not (leg.ringing_at or leg.progress_at):
        by = "network"
    elif by is None and why is None:
        by = own_party(leg) if sip_code is not None else "network"
    elif by is None:
        by, sip_code = "peer" if why == "peer" else "engine", None
    else:
        why = None
    extra = {"reconciled": True} if reconciled else {}
    session.record(Kind.LEG_ENDED, at=at, leg=leg.n, q850=q850, sip_code=sip_code, hangup_by=by, why=why, **extra)


def _dtmf(session: Session, event: t.DtmfReceived) -> None:
    leg = leg_of(session, event.channel.id)
    if leg:
        session.record(Kind.LEG_DTMF, at=event.at, leg=leg.n, digit=event.digit, duration_ms=event.duration_ms)


def _hold(session: Session, event: t.HoldChanged) -> None:
    leg = leg_of(session, event.channel.id)
    if leg:
        session.record(Kind.LEG_HELD if event.held else Kind.LEG_RESUMED, at=event.at, leg=leg.n)


def _transfer_requested(session: Session, event: t.TransferRequested) -> None:
    leg = leg_of(session, event.channel.id)
    if leg and leg.up and session.background is not None and not session.diverted and session.stop_reason is None:
        session.spawn(refer(session, leg, event), "refer")


def _talking(session: Session, event: t.TalkingChanged) -> None:
    (session.talking.add if event.talking else session.talking.discard)(event.channel.id)


def _playback_ended(session: Session, event: t.PlaybackEnded) -> None:
    session.finished[event.playback_id] = not event.failed


def _recording_started(session: Session, event: t.RecordingStarted) -> None:
    session.recorders.add(event.name)


def _recording_ended(session: Session, event: t.RecordingEnded) -> None:
    session.finished[event.name] = not event.failed


_OBSERVERS: dict[type[t.TelephonyEvent], Callable[[Session, Any], None]] = {
    t.ChannelEntered: _entered,
    t.ChannelDialing: _dialing,
    t.ChannelRinging: _ringing,
    t.ChannelProgress: _progress,
    t.ChannelUp: _up,
    t.ChannelHangupRequested: _hangup_requested,
    t.ChannelLeft: _left,
    t.ChannelGone: _gone,
    t.DtmfReceived: _dtmf,
    t.HoldChanged: _hold,
    t.TransferRequested: _transfer_requested,
    t.TalkingChanged: _talking,
    t.PlaybackEnded: _playback_ended,
    t.RecordingStarted: _recording_started,
    t.RecordingEnded: _recording_ended,
}
