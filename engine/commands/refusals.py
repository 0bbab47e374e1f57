"""A request that the gate refused leaves a trace: a call that ended before it dialled anybody, and says which rule it was.

It has a timeline and no CDR, because no party was tried.
"""

import structlog

from engine.calls.events import Event, Kind
from engine.calls.model import replay
from engine.commands.context import Context
from engine.errors import Forbidden
from engine.sessions.scope import terminal_message
from engine.store.port import CallEvent, ClosedCall, NewCall

log = structlog.get_logger(__name__)


async def record(ctx: Context, call: NewCall, refusal: Forbidden) -> None:
    """Journal ``call`` as refused, durable on return. Raises StoreAway when no store takes it."""
    log.warning("call_refused", account=call.account, request_id=call.request_id, rule=refusal.rule)
    at = call.created_at
    created = {
        "request_id": call.request_id,
        "account": call.account,
        "flow": call.flow,
        "direction": call.direction,
        "params": dict(call.params),
    }
    events = (
        Event(Kind.CALL_CREATED, at, data=created, seq=1),
        Event(Kind.CALL_REFUSED, at, data={"rule": refusal.rule, "message": refusal.message}, seq=2),
        Event(Kind.CALL_ENDED, at, data={"end_reason": "gate"}, seq=3),
    )
    ctx.journal.append(
        call,
        *(CallEvent(call.request_id, event) for event in events),
        ClosedCall(
            request_id=call.request_id,
            ended_at=at,
            end_reason="gate",
            result=None,
            reconciled=False,
            legs=(),
            records=(),
            outbox=(terminal_message(replay(events)),),
        ),
    )
    await ctx.journal.committed()
