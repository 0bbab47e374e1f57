"""/cc/accounts/{account_id}/calls/{call_id}/legs: the parties of a call, each held, back again, or hung up."""

from typing import Any

from aiohttp import web

from engine.api.call_control.calls import CALL_ID, CHANGED, call_of, changed_example, changed_view
from engine.api.call_control.dialect import ACCOUNT_ID, DIALECT, answer, body_of, fields_of, of_account
from engine.api.call_control.views import LEG_EXAMPLE, LEG_SCHEMA, leg_view
from engine.api.fields import IDENTIFIER, Field, Schema, enum
from engine.api.route import Answer, Ask, Route
from engine.commands import call_changes
from engine.commands.call_changes import ACTIVE, ENDED, HELD, leg_of

CHANGE = Schema("CallControlLeg", Field("state", enum((HELD, ACTIVE)), "held: hears music", HELD))
LEG_ID = Field("leg_id", IDENTIFIER, "As the call shows it", "3fa85f64-5717-4562-b3fc-2c963f66afa6")


async def listed(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    return answer([leg_view(call, call.legs[n], ask.account.number) for n in sorted(call.legs)])


async def show(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    return answer(leg_view(call, leg_of(call, ask.path("leg_id")), ask.account.number))


async def change(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    leg = leg_of(call, ask.path("leg_id"))
    fields = await fields_of(ask, CHANGE)
    changed = await call_changes.change_leg(ask.ctx, call, leg.leg_id, fields["state"])
    return answer(changed_view(ask, call, changed, leg_id=leg.leg_id))


async def end(ask: Ask) -> web.StreamResponse:
    call = await call_of(ask)
    leg = leg_of(call, ask.path("leg_id"))
    changed = await call_changes.end_leg(ask.ctx, call, leg.leg_id)
    return answer(changed_view(ask, call, changed, leg_id=leg.leg_id))


_LEG: Any = {**CHANGED, "properties": {**CHANGED["properties"], "leg_id": {"type": "string", "format": "uuid"}}}
_LEG_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_PATH = "/cc/accounts/{account_id}/calls/{call_id}/legs"
ROUTES = (
    Route(
        "GET",
        _PATH,
        "The legs of a call",
        of_account(listed),
        scope="read",
        parameters=(ACCOUNT_ID, CALL_ID),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("All of them", {"type": "array", "items": LEG_SCHEMA}, [LEG_EXAMPLE])},
    ),
    Route(
        "GET",
        _PATH + "/{leg_id}",
        "A leg as it is now",
        of_account(show),
        scope="read",
        parameters=(ACCOUNT_ID, CALL_ID, LEG_ID),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("The leg", LEG_SCHEMA, LEG_EXAMPLE)},
    ),
    Route(
        "PUT",
        _PATH + "/{leg_id}",
        "Hold a party, or bring it back",
        of_account(change),
        scope="call",
        upload=body_of(CHANGE),
        parameters=(ACCOUNT_ID, CALL_ID, LEG_ID),
        errors=(400, 404, 409, 413, 415, 422, 503),
        dialect=DIALECT,
        answers={200: Answer("It is done", _LEG, changed_example(HELD, leg_id=_LEG_ID))},
    ),
    Route(
        "DELETE",
        _PATH + "/{leg_id}",
        "Hang up a party",
        of_account(end),
        scope="call",
        parameters=(ACCOUNT_ID, CALL_ID, LEG_ID),
        errors=(404, 409, 503),
        dialect=DIALECT,
        answers={200: Answer("It is hung up", _LEG, changed_example(ENDED, leg_id=_LEG_ID))},
    ),
)
