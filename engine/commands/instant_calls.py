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
from engine.errors import Duplicate, Forbidden, NotFound, StateConflict, Unavailable


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


MOST_TURNS = 10
"""Times that a request is tried whose codes others bring at the same time."""


async def add(ctx: Context, identity: Identity, calls: Sequence[InstantCall]) -> list[Due | Errors]:
    """Keep each that can be; in the order given, the due call or what is wrong. One whose code is known already is not made
    again: it is given as it is. Raises StoreAway."""
    account = identity.account
    known = {each: await _is_known(ctx, account, each) for each in {call.extension for call in calls}}
    checked = [await _check(ctx, account, call, known) for call in calls]
    results: dict[int, Due | Errors] = {n: each for n, each in enumerate(checked) if not isinstance(each, NewDue)}
    new = {n: each for n, each in enumerate(checked) if isinstance(each, NewDue)}
    for _ in range(MOST_TURNS):
        results |= await _known_codes(ctx, new) if new else {}
        new = {n: each for n, each in new.items() if n not in results}
        results |= await _keep(ctx, new)
        new = {n: each for n, each in new.items() if n not in results}
        if not new:
            return [results[n] for n in range(len(calls))]
    raise Unavailable("other requests are using the same codes", retry_after=1)


async def _keep(ctx: Context, new: Mapping[int, NewDue]) -> Mapping[int, Due | Errors]:
    """All that have no code or another one than those before them; none when another request has just brought a code."""
    first: dict[tuple[str, int], int] = {}
    for n, each in new.items():
        if each.code is not None:
            first.setdefault((each.code, each.code_item), n)
    now = {n: each for n, each in new.items() if each.code is None or first[each.code, each.code_item] == n}
    try:
        return dict(zip(now, await ctx.due.add(*now.values()), strict=True)) if now else {}
    except Duplicate:
        return {}


async def _known_codes(ctx: Context, new: Mapping[int, NewDue]) -> Mapping[int, Due | Errors]:
    """What was made of them before."""
    codes = sorted({each.code for each in new.values() if each.code is not None})
    account = next(iter(new.values())).account
    known = {(due.code, due.code_item): due for due in await ctx.due.by_codes(account, codes)} if codes else {}
    found: dict[int, Due | Errors] = {}
    for n, each in new.items():
        if (due := known.get((each.code, each.code_item))) is not None:
            same = due.params["fingerprint"] == each.params["fingerprint"]
            found[n] = due if same else {"CodeRequest": "was used for another call"}
    return found


async def _check(ctx: Context, account: Account, call: InstantCall, known: Mapping[str, bool]) -> NewDue | Errors:
    wrong: dict[str, str] = {}
    number = _number(account, "NumberToCall", call.number, wrong)
    caller_id = _caller_id(account, call.caller_id, wrong)
    if call.end <= ctx.now():
        wrong["EndDate"] = "is past"
    elif call.end <= call.start:
        wrong["EndDate"] = "must be after StartDate"
    if not known[call.extension]:
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
    found = await ctx.due.by_codes(account, [code])
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
