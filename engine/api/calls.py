"""/api/calls: what runs, what is due, what was; its timeline; its end."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, Field, Schema, enum, whole
from engine.api.route import Answer, Ask, Route
from engine.api.views import CALL_EXAMPLE, CALL_SCHEMA, EVENT_EXAMPLE, EVENT_SCHEMA, call_view, event_view
from engine.commands import calls
from engine.errors import InvalidFields
from engine.ids import is_request_id

MAX_PAGE = 500
REQUEST_ID = Field("request_id", IDENTIFIER, "As the call's creation answered it", "57362de4f0")
PAGE = Schema(
    "CallPage",
    Field("state", enum(calls.STATES), "Which calls", "live", required=False, default="live"),
    Field("limit", whole(1, MAX_PAGE), "Calls on a page", 50, required=False, default=50),
    Field("cursor", IDENTIFIER, "`next` of the page before", "57362de4f0", required=False),
)


async def listed(ask: Ask) -> Mapping[str, Any]:
    cursor = ask.fields["cursor"]
    if cursor is not None and not is_request_id(cursor):
        raise InvalidFields({"cursor": "is not one that a page gave"})
    shown, following = await calls.page(
        ask.ctx, ask.name, state=ask.fields["state"], limit=ask.fields["limit"], before=cursor
    )
    return {"calls": [call_view(call) for call in shown], "next": following}


async def show(ask: Ask) -> Mapping[str, Any]:
    return {"call": call_view(await calls.show(ask.ctx, ask.name, ask.path("request_id")))}


async def events(ask: Ask) -> Mapping[str, Any]:
    request_id = ask.path("request_id")
    timeline = await calls.timeline(ask.ctx, ask.name, request_id)
    return {"request_id": request_id, "events": [event_view(request_id, event) for event in timeline]}


async def end(ask: Ask) -> Mapping[str, Any]:
    request_id = ask.path("request_id")
    await calls.end(ask.ctx, ask.name, request_id)
    return {"request_id": request_id, "message": "call ended successfully"}


_TEXT = {"type": "string"}
ROUTES = (
    Route(
        "GET",
        "/api/calls",
        "Calls of the account, newest first",
        listed,
        scope="read",
        query=PAGE,
        errors=(503,),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last",
                {"calls": {"type": "array", "items": CALL_SCHEMA}, "next": {"type": ["string", "null"]}},
                {"calls": [CALL_EXAMPLE], "next": None},
            )
        },
    ),
    Route(
        "GET",
        "/api/calls/{request_id}",
        "A call and its legs as they are now",
        show,
        scope="read",
        parameters=(REQUEST_ID,),
        errors=(404, 503),
        answers={200: Answer("The call", {"call": CALL_SCHEMA}, {"call": CALL_EXAMPLE})},
    ),
    Route(
        "GET",
        "/api/calls/{request_id}/events",
        "What happened in the call, in order",
        events,
        scope="read",
        parameters=(REQUEST_ID,),
        errors=(404, 503),
        answers={
            200: Answer(
                "The timeline",
                {"request_id": _TEXT, "events": {"type": "array", "items": EVENT_SCHEMA}},
                {"request_id": "57362de4f0", "events": [EVENT_EXAMPLE]},
            )
        },
    ),
    Route(
        "DELETE",
        "/api/calls/{request_id}",
        "End the call, or cancel it",
        end,
        scope="call",
        parameters=(REQUEST_ID,),
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is being ended",
                {"request_id": _TEXT, "message": _TEXT},
                {"request_id": "57362de4f0", "message": "call ended successfully"},
            )
        },
    ),
)
