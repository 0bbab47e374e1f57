"""Recording by command: start, pause, resume, stop."""

from collections.abc import Mapping
from typing import Any

from engine.controls.who import ours, talkers
from engine.errors import StateConflict
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs.record import MOST, pause_recording, start_recording, stop_recording


async def record_start(session: Session, order: Order) -> Mapping[str, Any]:
    """``recording_option``: both (the default), agent or customer. 409 when the call is being recorded."""
    call = session.call
    if call.recording is not None:
        raise StateConflict(f"the call is being recorded: {call.recording.name}")
    if len(call.recordings) >= MOST:
        raise StateConflict(f"the call was recorded {MOST} times")
    agent = ours(session)
    others = [leg for leg in talkers(session) if leg is not agent]
    option = order.fields.get("recording_option", "both")
    parties = {"agent": agent, "customer": others[0]} if others else {"customer": agent}
    if not others:
        option = "customer"
    return {"recording_name": await start_recording(session, option, parties)}


async def record_pause(session: Session, _order: Order) -> Mapping[str, Any]:
    """What is said until ``record_resume`` is silence in the recording."""
    return await _pause(session, paused=True)


async def record_resume(session: Session, _order: Order) -> Mapping[str, Any]:
    return await _pause(session, paused=False)


async def _pause(session: Session, *, paused: bool) -> Mapping[str, Any]:
    name = _running(session)
    assert session.call.recording is not None
    if session.call.recording.paused == paused:
        raise StateConflict("the recording is paused already" if paused else "the recording is not paused")
    await pause_recording(session, paused=paused)
    return {"recording_name": name}


async def record_stop(session: Session, _order: Order) -> Mapping[str, Any]:
    """The recording is there when the call is over."""
    name = _running(session)
    await stop_recording(session)
    return {"recording_name": name}


def _running(session: Session) -> str:
    if session.call.recording is None:
        raise StateConflict("the call is not being recorded")
    return session.call.recording.name
