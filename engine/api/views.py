"""A call and its timeline, as CONTRACT §2 shows them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.calls.events import Event
from engine.calls.model import Call, Leg
from engine.calls.states import CallState, LegState
from engine.ids import leg_id


def iso(at: datetime | None) -> str | None:
    """UTC to the millisecond: ``2026-11-22T00:20:52.123Z``."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def call_view(call: Call) -> dict[str, Any]:
    return {
        "request_id": call.request_id,
        "account": call.account,
        "flow": call.flow,
        "direction": call.direction,
        "state": str(call.state),
        "step": call.step,
        "campaign_id": call.campaign_id,
        "created_at": iso(call.created_at),
        "answered_at": iso(call.answered_at),
        "ended_at": iso(call.ended_at),
        "end_reason": call.end_reason,
        "result": call.result,
        "reconciled": call.reconciled,
        "recording_name": call.recording_name,
        "legs": [_leg(call.legs[n]) for n in sorted(call.legs)],
        **({"meta_data": call.params["meta_data"]} if "meta_data" in call.params else {}),
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "leg_id": leg.leg_id,
        "role": leg.role,
        "number": leg.number,
        "channel": leg.channel,
        "channel_id": leg.channel_id,
        "state": str(leg.state),
        "attempt": leg.attempt,
        "created_at": iso(leg.created_at),
        "ringing_at": iso(leg.ringing_at),
        "answered_at": iso(leg.answered_at),
        "ended_at": iso(leg.ended_at),
        "sip_code": leg.sip_code,
        "q850": leg.q850,
        "hangup_by": leg.hangup_by,
    }


def event_view(request_id: str, event: Event) -> dict[str, Any]:
    return {
        "sequence": event.seq,
        "type": str(event.kind),
        "at": iso(event.at),
        "leg_id": leg_id(request_id, event.leg) if event.leg is not None else None,
        "data": dict(event.data),
    }


def _nullable(kind: str, doc: str = "") -> dict[str, Any]:
    return {"type": [kind, "null"], **({"description": doc} if doc else {})}


_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_REASONS = ["completed", "busy", "no_answer", "rejected", "failed", "cancelled", "timeout", "error", "engine_restart",
            "gate", "dnd"]  # fmt: skip

LEG_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "leg_id": {"type": "string", "format": "uuid"},
        "role": {"type": "string", "enum": ["agent", "customer", "caller", "target", "member", "monitor"]},
        "number": _TEXT,
        "channel": _nullable("string", "Asterisk's name of the channel"),
        "channel_id": _TEXT,
        "state": {"type": "string", "enum": [str(state) for state in LegState]},
        "attempt": {"type": "integer"},
        "created_at": _TIME,
        "ringing_at": _TIME_OR_NULL,
        "answered_at": _TIME_OR_NULL,
        "ended_at": _TIME_OR_NULL,
        "sip_code": _nullable("integer", "SIP status with which the leg failed"),
        "q850": _nullable("integer", "Q.850 cause"),
        "hangup_by": {"type": ["string", "null"], "enum": ["callee", "caller", "peer", "engine", "network", None]},
    },
}
CALL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "request_id": _TEXT,
        "account": _TEXT,
        "flow": _TEXT,
        "direction": {"type": "string", "enum": ["outbound", "inbound"]},
        "state": {"type": "string", "enum": [str(state) for state in CallState]},
        "step": _nullable("string", "Where the flow is"),
        "campaign_id": _nullable("string"),
        "created_at": _TIME,
        "answered_at": _TIME_OR_NULL,
        "ended_at": _TIME_OR_NULL,
        "end_reason": {"type": ["string", "null"], "enum": [*_REASONS, None]},
        "result": _nullable("string"),
        "reconciled": {"type": "boolean", "description": "Closed from Asterisk's own record"},
        "recording_name": _nullable("string"),
        "legs": {"type": "array", "items": LEG_SCHEMA},
    },
}
EVENT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "sequence": {"type": "integer"},
        "type": _TEXT,
        "at": _TIME,
        "leg_id": _nullable("string"),
        "data": {"type": "object"},
    },
}
_SEEN = "2026-11-22T00:20:52.123Z"
CALL_EXAMPLE: Mapping[str, Any] = {
    "request_id": "57362de4f0",
    "account": "account_1",
    "flow": "click_to_call",
    "direction": "outbound",
    "state": "talking",
    "step": "bridged",
    "campaign_id": None,
    "created_at": _SEEN,
    "answered_at": _SEEN,
    "ended_at": None,
    "end_reason": None,
    "result": None,
    "reconciled": False,
    "recording_name": None,
    "legs": [
        {
            "leg_id": leg_id("57362de4f0", 1),
            "role": "agent",
            "number": "919979270001",
            "channel": "PJSIP/carrier-00000001",
            "channel_id": "tl-57362de4f0-1",
            "state": "up",
            "attempt": 1,
            "created_at": _SEEN,
            "ringing_at": _SEEN,
            "answered_at": _SEEN,
            "ended_at": None,
            "sip_code": None,
            "q850": None,
            "hangup_by": None,
        }
    ],
}
EVENT_EXAMPLE: Mapping[str, Any] = {
    "sequence": 3,
    "type": "leg.ringing",
    "at": _SEEN,
    "leg_id": leg_id("57362de4f0", 1),
    "data": {},
}
