"""What a client uploads, a piece at a time: a raw body, or a form with one file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, ClientPayloadError, MultipartReader, web
from aiohttp.http import HttpProcessingError

from engine.errors import InvalidFields, TooLarge, Unreadable, UnsupportedType
from engine.media.receive import Staged

IDLE = 20.0
"""Seconds within which the next piece has to come."""
LONGEST = 3600.0
"""Seconds that a whole upload may take."""
_PIECE = 256 << 10
_LONGEST_TEXT = 1024
_MOST_PARTS = 16

_BROKEN = (
    ClientPayloadError,
    HttpProcessingError,
    web.RequestPayloadError,
    ConnectionError,
    ValueError,
    AssertionError,
)
"""What aiohttp raises for a body that breaks off or is no form."""


async def pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Unreadable when it breaks off, HTTPRequestTimeout when it stands still."""
    async for piece in _in_time(request.content.readany):
        yield piece


def check_length(request: web.Request, limit: int) -> None:
    """Raises TooLarge when what is announced is."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body is over {limit} bytes")


async def _in_time(read: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    try:
        async with asyncio.timeout(LONGEST):
            while True:
                async with asyncio.timeout(IDLE):
                    piece = bytes(await read())
                if not piece:
                    return
                yield piece
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except _BROKEN:
        raise Unreadable("the body breaks off, or is not what its headers say") from None


@dataclass
class Form:
    """A form that was read to its end; ``file`` is whoever's asked for it to be received."""

    texts: dict[str, str] = field(default_factory=dict)
    file: Staged | None = None
    filename: str = ""
    content_type: str = ""

    def discard(self) -> None:
        if self.file is not None:
            self.file.discard()


async def read_form(
    request: web.Request, names: Mapping[str, bool], receive: Callable[[AsyncIterator[bytes]], Awaitable[Staged]]
) -> Form:
    """``names``: the text fields there may be → required; beside them exactly one ``file``, which ``receive`` takes.

    Raises UnsupportedType, Unreadable, InvalidFields and what ``receive`` raises; the file is gone then.
    """
    if request.content_type != "multipart/form-data":
        raise UnsupportedType("the content type must be multipart/form-data")
    form = Form()
    try:
        await _read_parts(request, form, names, receive)
        _complete(form, names)
    except BaseException:
        form.discard()
        raise
    return form


def _complete(form: Form, names: Mapping[str, bool]) -> None:
    missing = {name for name, required in names.items() if required and name not in form.texts}
    missing |= set() if form.file else {"file"}
    if missing:
        raise InvalidFields(dict.fromkeys(sorted(missing), "is required"))


async def _read_parts(
    request: web.Request,
    form: Form,
    names: Mapping[str, bool],
    receive: Callable[[AsyncIterator[bytes]], Awaitable[Staged]],
) -> None:
    try:
        reader = await request.multipart()
        for _ in range(_MOST_PARTS):
            part = await _next(reader)
            if part is None:
                return
            await _take(part, form, names, receive)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except _BROKEN:
        raise Unreadable("the body is not a form that can be read") from None
    raise Unreadable(f"the form has more than {_MOST_PARTS} parts")


async def _next(reader: MultipartReader) -> BodyPartReader | None:
    async with asyncio.timeout(IDLE):
        part = await reader.next()
    if isinstance(part, MultipartReader):
        raise Unreadable("a form within a form")
    return part


async def _take(
    part: BodyPartReader,
    form: Form,
    names: Mapping[str, bool],
    receive: Callable[[AsyncIterator[bytes]], Awaitable[Staged]],
) -> None:
    name = part.name or ""
    if part.headers.get("Content-Encoding") or part.headers.get("Content-Transfer-Encoding", "binary") not in _PLAIN:
        raise InvalidFields({name[:64]: "must be sent as it is, without an encoding"})
    if name in form.texts or (name == "file" and form.file):
        raise InvalidFields({name: "appears twice"})
    if name == "file":
        form.filename, form.content_type = part.filename or "", part.headers.get("Content-Type", "")
        form.file = await receive(_in_time(lambda: part.read_chunk(_PIECE)))
    elif name in names:
        form.texts[name] = await _text(part, name)
    else:
        raise InvalidFields({name[:64]: "unknown field"})


_PLAIN = ("binary", "8bit", "7bit")


async def _text(part: BodyPartReader, name: str) -> str:
    raw = bytearray()
    async for piece in _in_time(lambda: part.read_chunk(_LONGEST_TEXT)):
        raw += piece
        if len(raw) > _LONGEST_TEXT:
            raise InvalidFields({name: f"must be at most {_LONGEST_TEXT} bytes"})
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidFields({name: "is not UTF-8"}) from None
