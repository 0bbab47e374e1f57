"""A JSON object out of a request, or an error that says what is wrong with the bytes."""

import asyncio
import json
from typing import Any

from aiohttp import web

from engine.errors import InvalidFields, TooLarge, Unreadable, UnsupportedType

READ_WITHIN = 20.0
"""Seconds a body may take to arrive."""
_TYPOGRAPHIC = frozenset("“”„‟‘’‚‛«»″′")
"""Quotes that word processors and web pages put in place of ``"``."""


async def read_object(request: web.Request, *, limit: int) -> dict[str, Any]:
    """The request's body. Raises TooLarge, UnsupportedType, Unreadable, InvalidFields (a key that comes twice)."""
    return _object(await read_value(request, limit=limit))


async def read_value(request: web.Request, *, limit: int) -> Any:
    """As ``read_object``; any JSON value."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body is over {limit} bytes")
    if not request.body_exists:
        raise Unreadable("the body is empty; a JSON object is expected")
    if request.content_type != "application/json":
        raise UnsupportedType("the content type must be application/json")
    return parse_value(await _read(request, limit))


async def _read(request: web.Request, limit: int) -> bytes:
    try:
        async with asyncio.timeout(READ_WITHIN):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body is over {limit} bytes") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def parse(raw: bytes) -> dict[str, Any]:
    return _object(parse_value(raw))


def parse_value(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8") from None
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(_why(text, error)) from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable("the body must be a JSON object")
    return value


def _why(text: str, error: Exception) -> str:
    if not text.strip():
        return "the body is empty; a JSON object is expected"
    found = "".join(sorted(_TYPOGRAPHIC.intersection(text)))
    if found:
        return f'not JSON: the body has typographic quotes ({" ".join(found)}), JSON takes the straight quote " alone'
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    return "not JSON: a number is too long" if isinstance(error, ValueError) else "not JSON: nested too deeply"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidFields({name[:64]: "appears twice" for name in made if names.count(name) > 1})
    return made


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
