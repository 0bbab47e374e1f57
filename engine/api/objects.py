"""/api/objects/{name}: files of the account, as they came."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from engine.api.fields import IDENTIFIER, Field
from engine.api.route import Answer, Ask, Route
from engine.api.upload import check_length, pieces
from engine.api.views import iso
from engine.errors import NotFound
from engine.media.objects import names
from engine.media.objects.port import Opened, StoredObject

NAME = Field("name", IDENTIFIER, "Letters, digits, dots, dashes, underscores", "greeting.wav")
_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac"}


async def put(ask: Ask) -> Mapping[str, Any]:
    name, limit = names.new(ask.path("name")), ask.ctx.config.http.max_upload
    check_length(ask.http, limit)
    stored = await ask.ctx.objects.put(ask.name, name, pieces(ask.http), limit=limit)
    return {"object": view(stored)}


async def get(ask: Ask) -> Any:
    found = await ask.ctx.objects.get(ask.name, names.known(ask.path("name")))
    if found is None:
        raise NotFound("no object has this name")
    headers = {"Content-Type": _type(found.stored.name), "Content-Disposition": "attachment"}
    if found.path is not None:
        return web.FileResponse(found.path, headers=headers)
    return await _stream(ask, found, headers)


async def _stream(ask: Ask, found: Opened, headers: Mapping[str, str]) -> web.StreamResponse:
    answer = web.StreamResponse(headers={**headers, "Content-Length": str(found.stored.size)})
    await answer.prepare(ask.http)
    assert found.chunks is not None
    async for chunk in found.chunks:
        await answer.write(chunk)
    await answer.write_eof()
    return answer


async def delete(ask: Ask) -> Mapping[str, Any]:
    name = names.known(ask.path("name"))
    if not await ask.ctx.objects.delete(ask.name, name):
        raise NotFound("no object has this name")
    return {"name": name, "message": "object deleted successfully"}


def view(stored: StoredObject) -> Mapping[str, Any]:
    return {"name": stored.name, "size": stored.size, "sha256": stored.sha256, "modified_at": iso(stored.modified_at)}


def _type(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


_TEXT = {"type": "string"}
_RAW = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_OBJECT = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "size": {"type": "integer", "description": "Bytes"},
        "sha256": {"type": ["string", "null"]},
        "modified_at": {"type": "string", "format": "date-time"},
    },
}
_EXAMPLE = {"name": "greeting.wav", "size": 48_044, "sha256": "9f" * 32, "modified_at": "2026-11-22T00:20:52.123Z"}

ROUTES = (
    Route(
        "PUT",
        "/api/objects/{name}",
        "Keep the body under this name, in place of what was there",
        put,
        scope="call",
        parameters=(NAME,),
        upload=_RAW,
        errors=(400, 413, 422, 503),
        answers={200: Answer("It is kept", {"object": _OBJECT}, {"object": _EXAMPLE})},
    ),
    Route(
        "GET",
        "/api/objects/{name}",
        "The object; takes Range where objects are files",
        get,
        scope="read",
        parameters=(NAME,),
        errors=(404, 503),
        answers={
            200: Answer("What was put", content_type="application/octet-stream"),
            206: Answer("The range asked for", content_type="application/octet-stream"),
        },
    ),
    Route(
        "DELETE",
        "/api/objects/{name}",
        "Delete the object",
        delete,
        scope="call",
        parameters=(NAME,),
        errors=(404, 503),
        answers={
            200: Answer(
                "It is gone",
                {"name": _TEXT, "message": _TEXT},
                {"name": "greeting.wav", "message": "object deleted successfully"},
            )
        },
    ),
)
