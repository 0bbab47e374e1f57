"""REST over websockets: ARI requests as frames on a few kept connections, at a quarter of what HTTP costs the engine.

Asterisk has it since 20.14 and 22.4. Such a websocket does one request after the other, so there are several. Each is
registered under an application name of its own, to which no channel ever goes.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

import aiohttp

from engine.errors import LinkDown, RequestTimedOut
from engine.telephony.ari.http import AriHttp, Reply, checked

SOCKETS: Final = 4
TURNS: Final = 64
"""Requests under way at once; more wait here, where no deadline runs yet."""
_SINCE: Final = {20: 14, 22: 4}


def has_rest(version: str) -> bool:
    """Whether this release takes requests on a websocket; of an unknown form it is not asked."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return False
    branch, release = int(numbers[1]), int(numbers[2])
    return release >= _SINCE[branch] if branch in _SINCE else branch > max(_SINCE)


class RestSockets:
    """Websockets to one Asterisk for the life of one link. ``broken`` is set when one of them has ended."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._turns = asyncio.Semaphore(TURNS)
        self._sockets: list[_Socket] = []
        self._all: list[_Socket] = []
        self._readers: list[asyncio.Task[None]] = []
        self.broken = asyncio.Event()

    async def open(self, http: AriHttp, url: str, app: str) -> None:
        """Raises LinkDown, RequestTimedOut."""
        await asyncio.gather(*(self._open(http, url, f"{app}.rest{n}") for n in range(SOCKETS)))

    async def _open(self, http: AriHttp, url: str, app: str) -> None:
        socket = _Socket(await http.websocket(url, {"app": app}))
        self._all.append(socket)
        self._sockets.append(socket)
        self._readers.append(asyncio.create_task(self._read(socket), name="ari-rest-reader"))

    async def request(self, method: str, uri: str, body: Mapping[str, Any] | None) -> Reply:
        """``uri`` is relative to ``/ari/``, with its query. The deadline counts from the request's turn on. Raises
        LinkDown, RequestTimedOut, Gone, Clash or Refused."""
        async with self._turns:
            if self.broken.is_set():
                raise LinkDown(f"{method} came after the end of the link")
            socket = min(self._sockets, key=len)
            try:
                status, text = await socket.request(method, uri, body, self._timeout)
            except RequestTimedOut:
                self._retire(socket)
                raise
        return checked(status, text.encode())

    def _retire(self, socket: "_Socket") -> None:
        """Ask nothing more of one that left a request without an answer: the next would wait behind it."""
        if socket in self._sockets:
            self._sockets.remove(socket)
        if not self._sockets:
            self.broken.set()

    async def close(self) -> None:
        self.broken.set()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in self._all), return_exceptions=True)

    async def _read(self, socket: "_Socket") -> None:
        try:
            await socket.read()
        finally:
            self.broken.set()
            socket.fail()


class _Socket:
    """Requests of one websocket by their id; its length is how many have no answer yet."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count()
        self._waiting: dict[str, asyncio.Future[tuple[int, str]]] = {}
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._waiting)

    async def request(self, method: str, uri: str, body: Mapping[str, Any] | None, timeout: float) -> tuple[int, str]:
        """Status and body of the answer. Raises LinkDown, RequestTimedOut."""
        request_id = str(next(self._ids))
        frame = {"type": "RESTRequest", "transaction_id": "", "request_id": request_id, "method": method, "uri": uri}
        if body:
            frame |= {"content_type": "application/json", "message_body": json.dumps(body)}
        answer: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._waiting[request_id] = answer
        deadline = self._loop.call_later(timeout, _expire, answer, f"{method} had no answer within {timeout} s")
        try:
            await self._socket.send_str(json.dumps(frame))
            return await answer
        except (aiohttp.ClientError, OSError) as error:
            raise LinkDown(f"{method} failed: {type(error).__name__}") from error
        finally:
            deadline.cancel()
            del self._waiting[request_id]

    async def read(self) -> None:
        """Until the websocket ends."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(json.loads(message.data))

    def _take(self, frame: Mapping[str, Any]) -> None:
        if frame["type"] == "RESTResponse" and (answer := self._waiting.get(frame["request_id"])):
            _settle(answer, (frame["status_code"], frame.get("message_body", "")))

    async def close(self) -> None:
        """Without a goodbye, which a far side that is away would not return."""
        transport = self._socket.get_extra_info("transport")
        if transport is not None:
            transport.abort()
        await self._socket.close()

    def fail(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LinkDown("the connection broke"))


def _settle(answer: "asyncio.Future[tuple[int, str]]", outcome: tuple[int, str]) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _expire(answer: "asyncio.Future[tuple[int, str]]", message: str) -> None:
    if not answer.done():
        answer.set_exception(RequestTimedOut(message))
