"""From a call that has ended to its CDR: one per conversation or try (CONTRACT §3). Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from engine.calls.disposition import ANSWER, end_reason, of_call, of_leg
from engine.calls.model import Call, Leg

CONTEXTS = {"click_to_call": "click2call", "callback": "callback", "otp": "local_call", "inbound": "inbound",
            "dial": "local_call", "ivr": "inbound", "call_tracking": "inbound", "instant_call": "instant_call",
            "voicemail_broadcast": "voicemail_broadcast", "unknown_number": "inbound", "odr": "click2call",
            "conference": "inbound", "voicemail": "inbound",
            "campaign_type_0": "local_call_campaign_type_0", "campaign_type_1": "local_call_campaign_type_1"}  # fmt: skip
"""Flow → ``destination_context``."""
ONE_PER_LEG = frozenset({"voicemail_broadcast"})
"""Flows whose legs are tries at one number: each stands in the call history (request-type document)."""


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
    if call.flow in ONE_PER_LEG and call.legs:
        return tuple(_of_leg(call, leg, n) for n, leg in enumerate(call.legs.values()))
    later = sorted({leg.conversation for leg in call.legs.values()} - {0})
    return (_first(call), *(_transferred(call, conversation) for conversation in later))


def _of_leg(call: Call, leg: Leg, conversation: int) -> CallRecord:
    """The record of one of several tries at the same number."""
    disposition, ended = of_leg(leg), leg.ended_at or call.ended_at
    assert ended is not None
    whole, principal = _first(call), leg is call.principal()
    return replace(
        whole,
        conversation=conversation,
        dialed_number=leg.number,
        dial_status=disposition.dial_status,
        call_status=disposition.call_status,
        call_date=ended,
        started_at=leg.dialing_at,
        answered_at=leg.answered_at,
        ended_at=ended,
        call_duration=_seconds(leg.dialing_at or leg.created_at, ended),
        billsec=_seconds(leg.answered_at, ended) if leg.answered_at else 0.0,
        uniqueid=leg.channel_id,
        end_reason=whole.end_reason if principal else end_reason(leg),
        dtmf_inputs=leg.dtmf,
        recording_name=whole.recording_name if principal else "",
        result=whole.result if principal else None,
        sip_code=leg.sip_code,
        q850=leg.q850,
        hangup_by=leg.hangup_by,
    )


def _first(call: Call) -> CallRecord:
    """What the call was made for: until it ended, or a transfer ended it."""
    assert call.ended_at is not None
    assert call.end_reason is not None
    ended = call.conversation_ends.get(0, call.ended_at)
    principal = call.principal()
    disposition = of_call(call)
    started = _started(call)
    talked = principal is not None and principal.role != "agent" and disposition.dial_status == ANSWER.dial_status
    answered = principal.answered_at if principal and talked else None
    return CallRecord(
        request_id=call.request_id,
        conversation=0,
        account_id=call.account,
        agent_number=call.params.get("agent_number", ""),
        customer_number=call.params.get("customer_number", ""),
        caller_id=call.params.get("caller_id", ""),
        dialed_number=principal.number if principal else _first_dialled(call),
        call_direction=_direction(call),
        destination_context=CONTEXTS.get(call.flow, "local_call"),
        dial_status=disposition.dial_status,
        call_status=disposition.call_status,
        call_date=ended,
        started_at=started,
        answered_at=answered,
        ended_at=ended,
        call_duration=_seconds(started or call.began_at, ended),
        billsec=_seconds(answered, ended) if answered else 0.0,
        uniqueid=call.legs[1].channel_id if 1 in call.legs else "",
        end_reason=call.end_reason,
        dtmf_inputs=_dtmf(call),
        recording_name=call.recorded.get(0, ""),
        result=call.result,
        sip_code=principal.sip_code if principal else None,
        q850=principal.q850 if principal else None,
        hangup_by=principal.hangup_by if principal else None,
        campaign_id=call.campaign_id,
        list_id=call.params.get("list_id") if call.campaign_id else None,
        reconciled=call.reconciled,
    )


def _transferred(call: Call, conversation: int) -> CallRecord:
    """A conversation, or the try at one, that a transfer wanted: with the party that it dialled."""
    assert call.ended_at is not None
    target = call.principal(conversation)
    assert target is not None
    current = conversation == call.conversation
    ended = call.conversation_ends.get(conversation) or (None if current else target.ended_at) or call.ended_at
    disposition = of_leg(target)
    started = target.dialing_at or target.created_at
    agent, customer = _sides(call, target)
    return CallRecord(
        request_id=call.request_id,
        conversation=conversation,
        account_id=call.account,
        agent_number=agent,
        customer_number=customer,
        caller_id=call.params.get("caller_id", ""),
        dialed_number=target.number,
        call_direction=_direction(call),
        destination_context=CONTEXTS.get(call.flow, "local_call"),
        dial_status=disposition.dial_status,
        call_status=disposition.call_status,
        call_date=ended,
        started_at=started,
        answered_at=target.answered_at,
        ended_at=ended,
        call_duration=_seconds(started, ended),
        billsec=_seconds(target.answered_at, ended) if target.answered_at else 0.0,
        uniqueid=target.channel_id,
        end_reason=end_reason(target),
        dtmf_inputs=target.dtmf,
        recording_name=call.recorded.get(conversation, ""),
        sip_code=target.sip_code,
        q850=target.q850,
        hangup_by=target.hangup_by,
        campaign_id=call.campaign_id,
        list_id=call.params.get("list_id") if call.campaign_id else None,
        reconciled=target.reconciled,
    )


def _sides(call: Call, target: Leg) -> tuple[str, str]:
    """Numbers of agent and customer of a conversation with a party that was dialled for it."""
    other = call.legs.get(target.other or 0)
    if other is None:
        return target.number, ""
    return (other.number, target.number) if other.role == "agent" else (target.number, other.number)


def _direction(call: Call) -> str:
    if call.campaign_id is not None:
        return "outbound-campaign"
    return "inbound" if call.direction == "inbound" else "outbound-api"


def _first_dialled(call: Call) -> str:
    number = call.params.get("agent_number") or call.params.get("customer_number") or ""
    return str(number)


def _started(call: Call) -> datetime | None:
    """The first INVITE: the earliest dialling, or, of a call that came in, its arrival."""
    times = [leg.dialing_at or (leg.created_at if leg.role == "caller" else None) for leg in call.legs.values()]
    return min((at for at in times if at), default=None)


def _dtmf(call: Call) -> str:
    legs: list[Leg] = [leg for leg in call.legs.values() if leg.role != "agent" and not leg.conversation]
    if call.campaign_id is not None:
        legs = [leg for leg in legs if leg.role == "customer"]
    return "".join(leg.dtmf for leg in legs)


def _seconds(start: datetime, end: datetime) -> float:
    return max((end - start).total_seconds(), 0.0)
