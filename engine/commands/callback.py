"""Connect two parties at a time to come: made, changed, cancelled."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from engine.calls.account import Account, Identity
from engine.commands import refusals
from engine.commands.calls import kept
from engine.commands.click_to_call import ClickToCall, params_of, parties
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.placing import new_call, pass_gate
from engine.dialer import windows
from engine.dialer.callback import FLOW
from engine.dialer.localtime import NoSuchTime, instant
from engine.dialer.port import CALLBACK, Due, NewDue
from engine.errors import Forbidden, InvalidFields, NotFound, StateConflict
from engine.ids import is_request_id

FARTHEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Callback:
    """``scheduled_at``: what the clock on a wall of ``time_zone`` shows then."""

    call: ClickToCall
    time_zone: str
    scheduled_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """None: as it is."""

    agent_number: str | None = None
    destination_number: str | None = None
    caller_id: str | None = None
    recording_option: str | None = None
    scheduled_at: datetime | None = None


async def create(ctx: Context, identity: Identity, command: Callback, key: Key | None = None) -> str:
    """Keep it and give its request id, when it is committed.

    Raises InvalidFields (numbers, zone, a time that is past, never comes or comes twice), Forbidden (gate, route),
    StateConflict (key used with another body), StoreAway.
    """
    account = identity.account
    params, due_at = _asked(ctx, account, command)
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        await _pass(ctx, account, params, request_id, due_at)
        await ctx.due.add(
            NewDue(
                kind=CALLBACK,
                account=account.account,
                number=params["agent_number"],
                due_at=due_at,
                params=params,
                request_id=request_id,
                flow=FLOW,
            )
        )

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account.account, answer["request_id"])

    answer = await once(ctx, account.account, key, {"request_id": request_id}, act=act, happened=happened)
    return str(answer["request_id"])


async def change(ctx: Context, identity: Identity, request_id: str, changes: Changes) -> None:
    """Raises as ``create``, NotFound, and StateConflict when it is being dialled or is over."""
    due = await _find(ctx, identity.account, request_id)
    params, due_at = _changed(ctx, identity.account, due, changes)
    pass_gate(ctx, identity.account, parties(params), params["caller_id"], live=0)
    number = params["agent_number"]
    _told(await ctx.due.change(due.account, request_id, params=params, number=number, due_at=due_at))


async def cancel(ctx: Context, identity: Identity, request_id: str) -> None:
    """Raises NotFound, and StateConflict when it is being dialled or is over."""
    due = await _find(ctx, identity.account, request_id)
    _told(await ctx.due.cancel(due.account, request_id, at=ctx.now()))


async def _find(ctx: Context, account: Account, request_id: str) -> Due:
    due = await ctx.due.by_request(account.account, request_id) if is_request_id(request_id) else None
    if due is None or due.kind != CALLBACK:
        raise NotFound("no callback has this request_id")
    return due


def _told(state: str | None) -> None:
    if state == "placed":
        raise StateConflict("the callback is being dialled")
    if state is not None:
        raise StateConflict("the callback is over: it was dialled or cancelled")


def _asked(ctx: Context, account: Account, command: Callback) -> tuple[dict[str, Any], datetime]:
    """Params of the call, and when it is due. Raises InvalidFields with all that is wrong."""
    wrong: dict[str, str] = {}
    params: dict[str, Any] = {}
    try:
        params = params_of(account, command.call)
    except InvalidFields as error:
        wrong |= error.fields
    due_at = _instant(ctx, command.scheduled_at, command.time_zone, wrong)
    if wrong or due_at is None:
        raise InvalidFields(wrong)
    return {**params, "time_zone": command.time_zone}, due_at


def _instant(ctx: Context, wall: datetime, zone_name: str, wrong: dict[str, str]) -> datetime | None:
    zone = windows.zone(zone_name)
    if zone is None:
        wrong["time_zone"] = "is no zone of the IANA database, such as Asia/Kolkata"
        return None
    try:
        due_at = instant(wall, zone)
    except NoSuchTime as error:
        wrong["scheduled_at"] = str(error)
        return None
    if due_at <= ctx.now():
        wrong["scheduled_at"] = f"is past in {zone_name}: it must be a time to come"
    elif due_at > ctx.now() + FARTHEST:
        wrong["scheduled_at"] = "is more than ten years ahead"
    return due_at


def _changed(ctx: Context, account: Account, due: Due, changes: Changes) -> tuple[dict[str, Any], datetime]:
    """The zone stays: a change has none."""
    stored = ClickToCall(
        agent_number=due.params["agent_number"],
        destination_number=due.params["customer_number"],
        caller_id=due.params["caller_id"],
        recording_option=due.params["recording_option"],
    )
    given = {name: getattr(changes, name) for name in Changes.__dataclass_fields__ if name != "scheduled_at"}
    call = replace(stored, **{name: value for name, value in given.items() if value is not None})
    zone_name = due.params["time_zone"]
    if changes.scheduled_at is not None:
        return _asked(ctx, account, Callback(call, zone_name, changes.scheduled_at))
    return {**params_of(account, call), "time_zone": zone_name}, due.due_at


async def _pass(ctx: Context, account: Account, params: Mapping[str, Any], request_id: str, due_at: datetime) -> None:
    """Raises Forbidden, which leaves a trace."""
    try:
        pass_gate(ctx, account, parties(params), params["caller_id"], live=0)
    except Forbidden as refusal:
        call = replace(new_call(ctx, account.account, request_id, FLOW, params), scheduled_at=due_at)
        await refusals.record(ctx, call, refusal)
        raise
