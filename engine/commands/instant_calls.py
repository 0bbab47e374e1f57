"""Instant calls: numbers that hear an audio file or meet a menu, at once or in a span of time; made, read, cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.calls import gate, routing
from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, normalize
from engine.commands.context import Context
from engine.dialer.instant import FLOW, RETRIED
from engine.dialer.port import INSTANT, Due, NewDue
from engine.errors import Duplicate, Forbidden, NotFound, StateConflict


@dataclass(frozen=True, slots=True)
class InstantCall:
    """Numbers as a caller writes them; ``minutes`` between two tries; ``repeats`` times that the file is heard.
    ``code_item``: place in a request that gives one ``code`` to several; -1: the code is its own."""

    number: str
    extension: str
    start: datetime
    end: datetime
    caller_id: str | None = None
    max_retries: int = 0
    minutes: int = 5
    repeats: int = 1
    first_name: str = ""
    last_name: str = ""
    code: str | None = None
    code_item: int = -1


Errors = Mapping[str, str]
"""Field of the document → what is wrong with it."""


async def add(ctx: Context, identity: Identity, calls: Sequence[InstantCall]) -> list[Due | Errors]:
    """Keep each that can be; in the order given, the due call or what is wrong. One whose code is known already is not made
    again: it is given as it is. Raises StoreAway."""
    account = identity.account
    checked = [await _check(ctx, account, call) for call in calls]
    found: list[Due | Errors | None] = [each if isinstance(each, dict) else None for each in checked]
    for n, each in enumerate(checked):
        if isinstance(each, NewDue) and each.code is not None:
            found[n] = await _of_code(ctx, each)
    await _keep(ctx, checked, found)
    return [each for each in found if each is not None]


async def _keep(ctx: Context, checked: Sequence[NewDue | Errors], found: list[Due | Errors | None]) -> None:
    """All that are new, at once; should another request have brought a code meanwhile, one by one."""
    new = [(n, each) for n, each in enumerate(checked) if found[n] is None and isinstance(each, NewDue)]
    twice = len({(each.code, each.code_item) for _, each in new if each.code}) < sum(1 for _, each in new if each.code)
    try:
        ids = [] if twice else await ctx.due.add(*(each for _, each in new)) if new else []
    except Duplicate:
        ids = []
    for (n, each), due_id in zip(new, ids, strict=False):
        found[n] = await ctx.due.get(each.account, due_id)
    for n, each in new[len(ids) :]:
        found[n] = await _alone(ctx, each)


async def _alone(ctx: Context, new: NewDue) -> Due | Errors:
    try:
        (due_id,) = await ctx.due.add(new)
    except Duplicate:
        known = await _of_code(ctx, new)
        return known or {"CodeRequest": "is being used by another request"}
    due = await ctx.due.get(new.account, due_id)
    assert due is not None
    return due


async def _of_code(ctx: Context, new: NewDue) -> Due | Errors | None:
    assert new.code is not None
    for due in await ctx.due.by_code(new.account, new.code):
        if due.code_item == new.code_item:
            same = due.params["fingerprint"] == new.params["fingerprint"]
            return due if same else {"CodeRequest": "was used for another call"}
    return None


async def _check(ctx: Context, account: Account, call: InstantCall) -> NewDue | Errors:
    wrong: dict[str, str] = {}
    number = _number(account, "NumberToCall", call.number, wrong)
    caller_id = _caller_id(account, call.caller_id, wrong)
    if call.end <= ctx.now():
        wrong["EndDate"] = "is past"
    elif call.end <= call.start:
        wrong["EndDate"] = "must be after StartDate"
    if not await _is_known(ctx, account, call.extension):
        wrong["Extension"] = "no audio file and no menu has this number"
    if not wrong:
        _pass_gate(ctx, account, number, caller_id, wrong)
    return wrong or await _new(ctx, account, call, number, caller_id)


def _number(account: Account, name: str, text: str, wrong: dict[str, str]) -> str:
    try:
        return normalize(text, country=account.country)
    except BadNumber as error:
        wrong[name] = str(error)
        return ""


def _caller_id(account: Account, text: str | None, wrong: dict[str, str]) -> str:
    """The account's lowest when none is given."""
    if text is None:
        return min(account.caller_ids, default="")
    return _number(account, "CallerId", text, wrong)


async def _is_known(ctx: Context, account: Account, extension: str) -> bool:
    return await ctx.library.of_extension(account.account, extension) is not None or bool(ctx.menu_of(extension))


def _pass_gate(ctx: Context, account: Account, number: str, caller_id: str, wrong: dict[str, str]) -> None:
    try:
        gate.check(account, number, caller_id, live_calls=0)
        routing.endpoint(ctx.routes.current(), number, account.account)
    except routing.NoRoute:
        wrong["NumberToCall"] = "no route leads to it"
    except Forbidden as refusal:
        wrong["CallerId" if refusal.rule == "caller_id" else "NumberToCall"] = refusal.message


async def _new(ctx: Context, account: Account, call: InstantCall, number: str, caller_id: str) -> NewDue:
    params: dict[str, Any] = {
        "customer_number": number,
        "caller_id": caller_id,
        "from": number,
        "extension": call.extension,
        "repeats": call.repeats,
        "first_name": call.first_name,
        "last_name": call.last_name,
        "fingerprint": f"{number} {call.extension}",
    }
    return NewDue(
        kind=INSTANT,
        account=account.account,
        number=number,
        due_at=max(call.start, ctx.now()),
        params=params,
        expires_at=call.end,
        max_attempts=1 + call.max_retries,
        retry_seconds=60 * call.minutes,
        retry_on=RETRIED,
        request_id=await ctx.calls.next_request_id(),
        flow=FLOW,
        code=call.code,
        code_item=call.code_item,
    )


async def show(ctx: Context, account: str, due_id: int) -> Due:
    """Raises NotFound."""
    due = await ctx.due.get(account, due_id)
    if due is None or due.kind != INSTANT:
        raise NotFound("no instant call has this Id")
    return due


async def of_code(ctx: Context, account: str, code: str) -> Sequence[Due]:
    """Raises NotFound."""
    found = await ctx.due.by_code(account, code)
    if not found:
        raise NotFound("no instant call has this CodeRequest")
    return found


async def cancel(ctx: Context, account: str, due_id: int) -> Due:
    """Not to be dialled, or not again; one that is being dialled is ended. Raises NotFound, StateConflict."""
    due = await show(ctx, account, due_id)
    state = await ctx.due.cancel(account, due_id, at=ctx.now())
    if state == "placed" and due.request_id:
        await ctx.engine.end_call(due.request_id)
    elif state is not None:
        raise StateConflict("the instant call is over")
    return await show(ctx, account, due_id)
