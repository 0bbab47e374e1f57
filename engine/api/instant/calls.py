"""/Api/InstantCall, at /api/instantcall too: made, read by id and by code, cancelled."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from engine.api.encoding import dumps
from engine.api.fields import IDENTIFIER, Field, Schema
from engine.api.instant import credentials
from engine.api.instant.words import CALL, LONGEST_CODE, NAMES, folded, moment
from engine.api.route import Answer, Ask, Route
from engine.api.views import iso
from engine.calls.account import Account
from engine.commands import instant_calls
from engine.commands.instant_calls import Errors, InstantCall
from engine.dialer.instant import status
from engine.dialer.localtime import NoSuchTime
from engine.dialer.port import Due
from engine.errors import InvalidFields, NotFound

MOST = 5000
"""Calls of one request."""
_LONGEST_ID = 18


async def post(ask: Ask) -> web.Response:
    asked = _calls(ask.account, ask.body)
    good = [each for each in asked if isinstance(each, InstantCall)]
    made = iter(await instant_calls.add(ask.ctx, ask.identity, good) if good else ())
    results = [next(made) if isinstance(each, InstantCall) else each for each in asked]
    shown = [_result(n, each) for n, each in enumerate(results)]
    return _json({"InstantCalls": shown}, 200 if any(isinstance(each, Due) for each in results) else 422)


def _calls(account: Account, body: Mapping[str, Any]) -> list[InstantCall | Errors]:
    """Each call with what the request says for all. Raises InvalidFields."""
    shared = folded(body)
    shared.pop("user", None)
    items = shared.pop("instantcalls", None)
    items = [items] if isinstance(items, dict) else [{}] if items is None else items
    if not isinstance(items, list) or not 0 < len(items) <= MOST:
        raise InvalidFields({"InstantCalls": f"must be an array of 1 to {MOST} calls"})
    return [_call(account, shared, item, n if len(items) > 1 else -1) for n, item in enumerate(items)]


def _call(account: Account, shared: Mapping[str, Any], item: Any, place: int) -> InstantCall | Errors:
    if not isinstance(item, dict):
        return {"InstantCalls": "must be an object"}
    own = {key: value for key, value in folded(item).items() if key != "user" and value is not None}
    fields = {NAMES.get(key, key): value for key, value in {**shared, **own}.items()}
    try:
        values = CALL.parse(fields)
    except InvalidFields as error:
        return error.fields
    wrong: dict[str, str] = {}
    for name in ("StartDate", "EndDate"):
        try:
            values[name] = moment(values[name], account.time_zone)
        except NoSuchTime as error:
            wrong[name] = str(error)
    return wrong or _command(values, -1 if "coderequest" in own else place)


def _command(values: Mapping[str, Any], place: int) -> InstantCall:
    return InstantCall(
        number=values["NumberToCall"],
        extension=values["Extension"],
        start=values["StartDate"],
        end=values["EndDate"],
        caller_id=values["CallerId"],
        max_retries=values["MaxRetries"],
        minutes=values["MinutesBetweenRetries"],
        repeats=max(values["IVRRepeats"], 1),
        first_name=values["FirstName"],
        last_name=values["LastName"],
        code=values["CodeRequest"] or None,
        code_item=place if values["CodeRequest"] else -1,
    )


def _result(index: int, result: Due | Errors) -> dict[str, Any]:
    if not isinstance(result, Due):
        return {"Index": index, "Error": dict(result)}
    return {"Index": index, "Id": result.id, "CodeRequest": result.code, "Status": status(result)}


async def show(ask: Ask) -> web.Response:
    return _json(_view(await instant_calls.show(ask.ctx, ask.name, _id(ask))))


async def of_code(ask: Ask) -> web.Response:
    """One call as it is; several that share the code as an array."""
    given = {name: value for name, value in folded(ask.http.query).items() if name == "coderequest"}
    code = given.get("coderequest", "").strip()
    if not code or len(code) > LONGEST_CODE or "\0" in code:
        raise InvalidFields({"CodeRequest": "is required"})
    found = await instant_calls.of_code(ask.ctx, ask.name, code)
    return _json(_view(found[0]) if len(found) == 1 else {"InstantCalls": [_view(each) for each in found]})


async def cancel(ask: Ask) -> web.Response:
    return _json(_view(await instant_calls.cancel(ask.ctx, ask.name, _id(ask))))


def _id(ask: Ask) -> int:
    text = ask.path("Id")
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        raise NotFound("no instant call has this Id")
    return int(text)


def _view(due: Due) -> dict[str, Any]:
    last = due.outcome or {}
    return {
        "Id": due.id,
        "CodeRequest": due.code,
        "Status": status(due),
        "Retries": max(due.attempt - 1, 0),
        "InputDigits": last.get("dtmf", ""),
        "IntervalCall": round(last.get("billsec") or 0),
        "StartDateTimeCall": _time(last.get("started_at")),
        "EndDateTimeCall": _time(last.get("ended_at")),
        "Price": 0,
        "NumberToCall": due.number,
        "RequestId": due.request_id,
    }


def _time(text: str | None) -> str | None:
    return iso(datetime.fromisoformat(text)) if text else None


def _json(value: Any, code: int = 200) -> web.Response:
    return web.Response(status=code, body=dumps(value), content_type="application/json")


_WORDS = ["Waiting", "Calling", "Answered", "NoAnswer", "Busy", "Failed", "Expired", "Cancelled"]
_STATUS = {"type": "string", "enum": _WORDS}
_CODE = {"type": ["string", "null"]}
_MADE = {
    "type": "object",
    "properties": {
        "Index": {"type": "integer"},
        "Id": {"type": "integer"},
        "CodeRequest": _CODE,
        "Status": _STATUS,
        "Error": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_READ = {
    "type": "object",
    "properties": {
        "Id": {"type": "integer"},
        "CodeRequest": _CODE,
        "Status": _STATUS,
        "Retries": {"type": "integer", "description": "Tries after the first"},
        "InputDigits": {"type": "string", "description": "Keys pressed in the last try"},
        "IntervalCall": {"type": "integer", "description": "Seconds from the answer to the end"},
        "StartDateTimeCall": _TIME,
        "EndDateTimeCall": _TIME,
        "Price": {"type": "integer", "description": "0: nothing is charged here"},
        "NumberToCall": {"type": "string"},
        "RequestId": {"type": ["string", "null"], "description": "The call of the last try"},
    },
}
_READ_EXAMPLE = {
    "Id": 17,
    "CodeRequest": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "Status": "Answered",
    "Retries": 1,
    "InputDigits": "5",
    "IntervalCall": 12,
    "StartDateTimeCall": "2026-11-22T00:20:52.123Z",
    "EndDateTimeCall": "2026-11-22T00:21:06.003Z",
    "Price": 0,
    "NumberToCall": "390212345678",
    "RequestId": "57362de4f0",
}
_USER = {"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}
_BODY = CALL.openapi() | {"required": [], "additionalProperties": True}
_BODY["properties"] = _BODY["properties"] | {
    "User": _USER | {"description": "The account and its secret"},
    "InstantCalls": {"type": "array", "items": CALL.openapi(), "description": "Calls; what they leave out is as above"},
}
_ID = Field("Id", IDENTIFIER, "As the creation answered it", "17")
_WHICH = Schema("InstantCallCode", Field("CodeRequest", IDENTIFIER, "As it was given", "6f9619ff", required=False))
_SHOWN = {200: Answer("The call", _READ, _READ_EXAMPLE, bare=True)}


def _routes(path: str) -> Sequence[Route]:
    return (
        Route(
            "POST",
            path,
            "Call numbers that hear an audio file or meet a menu; credentials in User",
            post,
            scope="call",
            enter=credentials.with_body,
            upload={"application/json": {"schema": _BODY}},
            errors=(400, 415, 422, 503),
            answers={
                200: Answer(
                    "At least one was taken; the others have an Error",
                    {"type": "object", "properties": {"InstantCalls": {"type": "array", "items": _MADE}}},
                    {"InstantCalls": [{"Index": 0, "Id": 17, "CodeRequest": None, "Status": "Waiting"}]},
                    bare=True,
                )
            },
        ),
        Route("GET", path, "Instant calls of a code", of_code, scope="read", enter=credentials.without_body, errors=(404, 422, 503), answers=_SHOWN),
        Route("GET", path + "/{Id}", "An instant call", show, scope="read", enter=credentials.without_body, parameters=(_ID,), errors=(404, 503), answers=_SHOWN),
        Route("DELETE", path + "/{Id}", "Cancel an instant call", cancel, scope="call", enter=credentials.without_body, parameters=(_ID,), errors=(404, 409, 503), answers=_SHOWN),
    )  # fmt: skip


ROUTES = (*_routes("/Api/InstantCall"), *_routes("/api/instantcall"))
