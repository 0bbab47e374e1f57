"""Reading calls, and ending them. A call of another account is an unknown one."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from engine.calls.events import Event
from engine.calls.model import Call, replay
from engine.calls.record import CallRecord
from engine.calls.states import CallState
from engine.commands.context import Context
from engine.errors import NotFound, StateConflict
from engine.ids import is_request_id, is_transcript_recording
from engine.store.port import RecordingRow

AT_ONCE = 50
"""Calls rebuilt before the event loop gets its turn: about 3 ms."""
STATES = ("live", "scheduled", "ended")


async def kept(ctx: Context, account: str, request_id: str) -> bool:
    """Whether the call is committed; one that is only about to be is not."""
    return await ctx.calls.events(request_id, account) is not None


async def show(ctx: Context, account: str, request_id: str) -> Call:
    """The call as it is now, from this engine's memory or else from its timeline. Raises NotFound."""
    return live(ctx, account, request_id) or replay(await timeline(ctx, account, request_id))


def live(ctx: Context, account: str, request_id: str) -> Call | None:
    call = ctx.engine.find(request_id)
    return call if call is not None and call.account == account else None


async def timeline(ctx: Context, account: str, request_id: str) -> list[Event]:
    """What happened in the call, in order. Raises NotFound."""
    events = await ctx.calls.events(request_id, account) if is_request_id(request_id) else None
    if not events:
        raise NotFound("no call has this request_id")
    return events


async def page(
    ctx: Context, account: str, *, state: str, limit: int, before: str | None
) -> tuple[list[Call], str | None]:
    """Calls, newest first, and the cursor of the next page (None: that was the last one)."""
    ids = await ctx.calls.listed(account, states=(state,), limit=limit + 1, before=before)
    return await several(ctx, account, ids[:limit]), ids[limit - 1] if len(ids) > limit else None


async def several(ctx: Context, account: str, request_ids: Sequence[str]) -> list[Call]:
    """Those calls of the account, in this order."""
    found: list[Call] = []
    for start in range(0, len(request_ids), AT_ONCE):
        found += await _several(ctx, account, request_ids[start : start + AT_ONCE])
    return found


async def _several(ctx: Context, account: str, request_ids: Sequence[str]) -> list[Call]:
    shown = {request_id: live(ctx, account, request_id) for request_id in request_ids}
    stored = await ctx.calls.timelines([request_id for request_id, call in shown.items() if call is None])
    return [call or replay(stored[request_id]) for request_id, call in shown.items() if call or request_id in stored]


async def end(ctx: Context, account: str, request_id: str) -> None:
    """End it, or cancel it before it began. Raises NotFound, StateConflict when it has ended already."""
    call = await show(ctx, account, request_id)
    if call.state is CallState.SCHEDULED:
        if await ctx.due.cancel(account, request_id, at=ctx.now()) is None:
            return
        call = await show(ctx, account, request_id)  # its time has just come
    if not call.alive:
        raise StateConflict("the call has ended already")
    await ctx.engine.end_call(request_id)


async def records_of(ctx: Context, account: str, request_id: str) -> Sequence[CallRecord]:
    """The call's CDRs, ascending; none while it runs. Raises NotFound."""
    rows = await ctx.calls.cdr_by_request(account, request_id) if is_request_id(request_id) else None
    if rows is None and live(ctx, account, request_id) is None:
        raise NotFound("no call has this request_id")
    return rows or ()


async def records_between(
    ctx: Context, account: str, first: date, last: date, *, count: int, offset: int
) -> Sequence[CallRecord]:
    """CDRs of whole UTC days, ``first`` and ``last`` included, ascending."""
    end = _midnight(last + timedelta(days=1)) if last < date.max else datetime.max.replace(tzinfo=UTC)
    return await ctx.calls.cdr_by_date(account, _midnight(first), end, count=count, offset=offset)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def recording(ctx: Context, account: str, name: str) -> RecordingRow:
    """Raises NotFound, also when it failed: there will be none."""
    row = await ctx.calls.recording(account, name)
    if row is None or row.state == "failed" or is_transcript_recording(name):
        raise NotFound("no recording has this name")
    return row
