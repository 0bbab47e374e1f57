"""A CDR as the cpaas document's samples show it, field by field and type by type (WIRE-NOTES 11)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from engine.calls.record import CallRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that never was."""


def http_date(at: datetime | None) -> str:
    return format_datetime((at or EPOCH).astimezone(UTC), usegmt=True)


def record_view(record: CallRecord) -> dict[str, Any]:
    campaign = record.campaign_id is not None
    view = {
        "account_id": record.account_id,
        "agent_number": record.agent_number,
        "answer": http_date(record.answered_at),
        "billsec": _seconds(record.billsec),
        "call_date": http_date(record.call_date),
        "call_direction": record.call_direction,
        "call_duration": _seconds(record.call_duration),
        "call_status": record.call_status,
        "caller_id": record.caller_id,
        "customer_number": "" if campaign else record.customer_number,
        "destination_context": record.destination_context,
        "dial_status": record.dial_status,
        "dialed_number": record.dialed_number,
        "dtmf_inputs": record.dtmf_inputs,
        "end": http_date(record.ended_at),
        "id": record.id,
    }
    if campaign:
        view |= {"is_dnd": "1" if record.is_dnd else "0", "list_id": record.list_id or ""}
    return view | {
        "recording_name": record.recording_name,
        "request_id": "" if campaign else record.request_id,
        "uniqueid": record.uniqueid,
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


EXAMPLE: Mapping[str, Any] = {
    "account_id": "account_1",
    "agent_number": "918000680002",
    "answer": "Tue, 04 Jul 2023 05:31:42 GMT",
    "billsec": 8.55722,
    "call_date": "Tue, 04 Jul 2023 05:31:51 GMT",
    "call_direction": "outbound-api",
    "call_duration": 15.1364,
    "call_status": "ANSWERED",
    "caller_id": "15168148111",
    "customer_number": "919979270001",
    "destination_context": "click2call",
    "dial_status": "ANSWER",
    "dialed_number": "919979270001",
    "dtmf_inputs": "",
    "end": "Tue, 04 Jul 2023 05:31:51 GMT",
    "id": 328,
    "recording_name": "",
    "request_id": "91da7c083f",
    "uniqueid": "tl-91da7c083f-1",
}
_TEXT = {"type": "string"}
_DATE = {"type": "string", "description": "RFC 1123, GMT; the epoch when it never was"}
_DURATION = {"type": ["number", "null"], "description": "Seconds"}
_DIAL = ["ANSWER", "BUSY", "NOANSWER", "CANCEL", "CHANUNAVAIL", "CONGESTION", "DND"]
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": list(EXAMPLE),
    "properties": {
        **dict.fromkeys(EXAMPLE, _TEXT),
        **dict.fromkeys(("answer", "call_date", "end"), _DATE),
        **dict.fromkeys(("billsec", "call_duration"), _DURATION),
        "id": {"type": "integer"},
        "call_status": {"type": ["string", "null"], "enum": ["ANSWERED", "BUSY", "NO ANSWER", "FAILED", None]},
        "dial_status": {"type": "string", "enum": _DIAL},
        "call_direction": {"type": "string", "enum": ["outbound-api", "outbound-campaign", "inbound"]},
        "is_dnd": {"type": "string", "enum": ["0", "1"], "description": "Rows of campaigns alone"},
        "list_id": {"type": "string", "description": "Rows of campaigns alone"},
    },
}
