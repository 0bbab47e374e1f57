"""A scheduled call, from its timeline: what is written when it is changed, placed or ended before it was. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.calls.events import Event, Kind
from engine.calls.model import replay
from engine.sessions.scope import terminal_message
from engine.store.port import CallEvent, ClosedCall, JournalRecord, NewCall


def created(new: NewCall) -> Event:
    """The beginning of a call that waits for its time."""
    data = {
        "request_id": new.request_id,
        "account": new.account,
        "flow": new.flow,
        "direction": new.direction,
        "params": dict(new.params),
        "campaign_id": new.campaign_id,
        "state": "scheduled",
        "scheduled_at": new.scheduled_at.isoformat() if new.scheduled_at else None,
    }
    return Event(Kind.CALL_CREATED, new.created_at, None, data, seq=1)


def changed(timeline: Sequence[Event], params: Mapping[str, Any], due_at: datetime, at: datetime) -> Event:
    data = {"params": dict(params), "scheduled_at": due_at.isoformat()}
    return Event(Kind.CALL_CHANGED, at, None, data, timeline[-1].seq + 1)


def placed(timeline: Sequence[Event], params: Mapping[str, Any], server: str, at: datetime) -> Event:
    data = {"server": server, "params": dict(params)}
    return Event(Kind.CALL_PLACED, at, None, data, timeline[-1].seq + 1)


def ended(timeline: Sequence[Event], reason: str, at: datetime) -> tuple[JournalRecord, ...]:
    """Nobody was tried: it has no CDR."""
    end = Event(Kind.CALL_ENDED, at, None, {"end_reason": reason}, timeline[-1].seq + 1)
    call = replay([*timeline, end])
    closing = ClosedCall(
        request_id=call.request_id,
        ended_at=at,
        end_reason=reason,
        result=None,
        reconciled=False,
        legs=(),
        records=(),
        outbox=(terminal_message(call),),
    )
    return CallEvent(call.request_id, end), closing
