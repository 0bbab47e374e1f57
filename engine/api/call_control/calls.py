"""/cc/accounts/{account_id}/calls: list, create, show, change and end calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from engine.api.call_control import paging
from engine.api.call_control.dialect import ACCOUNT_ID, DIALECT, answer, body_of, fields_of, nested, of_account
from engine.api.call_control.views import CALL_EXAMPLE, CALL_SCHEMA, call_view
from engine.api.fields import IDENTIFIER, Bad, Field, Kind, Schema, enum, scalar
from engine.api.route import Answer, Ask, Route
from engine.calls.model import Call
from engine.calls.numbers import is_extension
from engine.commands import call_changes, call_control, calls
from engine.commands.call_changes import ACTIVE, ENDED, PARKED
from engine.commands.call_control import PARTIES, TYPES, Party
from engine.errors import NotFound
from engine.ids import call_uuid, request_of_uuid

_LONGEST = 64


def _destination(value: Any) -> str:
    text = scalar(value).strip()
    if not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise Bad(f"must be 1 to {_LONGEST} printable characters")
    return text


DESTINATION = Kind(_destination, {"type": ["integer", "string"], "maxLength": _LONGEST})


def _party(types: Sequence[str]) -> Kind:
    return nested(
        Schema(
            "Party",
            Field("destination", DESTINATION, "A number, an extension, a MAC address or a feature code", 1234),
            Field("type", enum(tuple(types)), "What the destination is", "extension"),
        )
    )


_FROM, _TO = {"destination": 1234, "type": "extension"}, {"destination": 1234567890, "type": "pstn"}
CREATE = Schema(
    "CallControlCreate",
    Field("from", _party(PARTIES), "Who calls", _FROM),
    Field("to", _party(PARTIES), "Who is called", _TO),
    Field("type", enum(TYPES), "Who is called first", "click2dial", required=False, default="default"),
)
CHANGE = Schema(
    "CallControlChange",
    Field("state", enum((ACTIVE, PARKED)), "active: back from park or hold", ACTIVE, required=False),
    Field("from", _party(PARTIES), "Of a transfer: who gives the call on", _FROM, required=False),
    Field("to", _party(("extension", "device", "pstn")), "Transfers the call there", _TO, required=False),
)


def _extension(value: Any) -> str:
    text = scalar(value).strip()
    if not is_extension(text):
        raise Bad("must be an extension of 3 to 6 digits")
    return text


EXTENSION = Kind(_extension, {"type": ["integer", "string"], "pattern": r"^\d{3,6}$"})
QUERY = paging.query("CallControlCalls", "Calls", Field("extension", EXTENSION, "Only its calls", 101, required=False))
CALL_ID = Field("call_id", IDENTIFIER, "As the list shows it", "3fa85f64-5717-4562-b3fc-2c963f66afa6")


async def call_of(ask: Ask) -> Call:
    """The call of the path. Raises NotFound, also when it is another account's."""
    request_id = request_of_uuid(ask.path("call_id"))
    if request_id is None:
        raise NotFound("no call has this id")
    try:
        return await calls.show(ask.ctx, ask.name, request_id)
    except NotFound:
        raise NotFound("no call has this id") from None


async def listed(ask: Ask) -> web.StreamResponse:
    async def show(request_ids: Sequence[str]) -> list[dict[str, Any]]:
        found = await calls.several(ask.ctx, ask.name, request_ids)
        return [call_view(call, ask.account.number) for call in found]

    body = await paging.page(
        paging.wanted(ask.fields),
        ask.ctx.call_book,
        ask.name,
        path=ask.http.path,
        name="calls",
        key_of=str,
        show=show,
    )
    return answer(body)


async def create(ask: Ask) -> web.StreamResponse:
    fields = await fields_of(ask, CREATE)
    command = call_control.Create(Party(**fields["from"]), Party(**fields["to"]), fields["type"])
    request_id = await call_control.execute(ask.ctx, ask.identity, command, await ask.key(fields))
    call = await calls.show(ask.ctx, ask.name, request_id)
    return answer(
        call_view(call, ask.account.number),
        status=201,
        headers={"Location": f"{ask.http.path.rstrip('/')}/{call_uuid(request_id)}"},
    )


async def show(ask: Ask) -> web.StreamResponse:
    return answer(call_view(await call_of(ask), ask.account.number))


async def change(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    fields = await fields_of(ask, CHANGE)
    source, to = (Party(**fields[name]) if fields[name] else None for name in ("from", "to"))
    wanted = call_changes.Change(fields["state"], source, to)
    changed = await call_changes.change(ask.ctx, ask.account, call, wanted)
    return answer(changed_view(ask, call, changed))


async def end(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    await calls.end(ask.ctx, ask.name, call.request_id)
    return answer(changed_view(ask, call, call_changes.Changed(ENDED, call_changes.other(call))))


def changed_view(ask: Ask, call: Call, changed: call_changes.Changed, **more: Any) -> dict[str, Any]:
    return {
        "account_id": ask.account.number,
        "call_id": call_uuid(call.request_id),
        "call_state": changed.state,
        "destination": changed.destination,
        **more,
    }


CHANGED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "account_id": {"type": "integer"},
        "call_id": {"type": "string", "format": "uuid"},
        "call_state": {"enum": [ACTIVE, PARKED, call_changes.HELD, ENDED]},
        "destination": {"type": "string", "description": "The other party"},
    },
}


def changed_example(state: str, **more: Any) -> dict[str, Any]:
    call_id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    return {"account_id": 1234, "call_id": call_id, "call_state": state, "destination": "1234567890", **more}


_PATH = "/cc/accounts/{account_id}/calls"
ROUTES = (
    paging.route(
        _PATH, "Calls of the account, page by page", listed, QUERY, name="calls", item=CALL_SCHEMA, example=CALL_EXAMPLE
    ),
    Route(
        "POST",
        _PATH,
        "Start a call",
        of_account(create),
        scope="call",
        upload=body_of(CREATE),
        parameters=(ACCOUNT_ID,),
        creates=True,
        errors=(400, 404, 409, 413, 415, 422, 503),
        dialect=DIALECT,
        answers={201: Answer("It is committed and under way", CALL_SCHEMA, CALL_EXAMPLE)},
    ),
    Route(
        "GET",
        _PATH + "/{call_id}",
        "A call and its legs as they are now",
        of_account(show),
        scope="read",
        parameters=(ACCOUNT_ID, CALL_ID),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("The call", CALL_SCHEMA, CALL_EXAMPLE)},
    ),
    Route(
        "PUT",
        _PATH + "/{call_id}",
        "Park a call, bring it back, transfer it",
        of_account(change),
        scope="call",
        upload=body_of(CHANGE),
        parameters=(ACCOUNT_ID, CALL_ID),
        errors=(400, 404, 409, 413, 415, 422, 503),
        dialect=DIALECT,
        answers={200: Answer("It is done", CHANGED, changed_example(ACTIVE))},
    ),
    Route(
        "DELETE",
        _PATH + "/{call_id}",
        "End a call",
        of_account(end),
        scope="call",
        parameters=(ACCOUNT_ID, CALL_ID),
        errors=(404, 409, 503),
        dialect=DIALECT,
        answers={200: Answer("It is being ended", CHANGED, changed_example(ENDED))},
    ),
)
