"""GET /api/recordings/{recording_name}: the file, once it is merged."""

import re
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from engine.api.endpoint import success
from engine.api.fields import IDENTIFIER, Field
from engine.api.route import Answer, Ask, Route
from engine.commands.calls import recording
from engine.errors import NotFound

log = structlog.get_logger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
"""One part of a path, and not a hidden one: nothing that climbs out of the account's folder."""
MERGED_SOON = "1"
"""Seconds advised while the sides are being merged."""


async def get(ask: Ask) -> Any:
    name = ask.path("recording_name")
    if not _NAME.fullmatch(name):
        raise NotFound("no recording has this name")
    row = await recording(ask.ctx, ask.name, name)
    if row.state != "ready":
        return success({"message": "the recording is not ready yet"}, status=202, headers={"Retry-After": MERGED_SOON})
    return _file(ask.ctx.config.recordings / row.account / row.name)


def _file(path: Path) -> web.FileResponse:
    """The file, whole or the ranges asked for. Raises NotFound."""
    if not path.is_file():
        log.error("recording_lost", path=str(path))
        raise NotFound("the recording's file is gone")
    return web.FileResponse(path, headers={"Content-Type": "audio/wav"})


ROUTES = (
    Route(
        "GET",
        "/api/recordings/{recording_name}",
        "A recording; takes Range",
        get,
        scope="read",
        parameters=(Field("recording_name", IDENTIFIER, "As the call's record has it", "57362de4f0.wav"),),
        errors=(404, 503),
        answers={
            200: Answer("The file", content_type="audio/wav"),
            202: Answer("Not ready yet; ask again after `Retry-After` seconds", {"message": {"type": "string"}}),
            206: Answer("The range asked for", content_type="audio/wav"),
        },
    ),
)
