"""Calls and legs as the call-control API shows them: epoch seconds, numbers as integers, five words for their state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.api.call_control.dialect import number_or_text
from engine.calls import disposition
from engine.calls.disposition import Disposition
from engine.calls.model import Call, Leg
from engine.calls.states import CallState
from engine.commands.call_changes import connecting
from engine.ids import call_uuid

ON_CALL, RINGING, BUSY, UNANSWERED, FAILED = "on-call", "ringing", "busy", "unanswered", "failed"
STATUSES = (BUSY, FAILED, UNANSWERED, RINGING, ON_CALL)
_ENDED: Mapping[Disposition, str] = {
    disposition.ANSWER: ON_CALL,
    disposition.BUSY: BUSY,
    disposition.NOANSWER: UNANSWERED,
    disposition.CANCEL: UNANSWERED,
}


def epoch(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None


def call_view(call: Call, account_number: int) -> dict[str, Any]:
    source, destination = parties(call)
    return {
        "account_id": account_number,
        "call_id": call_uuid(call.request_id),
        "direction": call.direction,
        "end_time": epoch(call.ended_at),
        "from": number_or_text(source),
        "legs": [leg_view(call, call.legs[n], account_number) for n in sorted(call.legs)],
        "start_time": epoch(call.created_at),
        "status": _status(call),
        "to": number_or_text(destination),
    }


def leg_view(call: Call, leg: Leg, account_number: int) -> dict[str, Any]:
    came_in = leg.role == "caller"
    shown, dialed = call.params.get("caller_id", ""), call.params.get("dialed", "")
    source, destination = (leg.number, dialed) if came_in else (shown, leg.number)
    return {
        "account_id": account_number,
        "call_id": call_uuid(call.request_id),
        "direction": "inbound" if came_in else "outbound",
        "end_time": epoch(leg.ended_at),
        "from": number_or_text(str(source)),
        "leg_id": leg.leg_id,
        "start_time": epoch(leg.created_at),
        "status": _leg_status(leg),
        "to": number_or_text(str(destination)),
    }


def parties(call: Call) -> tuple[str, str]:
    """(from, to): as somebody asked for them, as they dialled, else who shows itself and who is called."""
    params = call.params
    if asked := params.get("asked"):
        return str(asked["from"]), str(asked["to"])
    if "dialed" in params:
        return str(params.get("from", "")), str(params["dialed"])
    source = params.get("agent_number") or params.get("caller_id") or ""
    return str(source), str(params.get("customer_number") or "")


def _status(call: Call) -> str:
    if not call.alive:
        return _ENDED.get(disposition.of_call(call), FAILED)
    if call.state in (CallState.TALKING, CallState.HELD):
        return ON_CALL
    waiting = connecting(call) or any(leg.alive and not leg.up for leg in call.legs.values())
    return RINGING if waiting or not any(leg.up for leg in call.legs.values()) else ON_CALL


def _leg_status(leg: Leg) -> str:
    if leg.answered_at:
        return ON_CALL
    return RINGING if leg.alive else _ENDED.get(disposition.of_leg(leg), FAILED)


_TIME = {"type": "integer", "description": "Seconds since 1970"}
_NUMBER = {"type": ["integer", "string"]}
_COMMON = {
    "account_id": {"type": "integer"},
    "call_id": {"type": "string", "format": "uuid"},
    "direction": {"enum": ["inbound", "outbound"]},
    "end_time": {"type": ["integer", "null"]},
    "from": _NUMBER,
    "start_time": _TIME,
    "status": {"enum": list(STATUSES), "description": "An answered call that has ended is on-call with an end_time"},
    "to": _NUMBER,
}
LEG_SCHEMA = {
    "type": "object",
    "properties": {**_COMMON, "leg_id": {"type": "string", "format": "uuid"}},
}
CALL_SCHEMA = {
    "type": "object",
    "properties": {**_COMMON, "legs": {"type": "array", "items": LEG_SCHEMA}},
}
_CALL_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
LEG_EXAMPLE = {
    "account_id": 1234,
    "call_id": _CALL_ID,
    "direction": "inbound",
    "end_time": 1595959736,
    "from": 1231112222,
    "leg_id": _CALL_ID,
    "start_time": 1595959736,
    "status": "busy",
    "to": 1234567890,
}
CALL_EXAMPLE = {
    "account_id": 1234,
    "call_id": _CALL_ID,
    "direction": "inbound",
    "end_time": 1595959736,
    "from": 1235551111,
    "legs": [LEG_EXAMPLE],
    "start_time": 1595959736,
    "status": "busy",
    "to": 1234567890,
}
