"""/api/media: the media library."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from engine.api.calls import MAX_PAGE
from engine.api.fields import IDENTIFIER, Field, Schema, whole
from engine.api.route import Answer, Ask, Route
from engine.api.upload import Form, check_length, read_form
from engine.api.views import iso
from engine.commands import idempotency
from engine.errors import InvalidFields, NotFound
from engine.media.library import names
from engine.media.library.port import Media
from engine.media.receive import Staged

_FORM = 64 << 10
"""Bytes that a form may have beside its file."""
_CLOCKS = 5.0
"""Seconds that our clock and PostgreSQL's may differ."""
NAME = Field("name", IDENTIFIER, "As it was uploaded", "welcome")
PAGE = Schema(
    "MediaPage",
    Field("limit", whole(1, MAX_PAGE), "Sounds on a page", 50, required=False, default=50),
    Field("cursor", IDENTIFIER, "`next` of the page before", "welcome", required=False, default=""),
)


async def post(ask: Ask) -> Mapping[str, Any]:
    library, account = ask.ctx.library, ask.name
    check_length(ask.http, library.limit + _FORM)
    form = await read_form(
        ask.http, {"name": False, "extension": False}, lambda chunks: library.receive(account, chunks)
    )
    assert form.file is not None
    try:
        return {"media": await _kept(ask, form, form.file)}
    finally:
        form.discard()


async def _kept(ask: Ask, form: Form, file: Staged) -> Mapping[str, Any]:
    name, extension = _name(form), form.texts.get("extension") or None
    names.check(name, extension)
    claimed = names.claimed(form.filename, form.content_type)
    body = {"name": name, "extension": extension, "sha256": file.sha256}

    async def act() -> None:
        await ask.ctx.library.add(ask.name, name, file, extension=extension, claimed=claimed)

    async def happened(answer: Mapping[str, Any]) -> bool:
        kept = await ask.ctx.library.table.get(ask.name, name)
        return kept is not None and kept.created_at.timestamp() > answer["since"] - _CLOCKS

    answer = {"name": name, "since": ask.ctx.now().timestamp()}
    await idempotency.once(ask.ctx, ask.name, await ask.key(body), answer, act=act, happened=happened)
    return _view(ask, await ask.ctx.library.get(ask.name, name))


def _name(form: Form) -> str:
    """The name that was given, else the file's own without its ending. Raises InvalidFields."""
    given = form.texts.get("name", "")
    name = given or form.filename.rpartition(".")[0] or form.filename
    if not name:
        raise InvalidFields({"name": "is required"})
    return name


async def listed(ask: Ask) -> Mapping[str, Any]:
    limit = ask.fields["limit"]
    found = await ask.ctx.library.list(ask.name, limit=limit + 1, after=ask.fields["cursor"])
    shown, more = found[:limit], len(found) > limit
    return {"media": [_view(ask, each) for each in shown], "next": shown[-1].name if more else None}


async def show(ask: Ask) -> Mapping[str, Any]:
    return {"media": _view(ask, await ask.ctx.library.get(ask.name, ask.path("name")))}


async def content(ask: Ask) -> web.FileResponse:
    path = ask.ctx.library.path(await ask.ctx.library.get(ask.name, ask.path("name")))
    if not path.is_file():
        raise NotFound("the sound's file is gone")
    return web.FileResponse(path, headers={"Content-Type": "audio/wav"})


async def delete(ask: Ask) -> Mapping[str, Any]:
    gone = await ask.ctx.library.delete(ask.name, ask.path("name"))
    return {"name": gone.name, "message": "media deleted successfully"}


def _view(ask: Ask, media: Media) -> Mapping[str, Any]:
    return view(media, ask.ctx.library.playable(media).media)


def view(media: Media, uri: str) -> Mapping[str, Any]:
    return {
        "name": media.name,
        "extension": media.extension,
        "duration": media.duration,
        "size": media.size,
        "sha256": media.sha256,
        "source": media.source,
        "media_uri": uri,
        "created_at": iso(media.created_at),
    }


_TEXT = {"type": "string"}
_MEDIA = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "extension": {"type": ["string", "null"], "description": "Number by which instant calls ask for it"},
        "duration": {"type": "number", "description": "Seconds"},
        "size": {"type": "integer", "description": "Bytes of the WAV file"},
        "sha256": _TEXT,
        "source": {"type": "string", "enum": ["wav", "mp3", "ogg", "flac"], "description": "What was uploaded"},
        "media_uri": {"type": "string", "description": "What Asterisk plays"},
        "created_at": {"type": "string", "format": "date-time"},
    },
}
_EXAMPLE = {
    "name": "welcome",
    "extension": "100",
    "duration": 3.25,
    "size": 52_044,
    "sha256": "9f" * 32,
    "source": "mp3",
    "media_uri": "sound:/var/lib/trunkline/media/account_1/welcome-5b6f0e1c9a7d",
    "created_at": "2026-11-22T00:20:52.123Z",
}
_UPLOAD = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary", "description": "WAV, MP3, OGG or FLAC"},
                "name": {
                    "type": "string",
                    "description": "The file's own name without its ending, when it is left out",
                },
                "extension": {"type": "string", "pattern": "^[0-9]{1,10}$"},
            },
        }
    }
}

ROUTES = (
    Route(
        "POST",
        "/api/media",
        "Upload a sound; one of the same name is replaced",
        post,
        scope="call",
        upload=_UPLOAD,
        creates=True,
        errors=(400, 409, 413, 415, 422, 503),
        answers={200: Answer("It can be played", {"media": _MEDIA}, {"media": _EXAMPLE})},
    ),
    Route(
        "GET",
        "/api/media",
        "Sounds of the account, by name",
        listed,
        scope="read",
        query=PAGE,
        errors=(503,),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last",
                {"media": {"type": "array", "items": _MEDIA}, "next": {"type": ["string", "null"]}},
                {"media": [_EXAMPLE], "next": None},
            )
        },
    ),
    Route(
        "GET",
        "/api/media/{name}",
        "A sound, in words",
        show,
        scope="read",
        parameters=(NAME,),
        errors=(404, 503),
        answers={200: Answer("The sound", {"media": _MEDIA}, {"media": _EXAMPLE})},
    ),
    Route(
        "GET",
        "/api/media/{name}/content",
        "The sound itself, as it is played; takes Range",
        content,
        scope="read",
        parameters=(NAME,),
        errors=(404, 503),
        answers={
            200: Answer("8 kHz 16-bit mono", content_type="audio/wav"),
            206: Answer("The range asked for", content_type="audio/wav"),
        },
    ),
    Route(
        "DELETE",
        "/api/media/{name}",
        "Delete a sound; who hears it hears it to its end",
        delete,
        scope="call",
        parameters=(NAME,),
        errors=(404, 503),
        answers={
            200: Answer(
                "It is gone",
                {"name": _TEXT, "message": _TEXT},
                {"name": "welcome", "message": "media deleted successfully"},
            )
        },
    ),
)
