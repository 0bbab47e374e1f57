"""From a call that has ended to its CDR: one per conversation or try (CONTRACT §3). Pure."""

from dataclasses import dataclass
from datetime import datetime

from engine.calls.disposition import ANSWER, of_call
from engine.calls.model import Call, Leg

CONTEXTS = {"click_to_call": "click2call", "callback": "callback", "otp": "local_call", "inbound": "inbound",
            "dial": "local_call", "ivr": "inbound", "call_tracking": "inbound", "instant_call": "instant_call",
            "voicemail_broadcast": "voicemail_broadcast", "unknown_number": "inbound"}  # fmt: skip
"""Flow → ``destination_context``."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One CDR. Times aware, in UTC, microseconds; durations in seconds. ``id`` is given by the store."""

    request_id: str
    conversation: int
    """0 for the first of its request."""
    account_id: str
    agent_number: str
    customer_number: str
    caller_id: str
    dialed_number: str
    call_direction: str
    destination_context: str
    dial_status: str
    call_status: str | None
    call_date: datetime
    """Equals ``end``; for DND the time of the decision."""
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    call_duration: float | None
    billsec: float | None
    uniqueid: str
    end_reason: str
    dtmf_inputs: str = ""
    recording_name: str = ""
    result: str | None = None
    sip_code: int | None = None
    q850: int | None = None
    hangup_by: str | None = None
    campaign_id: str | None = None
    list_id: str | None = None
    is_dnd: bool = False
    reconciled: bool = False
    id: int = 0


def records(call: Call) -> tuple[CallRecord, ...]:
    """The CDRs of a call that has ended, in the order of its conversations."""
    assert call.ended_at is not None
    assert call.end_reason is not None
    principal = call.principal()
    disposition = of_call(call)
    started = _started(call)
    talked = principal is not None and principal.role != "agent" and disposition.dial_status == ANSWER.dial_status
    answered = principal.answered_at if principal and talked else None
    return (
        CallRecord(
            request_id=call.request_id,
            conversation=0,
            account_id=call.account,
            agent_number=call.params.get("agent_number", ""),
            customer_number=call.params.get("customer_number", ""),
            caller_id=call.params.get("caller_id", ""),
            dialed_number=principal.number if principal else _first_dialled(call),
            call_direction="inbound" if call.direction == "inbound" else "outbound-api",
            destination_context=CONTEXTS.get(call.flow, "local_call"),
            dial_status=disposition.dial_status,
            call_status=disposition.call_status,
            call_date=call.ended_at,
            started_at=started,
            answered_at=answered,
            ended_at=call.ended_at,
            call_duration=_seconds(started or call.created_at, call.ended_at),
            billsec=_seconds(answered, call.ended_at) if answered else 0.0,
            uniqueid=call.legs[1].channel_id if 1 in call.legs else "",
            end_reason=call.end_reason,
            dtmf_inputs=_dtmf(call),
            recording_name=call.recording_name or "",
            result=call.result,
            sip_code=principal.sip_code if principal else None,
            q850=principal.q850 if principal else None,
            hangup_by=principal.hangup_by if principal else None,
            campaign_id=call.campaign_id,
            reconciled=call.reconciled,
        ),
    )


def _first_dialled(call: Call) -> str:
    number = call.params.get("agent_number") or call.params.get("customer_number") or ""
    return str(number)


def _started(call: Call) -> datetime | None:
    """The first INVITE: the earliest dialling, or, of a call that came in, its arrival."""
    times = [leg.dialing_at or (leg.created_at if leg.role == "caller" else None) for leg in call.legs.values()]
    return min((at for at in times if at), default=None)


def _dtmf(call: Call) -> str:
    legs: list[Leg] = [leg for leg in call.legs.values() if leg.role != "agent"]
    return "".join(leg.dtmf for leg in legs)


def _seconds(start: datetime, end: datetime) -> float:
    return max((end - start).total_seconds(), 0.0)
