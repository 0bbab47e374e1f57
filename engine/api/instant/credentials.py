"""Who asks: ``User`` in the body, else Basic auth, else the headers ``account`` and ``auth``."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from engine.api import auth
from engine.api.body import read_value
from engine.api.instant.words import folded
from engine.calls.account import Identity
from engine.commands.context import Context
from engine.errors import InvalidFields, Unauthenticated, Unreadable

_REFUSAL = "missing or wrong credentials"
_LONGEST = 256


async def with_body(ctx: Context, request: web.Request) -> tuple[Identity, Mapping[str, Any]]:
    """An array is taken for its ``InstantCalls``. Raises Unauthenticated, Unreadable, InvalidFields, StoreAway."""
    value = await read_value(request, limit=ctx.config.http.max_body)
    body = {"InstantCalls": value} if isinstance(value, list) else value
    if not isinstance(body, dict):
        raise Unreadable("the body must be a JSON object or an array of them")
    user = _user(body)
    if user is None:
        return await _by_headers(ctx, request), body
    return await _identify(ctx, user.get("username"), user.get("password")), body


async def without_body(ctx: Context, request: web.Request) -> tuple[Identity, Mapping[str, Any]]:
    return await _by_headers(ctx, request), {}


def _user(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """That of the request, or of the first of its calls."""
    calls = folded(body).get("instantcalls")
    first = calls[0] if isinstance(calls, list) and calls and isinstance(calls[0], dict) else {}
    user = folded(body).get("user", folded(first).get("user"))
    if user is not None and not isinstance(user, dict):
        raise InvalidFields({"User": "must be an object with username and password"})
    return folded(user) if user is not None else None


async def _by_headers(ctx: Context, request: web.Request) -> Identity:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return await auth.identify(ctx, request)
    try:
        name, _, secret = base64.b64decode(sent.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthenticated(_REFUSAL) from None
    return await _identify(ctx, name, secret)


async def _identify(ctx: Context, name: Any, secret: Any) -> Identity:
    sane = all(isinstance(each, str) and each.isprintable() and 0 < len(each) <= _LONGEST for each in (name, secret))
    identity = await ctx.accounts.identify(name, secret) if sane else None
    if identity is None:
        raise Unauthenticated(_REFUSAL)
    return identity
