"""The call as a scope: whatever happens inside, leaving it hangs up what is left and writes exactly one end."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from engine.calls import disposition
from engine.calls.events import Kind
from engine.calls.model import Call, Leg
from engine.calls.record import records
from engine.calls.states import LegState
from engine.errors import Forbidden, StoreAway
from engine.sessions.observe import end_leg, leg_of
from engine.sessions.services import Flow
from engine.sessions.session import Session
from engine.store.port import ClosedCall, LegRow

log = structlog.get_logger(__name__)

LEGS_END_WITHIN = 5.0
"""Seconds that Asterisk has to tell of the end of legs we hung up; then the best time known is written."""

HANGUP_TRIES = 12
"""Times that hanging up is tried while the link is away."""
LEG_ENTERS_WITHIN = 1.0
"""Seconds from asking for a channel until Asterisk has made it, or never will."""

DURATION_GRACE = 10
"""Seconds that Asterisk's absolute limit of a channel is longer than ours of its call: no channel outlives us for ever."""
FILES_CLOSE_WITHIN = 2.0
APOLOGY_WITHIN = 15.0

UNTOLD = {"otp": "not_announced", "voicemail_broadcast": "not_left"}
"""Flow → result of a call whose flow came to tell none."""

ABANDONED = "abandoned"
"""Stop reason of an engine that goes away: the call stays in Asterisk, for the next engine to adopt."""


class CallLimit(Exception):
    """The call has lasted as long as a call of its account may."""


async def run(session: Session, flow: Flow) -> None:
    """Run the flow of a call to its end, then close the call."""
    session.task = asyncio.current_task()
    try:
        reason, result = await _run_flow(session, flow)
    finally:
        session.services.codes.discard(session.call.request_id)
        session.inbox.close()
    if reason != ABANDONED:
        session.closing = True
        await _leave_by_door(session, reason, result)
        await _close(session, reason, result or session.result or UNTOLD.get(session.call.flow))


async def _run_flow(session: Session, flow: Flow) -> tuple[str | None, str | None]:
    """(why the call ends if not by its parties, the flow's result)."""
    if stopped := session.stop_reason:
        return stopped, None
    try:
        await session.attempt(*(session.switch.stop_play(playback) for playback in session.stale))
        while True:
            try:
                return None, await _within_limits(session, flow)
            except asyncio.CancelledError:
                _enter_another(session)
    except asyncio.CancelledError:
        return _stopped(session), None
    except Exception as error:  # noqa: BLE001 - a flow may fail in any way; it harms its own call alone
        reason = _failed(session, error)
    return await _apologised(session) if reason == "error" else reason, None


async def _apologised(session: Session) -> str:
    """Whoever is on the line is told that something went wrong, and not just cut off."""
    try:
        async with asyncio.timeout(APOLOGY_WITHIN):
            await session.services.apologise(session)
    except asyncio.CancelledError:
        if _stopped(session) == ABANDONED:
            return ABANDONED
    except Exception:
        log.exception("no_apology", request_id=session.call.request_id)
    return "error"


async def _leave_by_door(session: Session, reason: str | None, result: str | None) -> None:
    """Who came by FastAGI goes on in the dialplan, if the flow came to its end and did not hang up."""
    caller = leg_of(session, session.door.channel_id) if session.door else None
    if session.door is None or caller is None or not caller.alive:
        return
    await session.door.tell(TRUNKLINE_STATUS=reason or "over", TRUNKLINE_RESULT=result or session.result or "")
    if reason is None and caller.alive:
        session.asked.setdefault(caller.n, _after_talk(session) or "flow")
        await session.attempt(session.switch.set_variable(caller.channel_id, "TIMEOUT(absolute)", "0"))
        await session.door.release()
        session.released.add(caller.channel_id)


def _enter_another(session: Session) -> None:
    """A command took the call out of its flow; any other cancellation goes on."""
    task = asyncio.current_task()
    if not session.diverted or session.stop_reason is not None or task is None:
        raise asyncio.CancelledError
    session.diverted = False
    task.uncancel()


def _stopped(session: Session) -> str:
    """Somebody had the call end, and not the engine its task."""
    if session.stop_reason is None:
        raise asyncio.CancelledError
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    return session.stop_reason


def _failed(session: Session, error: Exception) -> str:
    if isinstance(error, CallLimit):
        return "timeout"
    if isinstance(error, Forbidden):
        return "gate"
    log.error("flow_failed", request_id=session.call.request_id, flow=session.call.flow, exc_info=error)
    return "error"


async def _within_limits(session: Session, flow: Flow) -> str | None:
    """Raises CallLimit when the call is as long as it may be."""
    elapsed = (session.services.now() - session.call.began_at).total_seconds()
    try:
        async with asyncio.timeout(max(session.account.limits.max_duration - elapsed, 0)) as limit:
            return await _with_background(session, flow)
    except TimeoutError:
        if limit.expired():
            raise CallLimit from None
        raise


async def _with_background(session: Session, flow: Flow) -> str | None:
    flow, params = _current(session, flow)
    try:
        async with asyncio.TaskGroup() as tasks:
            session.background = tasks
            session.inbox.begin(session)
            result = await flow(session, params)
            for job in session.jobs:
                job.cancel()
            return result
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
    finally:
        session.background = None


def _current(session: Session, flow: Flow) -> tuple[Flow, Mapping[str, Any]]:
    """The flow that the call was made for, or the one that a command took it to."""
    diversion = session.call.diversion
    if diversion is None:
        return flow, session.call.params
    other = session.services.flow_of(diversion.flow)
    if other is None:
        raise LookupError(f"no flow is called {diversion.flow!r}")
    return other, {**session.call.params, **diversion.params}


async def _close(session: Session, reason: str | None, result: str | None) -> None:
    why = {"cancelled": "cancelled", "timeout": "limit"}.get(reason or "", "flow")
    await hang_up_all(session, why)
    await _recordings_over(session)
    await session.attempt(*(session.switch.delete_recording(name) for name in session.messages))
    call = session.call
    end_reason = _end_reason(call, reason)
    session.record(Kind.CALL_ENDED, at=_ended_at(session), end_reason=end_reason, result=result)
    session.keep(closed(call))
    await _commit(session)
    for name in dict.fromkeys((call.recording_name, *call.recordings, call.transcript_recording)):
        if name:
            session.services.on_recorded(name)


async def hang_up_all(session: Session, why: str) -> None:
    """End every leg that is left, and see that it has ended. While the link is away that takes until it is back; what
    outlives our patience is swept as a ghost, and the best time known is written."""
    if why == "flow":
        why = _after_talk(session) or why
    _end_unasked(session, why)
    for _ in range(HANGUP_TRIES):
        legs, linked = session.live_legs(), session.switch.up
        await session.attempt(*(_hang_up(session, leg, why) for leg in legs))
        await session.attempt(*(session.switch.destroy_bridge(bridge) for bridge in session.bridges))
        if await session.until(lambda: not session.live_legs(), LEGS_END_WITHIN) or linked:
            break
    for leg in session.live_legs():
        end_leg(session, leg, session.services.now(), q850=None, sip_code=None, reconciled=True)


def _after_talk(session: Session) -> str | None:
    """Who is left of a conversation is let go because of the other one."""
    left = session.call.bridged_at and len(session.live_legs()) < len(session.call.legs)
    return "peer" if left else None


def _end_unasked(session: Session, why: str) -> None:
    """Legs that Asterisk was not asked for yet, when somebody had the call end, need not be waited for."""
    for leg in session.live_legs():
        known = session.resumed or leg.channel_id in session.requested | session.entered
        if leg.state is LegState.CREATED and not known:
            session.asked.setdefault(leg.n, why)
            end_leg(session, leg, session.services.now(), q850=None, sip_code=None)


async def _hang_up(session: Session, leg: Leg, why: str) -> None:
    """A channel that Asterisk is just making can't be hung up, and would be there, for ever, a moment later."""
    there = leg.state is not LegState.CREATED or await session.until(
        lambda: leg.channel_id in session.entered or not leg.alive, LEG_ENTERS_WITHIN
    )
    await session.hangup(leg, why)
    if not there and leg.alive and leg.channel_id not in session.entered:
        end_leg(session, leg, session.services.now(), q850=None, sip_code=None)


async def _recordings_over(session: Session) -> None:
    """Asterisk closes the files when the parties' channels end; it tells so within moments."""
    files = {snoop.replace(".snoop", ".rec") for snoop in session.entered if ".snoop" in snoop}
    await session.until(lambda: files <= session.finished.keys(), FILES_CLOSE_WITHIN)


def _end_reason(call: Call, reason: str | None) -> str:
    """A conversation that somebody had ended is completed; a try is cancelled."""
    if reason is not None and not (reason == "cancelled" and call.answered_at):
        return reason
    principal: Leg | None = call.principal()
    return disposition.end_reason(principal) if principal else "failed"


def _ended_at(session: Session) -> datetime:
    """A call ends with its last leg; one without legs, now."""
    times = [leg.ended_at for leg in session.call.legs.values() if leg.ended_at]
    return max(times, default=session.services.now())


async def _commit(session: Session) -> None:
    """The end is in the journal already, which keeps it while PostgreSQL is away; only a full spool raises."""
    try:
        await asyncio.shield(session.committed())
    except StoreAway:
        log.exception("end_not_committed", request_id=session.call.request_id)


def closed(call: Call) -> ClosedCall:
    assert call.ended_at is not None
    assert call.end_reason is not None
    return ClosedCall(
        request_id=call.request_id,
        ended_at=call.ended_at,
        end_reason=call.end_reason,
        result=call.result,
        reconciled=call.reconciled,
        legs=tuple(leg_row(call, leg) for leg in call.legs.values()),
        records=records(call),
        outbox=(terminal_message(call),),
    )


def terminal_message(call: Call) -> dict[str, object]:
    """The one terminal event that web hooks get (CONTRACT §6)."""
    assert call.ended_at is not None
    return {
        "type": "call.ended",
        "timestamp": call.ended_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "request_id": call.request_id,
            "sequence": call.seq,
            "end_reason": call.end_reason,
            "result": call.result,
            "recording_name": call.recording_name,
        },
    }


def leg_row(call: Call, leg: Leg) -> LegRow:
    return LegRow(
        leg_id=leg.leg_id,
        request_id=call.request_id,
        n=leg.n,
        role=leg.role,
        number=leg.number,
        endpoint=leg.endpoint,
        channel_id=leg.channel_id,
        channel=leg.channel,
        attempt=leg.attempt,
        server=call.server,
        state=leg.state,
        created_at=leg.created_at,
        dialing_at=leg.dialing_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
        sip_code=leg.sip_code,
        q850=leg.q850,
        hangup_by=leg.hangup_by,
        why=leg.why,
        dtmf=leg.dtmf,
        reconciled=leg.reconciled,
    )
