"""/api/webhooks: subscriptions and their delivery log."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, Bad, Field, Kind, Schema, enum, scalar, whole
from engine.api.route import Answer, Ask, Route
from engine.api.views import iso
from engine.commands import webhooks
from engine.errors import NotFound
from engine.webhooks import types, urls
from engine.webhooks.port import Delivery, Webhook
from engine.webhooks.signing import ordered

MAX_PAGE = 500
_MOST_TYPES = 64


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise Bad("must be a string")
    try:
        return str(urls.parse(value))
    except urls.BadUrl as error:
        raise Bad(str(error)) from None


URL = Kind(_url, {"type": "string", "format": "uri", "maxLength": urls.LONGEST, "pattern": "^https?://"})
"""Syntax alone; where it leads is judged by the command."""


def _types(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST_TYPES:
        raise Bad(f"must be a list of at most {_MOST_TYPES} types")
    return [scalar(each).strip() for each in value]


TYPES = Kind(
    _types,
    {"type": "array", "minItems": 1, "items": {"type": "string", "enum": [*types.TYPES, *types.FAMILIES]}},
)
BODY = Schema(
    "Webhook",
    Field("url", URL, "Where to POST; http or https, on the public Internet", "https://example.com/hooks/trunkline"),
    Field("types", TYPES, "What of; `call.*` stands for all that begin so", ["call.answered", "call.ended"]),
)
PAGE = Schema(
    "DeliveryPage",
    Field("state", enum(("waiting", "delivered", "dead")), "Only these", "dead", required=False),
    Field("limit", whole(1, MAX_PAGE), "Deliveries on a page", 50, required=False, default=50),
    Field("cursor", whole(0, 2**62), "`next` of the page before", 4711, required=False),
)
WEBHOOK_ID = Field("webhook_id", IDENTIFIER, "As the subscription answered it", "WH0123456789")
DELIVERY_ID = Field("delivery_id", IDENTIFIER, "As the log shows it", 4711)


async def subscribe(ask: Ask) -> Mapping[str, Any]:
    fields = ask.fields
    made = await webhooks.subscribe(ask.ctx, ask.name, url=fields["url"], wanted=fields["types"], key=await ask.key())
    return {**made, "webhook": _webhook(await webhooks.show(ask.ctx, ask.name, made["id"]))}


async def listed(ask: Ask) -> Mapping[str, Any]:
    return {"webhooks": [_webhook(each) for each in await ask.ctx.hooks.all(ask.name)]}


async def show(ask: Ask) -> Mapping[str, Any]:
    return {"webhook": _webhook(await webhooks.show(ask.ctx, ask.name, ask.path("webhook_id")))}


async def remove(ask: Ask) -> Mapping[str, Any]:
    webhook_id = ask.path("webhook_id")
    await webhooks.remove(ask.ctx, ask.name, webhook_id)
    return {"id": webhook_id, "message": "webhook deleted successfully"}


async def deliveries(ask: Ask) -> Mapping[str, Any]:
    fields = ask.fields
    page, following = await webhooks.deliveries(
        ask.ctx,
        ask.name,
        ask.path("webhook_id"),
        state=fields["state"],
        limit=fields["limit"],
        before=fields["cursor"],
    )
    return {"deliveries": [delivery_view(each) for each in page], "next": following}


async def redeliver(ask: Ask) -> Mapping[str, Any]:
    number = ask.path("delivery_id")
    if not (number.isascii() and number.isdigit() and len(number) <= 18):  # noqa: PLR2004
        raise NotFound("no delivery has this id")
    await webhooks.redeliver(ask.ctx, ask.name, ask.path("webhook_id"), int(number))
    return {"id": int(number), "message": "delivery will be tried again now"}


async def test(ask: Ask) -> Mapping[str, Any]:
    made = await webhooks.test(ask.ctx, ask.name, ask.path("webhook_id"))
    return {"delivery_id": made, "message": "test message enqueued"}


async def secret(ask: Ask) -> Mapping[str, Any]:
    return {"secret": await ask.ctx.hooks.account_secret(ask.name)}


async def rotate(ask: Ask) -> Mapping[str, Any]:
    return {"secret": await ask.ctx.hooks.account_secret(ask.name, rotate=True)}


def _webhook(hook: Webhook) -> dict[str, Any]:
    return {"id": hook.id, "url": hook.url, "types": list(hook.types), "created_at": iso(hook.created_at)}


def delivery_view(found: Delivery) -> dict[str, Any]:
    data = found.body["data"]
    return {
        "id": found.id,
        "webhook_id": found.webhook,
        "url": found.url,
        "type": found.type,
        "request_id": data.get("request_id"),
        "sequence": found.sequence,
        "state": found.state,
        "attempts": found.attempts,
        "status": found.status,
        "error": found.error,
        "created_at": iso(found.created_at),
        "last_attempt_at": iso(found.attempted_at),
        "next_attempt_at": iso(found.next_at),
        "delivered_at": iso(found.settled_at) if found.state == "delivered" else None,
        "body": ordered(found.body),
    }


_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TIME = {"type": "string", "format": "date-time"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_SECRET = {"type": "string", "pattern": "^whsec_"}
_ID = {"type": "string", "pattern": "^WH[0-9a-f]{10}$"}
_SEEN = "2026-11-22T00:20:52.123Z"
_HOOK_SCHEMA = {
    "type": "object",
    "properties": {"id": _ID, "url": _TEXT, "types": {"type": "array", "items": _TEXT}, "created_at": _TIME},
}
_HOOK = {
    "id": "WH0123456789",
    "url": "https://example.com/hooks/trunkline",
    "types": ["call.answered", "call.ended"],
    "created_at": _SEEN,
}
_DELIVERY_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "webhook_id": _TEXT_OR_NULL,
        "url": _TEXT,
        "type": _TEXT,
        "request_id": _TEXT_OR_NULL,
        "sequence": {"type": "integer"},
        "state": {"type": "string", "enum": ["waiting", "delivered", "dead"]},
        "attempts": {"type": "integer"},
        "status": {"type": ["integer", "null"], "description": "HTTP status of the last attempt"},
        "error": _TEXT_OR_NULL,
        "created_at": _TIME,
        "last_attempt_at": _TIME_OR_NULL,
        "next_attempt_at": _TIME_OR_NULL,
        "delivered_at": _TIME_OR_NULL,
        "body": {"type": "object", "description": "What is POSTed"},
    },
}
_DELIVERY = {
    "id": 4711,
    "webhook_id": "WH0123456789",
    "url": "https://example.com/hooks/trunkline",
    "type": "call.answered",
    "request_id": "57362de4f0",
    "sequence": 5,
    "state": "waiting",
    "attempts": 1,
    "status": 500,
    "error": "answered 500",
    "created_at": _SEEN,
    "last_attempt_at": _SEEN,
    "next_attempt_at": _SEEN,
    "delivered_at": None,
    "body": {"type": "call.answered", "timestamp": _SEEN, "data": {"request_id": "57362de4f0", "sequence": 5}},
}

ROUTES = (
    Route(
        "POST",
        "/api/webhooks",
        "Subscribe: have events POSTed to a URL, signed as Standard Webhooks says",
        subscribe,
        scope="admin",
        body=BODY,
        creates=True,
        errors=(409, 503),
        answers={
            200: Answer(
                "It is told of what happens from now on. The secret is shown this once",
                {"id": _ID, "secret": _SECRET, "webhook": _HOOK_SCHEMA},
                {"id": _HOOK["id"], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook": _HOOK},
            )
        },
    ),
    Route(
        "GET",
        "/api/webhooks",
        "Subscriptions of the account, oldest first",
        listed,
        scope="read",
        errors=(503,),
        answers={
            200: Answer("All of them", {"webhooks": {"type": "array", "items": _HOOK_SCHEMA}}, {"webhooks": [_HOOK]})
        },
    ),
    Route(
        "GET",
        "/api/webhooks/{webhook_id}",
        "One subscription",
        show,
        scope="read",
        parameters=(WEBHOOK_ID,),
        errors=(404, 503),
        answers={200: Answer("The subscription", {"webhook": _HOOK_SCHEMA}, {"webhook": _HOOK})},
    ),
    Route(
        "DELETE",
        "/api/webhooks/{webhook_id}",
        "Unsubscribe; what was waiting for it is dropped",
        remove,
        scope="admin",
        parameters=(WEBHOOK_ID,),
        errors=(404, 503),
        answers={
            200: Answer(
                "It is gone",
                {"id": _ID, "message": _TEXT},
                {"id": _HOOK["id"], "message": "webhook deleted successfully"},
            )
        },
    ),
    Route(
        "GET",
        "/api/webhooks/{webhook_id}/deliveries",
        "What was sent, what became of it, what is still to be sent; newest first",
        deliveries,
        scope="read",
        parameters=(WEBHOOK_ID,),
        query=PAGE,
        errors=(404, 503),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last",
                {"deliveries": {"type": "array", "items": _DELIVERY_SCHEMA}, "next": {"type": ["integer", "null"]}},
                {"deliveries": [_DELIVERY], "next": None},
            )
        },
    ),
    Route(
        "POST",
        "/api/webhooks/{webhook_id}/deliveries/{delivery_id}",
        "Deliver it (again), now; without a body",
        redeliver,
        scope="admin",
        parameters=(WEBHOOK_ID, DELIVERY_ID),
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is due",
                {"id": {"type": "integer"}, "message": _TEXT},
                {"id": 4711, "message": "delivery will be tried again now"},
            )
        },
    ),
    Route(
        "POST",
        "/api/webhooks/{webhook_id}/test",
        "Send it a message of type `webhook.test`; without a body",
        test,
        scope="admin",
        parameters=(WEBHOOK_ID,),
        errors=(404, 503),
        answers={
            200: Answer(
                "It is in the delivery log",
                {"delivery_id": {"type": "integer"}, "message": _TEXT},
                {"delivery_id": 4711, "message": "test message enqueued"},
            )
        },
    ),
    Route(
        "GET",
        "/api/webhook_secret",
        "The account's secret, which signs what goes to notify URLs that a request names",
        secret,
        scope="admin",
        errors=(503,),
        answers={200: Answer("The secret", {"secret": _SECRET}, {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})},
    ),
    Route(
        "POST",
        "/api/webhook_secret",
        "A new one in its place, at once; without a body",
        rotate,
        scope="admin",
        errors=(503,),
        answers={
            200: Answer("The new secret", {"secret": _SECRET}, {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
        },
    ),
)
