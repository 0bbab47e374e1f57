"""Kept-alive HTTP/1.1 connections to one server, as few and as cheap as ARI needs them.

A call costs some ten requests. Here one takes 15 µs of CPU, with aiohttp 60, and aiohttp's pool, when it is closed,
cancels the tasks that wait in it. What is spoken: requests with a whole body; answers with Content-Length, chunked, or
none. Nothing is ever sent twice: who gets LinkDown does not know whether it was done.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from engine.errors import LinkDown

_IDLE: Final = 10.0
"""Seconds an unused connection is kept: below Asterisk's session_keep_alive, 15 s by default."""
_HEAD_LIMIT: Final = 1 << 16
_NO_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Connections:
    """At most ``limit`` connections to the server of ``url``; further requests wait their turn, in order."""

    def __init__(self, url: str, headers: str, *, limit: int) -> None:
        """``headers``: lines for each request, each ended by CR LF."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._headers = f"Host: {parts.netloc.rpartition('@')[2]}\r\n{headers}"
        self._free = limit
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def request(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """One request; ``target`` is the path with the query, encoded. Raises LinkDown."""
        connection = await self._acquire()
        self._busy.add(connection)
        try:
            answer = await connection.exchange(self._compose(method, target, body))
        except BaseException:
            connection.abort()
            raise
        finally:
            self._busy.discard(connection)
            self._release(connection)
        return answer

    def close(self) -> None:
        """Fail what waits and what is under way with LinkDown."""
        self._closed = True
        for turn in self._queue:
            if not turn.done():
                turn.set_result(None)
        for connection in (*self._busy, *self._idle):
            connection.abort()

    def _compose(self, method: str, target: str, body: bytes | None) -> bytes:
        kind = "Content-Type: application/json\r\n" if body else ""
        length = "" if method == "GET" else f"Content-Length: {len(body or b'')}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{self._headers}{kind}{length}\r\n".encode() + (body or b"")

    async def _acquire(self) -> "_Connection":
        if self._closed:
            raise LinkDown("the link is closed")
        if self._free == 0 or self._queue:
            await self._turn()
        self._free -= 1
        oldest = asyncio.get_running_loop().time() - _IDLE
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        try:
            return await self._connect()
        except BaseException:
            self._give_back()
            raise

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()  # it was our turn: the next one's
            raise
        finally:
            with suppress(ValueError):
                self._queue.remove(turn)
        if self._closed:
            raise LinkDown("the link was closed")

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        except OSError as error:
            raise LinkDown(f"no connection: {type(error).__name__}") from error
        return connection

    def _release(self, connection: "_Connection") -> None:
        if connection.usable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()
        self._give_back()

    def _give_back(self) -> None:
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        for turn in self._queue:
            if not turn.done():
                turn.set_result(None)
                return


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None
        self.usable = True
        self.idle_since = 0.0

    async def exchange(self, request: bytes) -> Answer:
        if self._transport is None or not self.usable:
            raise LinkDown("the connection was lost")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def abort(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
        self._fail("the link was closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods, not by its class

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # nobody asked: what comes now would be taken for the next answer
            self.abort()
            return
        self._received += data
        try:
            answer = self._parse()
        except ValueError:
            self._fail("the answer was not HTTP")
            self.abort()
            return
        if answer is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(f"the connection was lost: {type(exc).__name__}" if exc else "the server closed the connection")

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LinkDown(why))

    def _parse(self) -> Answer | None:
        """The whole answer, or None until there is more. Raises ValueError."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _HEAD_LIMIT:
                raise ValueError("endless head")
            return None
        head = bytes(self._received[:end]).lower()
        if not head.startswith(b"http/1."):
            raise ValueError("not HTTP")
        status = int(head[9:12])
        body, used = self._body(head, status, end + 4)
        if body is None:
            return None
        del self._received[:used]
        if self._received or _field(head, b"connection") == b"close" or head.startswith(b"http/1.0"):
            self.usable = False
        return Answer(status, body)

    def _body(self, head: bytes, status: int, start: int) -> tuple[bytes | None, int]:
        """Body and where the answer ends; None until it is whole."""
        if _field(head, b"transfer-encoding") == b"chunked":
            return _chunks(self._received, start)
        length = 0 if status in _NO_BODY else int(_field(head, b"content-length") or 0)
        if length < 0:
            raise ValueError("negative length")
        whole = len(self._received) >= start + length
        return (bytes(self._received[start : start + length]) if whole else None), start + length


def _field(head: bytes, name: bytes) -> bytes:
    """Value of a header, lower case; empty when absent."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    at += len(name) + 3
    end = head.find(b"\r\n", at)
    return head[at : end if end >= 0 else None].strip()


def _chunks(received: bytearray, start: int) -> tuple[bytes | None, int]:
    body = bytearray()
    while True:
        line = received.find(b"\r\n", start)
        if line < 0:
            return None, start
        size = int(received[start:line].partition(b";")[0], 16)
        end = line + 2 + size
        if len(received) < end + 2:
            return None, start
        if size == 0:
            return bytes(body), end + 2
        body += received[line + 2 : end]
        start = end + 2
