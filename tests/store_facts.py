"""Facts about made-up calls, for the tests of the store."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine import ids
from engine.calls.events import Event, Kind
from engine.calls.record import CallRecord
from engine.store.port import CallEvent, ClosedCall, LegRow, NewCall, NewLeg, RecordingRow

START = datetime(2026, 3, 5, 10, 0, 0, 123456, tzinfo=UTC)
PARAMS = {"agent_number": "919979270001", "customer_number": "918000680002", "caller_id": "15168148111"}


def request_id(n: int) -> str:
    return f"{n:010x}"


def new_call(n: int, **changes: Any) -> NewCall:
    call = NewCall(
        request_id=request_id(n),
        account="account_1",
        flow="click_to_call",
        direction="outbound",
        engine="e1",
        created_at=START + timedelta(seconds=n),
        params=PARAMS,
    )
    return replace(call, **changes)


def new_leg(n: int, ordinal: int = 1, role: str = "agent") -> NewLeg:
    rid = request_id(n)
    return NewLeg(
        leg_id=ids.leg_id(rid, ordinal),
        request_id=rid,
        n=ordinal,
        role=role,
        number="919979270001",
        endpoint="PJSIP/919979270001@carrier",
        channel_id=ids.channel_id(rid, ordinal),
        attempt=1,
        server="asterisk",
        created_at=START + timedelta(seconds=n),
    )


def event(
    n: int, seq: int, kind: Kind = Kind.LEG_DTMF, leg: int | None = 1, data: Mapping[str, Any] | None = None
) -> CallEvent:
    at = START + timedelta(seconds=n, milliseconds=seq)
    return CallEvent(request_id(n), Event(kind, at, leg, data or {"digit": str(seq % 10)}, seq))


def leg_row(n: int, ordinal: int = 1, role: str = "agent", **changes: Any) -> LegRow:
    leg = new_leg(n, ordinal, role)
    at = leg.created_at
    row = LegRow(
        leg_id=leg.leg_id,
        request_id=leg.request_id,
        n=ordinal,
        role=role,
        number=leg.number,
        endpoint=leg.endpoint,
        channel_id=leg.channel_id,
        channel="PJSIP/carrier-00000001",
        attempt=1,
        server="asterisk",
        state="ended",
        created_at=at,
        dialing_at=at + timedelta(milliseconds=10),
        ringing_at=at + timedelta(milliseconds=300),
        answered_at=at + timedelta(seconds=1),
        ended_at=at + timedelta(seconds=9),
        sip_code=200,
        q850=16,
        hangup_by="callee",
        why=None,
        dtmf="42#",
        reconciled=False,
    )
    return replace(row, **changes)


def record(n: int, conversation: int = 0, **changes: Any) -> CallRecord:
    at = START + timedelta(seconds=n)
    cdr = CallRecord(
        request_id=request_id(n),
        conversation=conversation,
        account_id="account_1",
        agent_number=PARAMS["agent_number"],
        customer_number=PARAMS["customer_number"],
        caller_id=PARAMS["caller_id"],
        dialed_number=PARAMS["customer_number"],
        call_direction="outbound-api",
        destination_context="click2call",
        dial_status="ANSWER",
        call_status="ANSWERED",
        call_date=at + timedelta(seconds=9),
        started_at=at,
        answered_at=at + timedelta(seconds=1),
        ended_at=at + timedelta(seconds=9),
        call_duration=9.012345,
        billsec=7.26955,
        uniqueid=ids.channel_id(request_id(n), 1),
        end_reason="completed",
        dtmf_inputs="42#",
        sip_code=200,
        q850=16,
        hangup_by="callee",
    )
    return replace(cdr, **changes)


def closing(n: int, records: Iterable[CallRecord] | None = None, **changes: Any) -> ClosedCall:
    at = START + timedelta(seconds=n + 9)
    closed = ClosedCall(
        request_id=request_id(n),
        ended_at=at,
        end_reason="completed",
        result=None,
        reconciled=False,
        legs=(leg_row(n, 1), leg_row(n, 2, "customer")),
        records=(record(n),) if records is None else tuple(records),
        outbox=({"type": "call.ended", "timestamp": at.isoformat(), "data": {"request_id": request_id(n)}},),
    )
    return replace(closed, **changes)


def recording(n: int, state: str = "recording", **changes: Any) -> RecordingRow:
    row = RecordingRow(
        name=f"{request_id(n)}.wav",
        request_id=request_id(n),
        account="account_1",
        option="both",
        state=state,
        server="asterisk",
        sides={"agent": f"tl-{request_id(n)}-1.rec"},
        started_at=START,
    )
    return replace(row, **changes)
