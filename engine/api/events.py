"""GET /api/events: the live feed, as server-sent events or, for who asks to upgrade, over a WebSocket."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress

from aiohttp import WSCloseCode, web

from engine.api.auth import identify, require
from engine.api.encoding import dumps
from engine.api.fields import Bad, Field, Kind, Schema, scalar
from engine.api.route import Answer, Ask, Route
from engine.errors import Forbidden, InvalidFields, StoreAway, Unauthenticated, Unavailable
from engine.webhooks.feed import Dropped, FeedEvent, Listener

HEARTBEAT = 15.0
"""Seconds of silence after which a sign of life is sent."""
PATIENCE = 10.0
"""Seconds that a client may take to read what it was sent."""
JUDGED_EVERY = 15.0
"""Seconds after which it is looked again whether the client may listen."""
_LOOK = 1.0
"""Seconds until a client that has gone is noticed, when nothing happens."""
_RETRY_MS = 2000
"""What a client is told to wait before it connects again."""
_HIGHEST = 2**63 - 1


def _place(value: object) -> int:
    text = scalar(value).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _HIGHEST):  # noqa: PLR2004
        raise Bad("must be the id of an event")
    return int(text)


def _types(value: object) -> tuple[str, ...]:
    return tuple(each.strip() for each in scalar(value).split(",") if each.strip())


QUERY = Schema(
    "LiveFeed",
    Field(
        "after",
        Kind(_place, {"type": "integer", "minimum": 0}),
        "The last event's id that was seen; header `Last-Event-ID` does the same",
        4711,
        required=False,
    ),
    Field(
        "types",
        Kind(_types, {"type": "string"}),
        "Only these, with commas; `call.*` stands for all that begin so",
        "call.*,room.*",
        required=False,
        default=(),
    ),
)


async def feed(ask: Ask) -> web.StreamResponse:
    request, after = ask.http, _after(ask)
    if request.method == "HEAD":
        return web.Response(content_type="text/event-stream")
    client: _Events | _Socket = _Socket() if _upgrades(request) else _Events()
    try:
        async with ask.ctx.feed.listen(ask.name) as listener:
            await client.open(request, listener.start if after is None else after)
            await _tell(ask, client, listener, after)
    except Dropped:
        if not client.opened:
            raise Unavailable("the engine is stopping", retry_after=2) from None
        await client.close(in_order=False)
    except (ConnectionError, TimeoutError):
        client.cut(request)
    finally:
        client.forget()
    return client.response


def _after(ask: Ask) -> int | None:
    header = ask.http.headers.get("Last-Event-ID")
    if header is None or ask.fields["after"] is not None:
        found: int | None = ask.fields["after"]
        return found
    try:
        return _place(header)
    except Bad as error:
        raise InvalidFields({"Last-Event-ID": str(error)}) from None


def _upgrades(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _tell(ask: Ask, client: "_Events | _Socket", listener: Listener, after: int | None) -> None:
    """Send what was missed, then what happens, until the client goes. Raises Dropped, ConnectionError, TimeoutError."""
    types = ask.fields["types"]
    if after is not None:
        async for past in ask.ctx.feed.missed(listener, after):
            if wanted(past.type, types):
                await _within(client.send(past))
    sent = judged = time.monotonic()
    while not client.gone(ask.http):
        if time.monotonic() - judged >= JUDGED_EVERY:
            await _judge(ask)
            judged = time.monotonic()
        event = await listener.next(_LOOK)
        if event is not None and event.id > (after or 0) and wanted(event.type, types):
            await _within(client.send(event))
            sent = time.monotonic()
        elif time.monotonic() - sent >= HEARTBEAT:
            await _within(client.beat())
            sent = time.monotonic()
    await client.close(in_order=True)


async def _judge(ask: Ask) -> None:
    """A credential that was revoked or has expired hears no more: it comes back, and is told so. Raises Dropped."""
    try:
        require(await identify(ask.ctx, ask.http), "read")
    except (Unauthenticated, Forbidden):
        raise Dropped from None
    except StoreAway:  # nobody knows
        return


async def _within(work: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await work


def wanted(type_: str, types: tuple[str, ...]) -> bool:
    return not types or any(type_ == each or (each.endswith(".*") and type_.startswith(each[:-1])) for each in types)


class _Events:
    """Server-sent events (WHATWG HTML, §9.2)."""

    def __init__(self) -> None:
        self.response: web.StreamResponse = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        self.opened = False

    async def open(self, request: web.Request, place: int) -> None:
        """An id without data is an event that nobody sees, and what the client comes back with."""
        self.opened = True
        await self.response.prepare(request)
        await self.response.write(f"retry: {_RETRY_MS}\nid: {place}\n\n".encode())

    async def send(self, event: FeedEvent) -> None:
        await self.response.write(
            b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), dumps(body(event)))
        )

    async def beat(self) -> None:
        await self.response.write(b": alive\n\n")

    def gone(self, request: web.Request) -> bool:
        return request.transport is None or request.transport.is_closing()

    def cut(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()  # what it has not read yet is not worth waiting for

    def forget(self) -> None:
        """Nothing is kept."""

    async def close(self, *, in_order: bool) -> None:  # noqa: ARG002 - a stream has one end
        with suppress(ConnectionError, TimeoutError, RuntimeError):
            await _within(self.response.write_eof())


class _Socket:
    """One JSON text a message, ``id`` within."""

    def __init__(self) -> None:
        self._socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=4096)
        self._reader: asyncio.Task[None] | None = None
        self.opened = False

    @property
    def response(self) -> web.StreamResponse:
        return self._socket

    async def open(self, request: web.Request, place: int) -> None:  # noqa: ARG002 - each message has its id
        self.opened = True
        await self._socket.prepare(request)
        self._reader = asyncio.create_task(self._read(), name="live feed reader")

    async def _read(self) -> None:
        """What a client says is not listened to, but for its end."""
        async for _ in self._socket:
            pass

    async def send(self, event: FeedEvent) -> None:
        await self._socket.send_str(dumps({"id": event.id, **body(event)}).decode())

    async def beat(self) -> None:
        """Pings are aiohttp's."""

    def gone(self, _request: web.Request) -> bool:
        return self._socket.closed or (self._reader is not None and self._reader.done())

    def cut(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()

    def forget(self) -> None:
        if self._reader is not None:
            self._reader.cancel()

    async def close(self, *, in_order: bool) -> None:
        code = WSCloseCode.OK if in_order else WSCloseCode.TRY_AGAIN_LATER
        with suppress(ConnectionError, TimeoutError, RuntimeError):
            await _within(self._close(code))

    async def _close(self, code: int) -> None:
        await self._socket.close(code=code)


def body(event: FeedEvent) -> dict[str, object]:
    return {"type": event.type, "timestamp": event.timestamp, "data": dict(event.data)}


_EXAMPLE = (
    'id: 4711\nevent: call.answered\ndata: {"type":"call.answered","timestamp":"2026-11-22T00:20:52.123Z","data":{}}\n'
)
ROUTES = (
    Route(
        "GET",
        "/api/events",
        "The live feed: what happens in calls, rooms and campaigns of the account, as server-sent events; over a "
        "WebSocket when asked to upgrade",
        feed,
        scope="read",
        query=QUERY,
        errors=(503,),
        answers={
            200: Answer(
                "Events for as long as the client listens, each with the id by which it can be taken up again",
                content_type="text/event-stream",
                example=_EXAMPLE,
            )
        },
    ),
)
