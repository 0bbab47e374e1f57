"""Orders as text: what an operator may say, and errors that cross from one process to another."""

import re
from collections.abc import Mapping
from typing import Any

from engine import errors
from engine.commands.context import Context
from engine.commands.control import with_sounds
from engine.controls.table import CONTROLS, OF_PHONES
from engine.errors import InvalidFields, NotFound, RequestError, TrunklineError, Unavailable

ACTIONS = tuple(action for action in CONTROLS if action not in OF_PHONES)
FIELDS: Mapping[str, re.Pattern[str]] = {
    "to": re.compile(r"\+?[0-9]{3,20}"),
    "direction": re.compile(r"in|out|both"),
    "recording_option": re.compile(r"both|agent|customer"),
    "slot": re.compile(r"[1-9][0-9]?"),
    "digits": re.compile(r"[0-9A-Da-d*#wW]{1,64}"),
    "text": re.compile(r"[^\x00-\x1f]{1,3000}"),
    "voice": re.compile(r"[A-Za-z0-9_. -]{0,64}"),
    "language": re.compile(r"[A-Za-z0-9_. -]{0,64}"),
    "media": re.compile(r"[^\x00-\x1f]{1,200}"),
    "flow": re.compile(r"[A-Za-z0-9:_-]{1,128}"),
}


def parse(action: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a control from texts. Raises InvalidFields."""
    wrong = {} if action in ACTIONS else {"action": f"must be one of {', '.join(ACTIONS)}"}
    fields: dict[str, Any] = {}
    for name, text in given.items():
        form = FIELDS.get(name)
        if form is None:
            wrong[name[:64]] = "unknown field"
        elif not form.fullmatch(text):
            wrong[name] = "is not what it must be"
        else:
            fields[name] = int(text) if name == "slot" else text
    if wrong:
        raise InvalidFields(wrong)
    return fields


async def execute(
    ctx: Context, request_id: str, action: str, leg: str, given: Mapping[str, Any], *, by: str
) -> Mapping[str, Any]:
    """As an operator, for whom all accounts are one: of a call that lives in this engine. Raises RequestError."""
    call = ctx.engine.find(request_id)
    if call is None:
        raise NotFound("no live call has this request_id")
    fields = await with_sounds(ctx, call.account, given)
    return await ctx.engine.control(request_id, action, leg, fields, by=by)


_KINDS = (
    errors.Forbidden, errors.NotFound, errors.StateConflict, errors.InvalidFields, errors.Unavailable,
)  # fmt: skip


def told(error: TrunklineError) -> dict[str, Any]:
    """An error as JSON."""
    kind = next((each for each in _KINDS if isinstance(error, each)), Unavailable)
    message = error.message if isinstance(error, RequestError) else "a part that is needed is away"
    extra = {name: getattr(error, name) for name in ("fields", "rule", "retry_after") if hasattr(error, name)}
    return {"error": kind.__name__, "message": message, **extra}


def given_back(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the other process answered. Raises what it raised; Unavailable when it did not answer."""
    if answer is None:
        raise Unavailable("the engine that has the call does not answer", retry_after=5)
    message = str(answer.get("message", ""))
    match answer.get("error"):
        case None:
            return answer
        case "Forbidden":
            raise errors.Forbidden(message, rule=answer["rule"])
        case "InvalidFields":
            raise InvalidFields(answer["fields"])
        case "NotFound":
            raise NotFound(message)
        case "StateConflict":
            raise errors.StateConflict(message)
    raise Unavailable(message, retry_after=int(answer.get("retry_after", 5)))
