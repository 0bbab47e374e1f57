"""What the routes of the call-control API have in common: bearer tokens, the account's number in the path, their errors."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from engine.api.auth import identify_bearer
from engine.api.body import read_object
from engine.api.encoding import dumps
from engine.api.fields import Bad, Field, Kind, Schema
from engine.api.route import Ask, Dialect, Handler
from engine.errors import InvalidFields, NotFound


def problem(status: int, message: str, reasons: Mapping[str, str], headers: Mapping[str, str]) -> web.Response:
    """``{"error": {"code", "message"}}``; the message has the reason of each field."""
    if status == 422 and reasons:  # noqa: PLR2004
        message = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    kept = dict(headers)
    if status == 401:  # noqa: PLR2004
        kept["WWW-Authenticate"] = 'Bearer realm="trunkline", error="invalid_token"'
    return answer(_error(status, message), status=status, headers=kept)


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=dumps(body), content_type="application/json", headers=headers)


def of_account(handler: Callable[[Ask], Awaitable[web.StreamResponse]]) -> Handler:
    """The account in the path is the token's; any other is unknown."""

    async def checked(ask: Ask) -> web.StreamResponse:
        if ask.path("account_id") != str(ask.account.number):
            raise NotFound("no such account")
        return await handler(ask)

    checked.__module__ = handler.__module__
    return checked


async def fields_of(ask: Ask, schema: Schema) -> dict[str, Any]:
    """The body's fields, for handlers that first see what the path leads to. Raises as ``read_object``."""
    return schema.parse(await read_object(ask.http, limit=ask.ctx.config.http.max_body))


def number_or_text(text: str) -> int | str:
    """Numbers are integers, but for what an integer would change (WIRE-NOTES)."""
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS and (text[0] != "0" or text == "0")
    return int(text) if plain else text


_DIGITS = 15


def _account_id(value: Any) -> str:
    return str(value)


def nested(schema: Schema, **extra: Any) -> Kind:
    """An object within the body; the reasons for its fields come as one."""

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Bad("must be an object")
        try:
            return schema.parse(value)
        except InvalidFields as error:
            raise Bad("; ".join(f"{name} {reason}" for name, reason in error.fields.items())) from None

    return Kind(parse, {**schema.openapi(), **extra})


ACCOUNT_ID = Field("account_id", Kind(_account_id, {"type": "integer"}), "The account's number", 1234)
PROBLEM = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "integer", "description": "The status"}, "message": {"type": "string"}},
        }
    },
}
DIALECT = Dialect(identify=identify_bearer, security=({"token": []},), problem=PROBLEM, example=_error)


def body_of(schema: Schema) -> dict[str, Any]:
    """For the OpenAPI document, of a route whose handler reads the body."""
    return {"application/json": {"schema": schema.openapi()}}
