"""The HTTP client that aioari works with, in place of its own.

The one of aioari has no deadline but aiohttp's 300 s, no limit on connections, puts the credentials unescaped into the
websocket's URL and raises aiohttp.web exceptions. This one has a deadline on each request, at most ``CONNECTIONS``
kept-alive connections (more at once meet Asterisk's SYN backlog and session limit), credentials in a header, and
raises the errors of ``engine.errors``, mapped by status code or class.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from engine.errors import Clash, Gone, LinkDown, Refused, RequestTimedOut, TelephonyError

CONNECTIONS: Final = 11
"""For requests; with the event stream and the websockets of ``rest`` twenty in all."""
_IDLE: Final = 10.0
"""Seconds an unused connection is kept: below Asterisk's session_keep_alive, 15 s by default."""
_CLOSING: Final = 1.0
"""Seconds the far side of a websocket has to confirm a close."""
_CHUNK: Final = 1 << 18
_SUCCESS: Final = range(200, 300)
_BY_STATUS: Final[dict[int, type[TelephonyError]]] = {404: Gone, 409: Clash, 412: Clash, 422: Clash}
"""412: the channel is in a state that does not allow it. 422: it is not in Stasis."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. aioari's loader wants ``text`` as a coroutine."""

    status: int
    body: bytes

    async def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class AriHttp:
    """Connections to one Asterisk for the life of one link; ``close`` fails what is still under way with LinkDown."""

    def __init__(self, user: str, password: str, *, timeout: float, heartbeat: float) -> None:
        self._timeout = timeout
        self._heartbeat = heartbeat
        credentials = aiohttp.encode_basic_auth(user, password, encoding="utf-8")
        # Requests wait for their turn here and not in aiohttp's pool, which cancels whoever waits in it when it closes.
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": credentials},
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        self.websocket_open = asyncio.Event()

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | None = None,
    ) -> Reply:
        """One request, its deadline counted from when it has a connection. Raises LinkDown, RequestTimedOut, Gone, Clash
        or Refused."""
        try:
            async with self._turns, asyncio.timeout(self._timeout):
                if self._session.closed:
                    raise LinkDown(f"{method} came after the end of the link")
                async with self._session.request(
                    method, URL(url, encoded=True), params=params, headers=headers, data=data, allow_redirects=False
                ) as response:
                    body = await response.read()
        except TimeoutError as error:
            raise RequestTimedOut(f"{method} had no answer within {self._timeout} s") from error
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise LinkDown(f"{method} failed: {type(error).__name__}") from error
        return checked(response.status, body)

    async def ws_connect(self, url: str, params: Mapping[str, Any] | None = None) -> aiohttp.ClientWebSocketResponse:
        """The event stream. Pings are sent every ``heartbeat`` seconds; one unanswered for half of that ends it."""
        socket = await self.websocket(url, params, heartbeat=self._heartbeat)
        self.websocket_open.set()
        return socket

    async def websocket(
        self, url: str, params: Mapping[str, Any] | None, *, heartbeat: float | None = None
    ) -> aiohttp.ClientWebSocketResponse:
        """Raises LinkDown, RequestTimedOut."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._session.ws_connect(
                    url,
                    params=params,
                    heartbeat=heartbeat,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING),
                )
        except TimeoutError as error:
            raise RequestTimedOut(f"a websocket did not open within {self._timeout} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkDown(f"a websocket did not open: {type(error).__name__}") from error

    async def download(self, url: str, to: Path) -> None:
        """GET into the file ``to``, in chunks; each chunk has the deadline of a request."""
        try:
            async with (
                asyncio.timeout(self._timeout) as deadline,
                self._session.get(url, allow_redirects=False) as response,
            ):
                if response.status not in _SUCCESS:
                    raise refusal(response.status, b"")
                with to.open("wb") as file:
                    async for chunk in response.content.iter_chunked(_CHUNK):
                        await asyncio.to_thread(file.write, chunk)
                        deadline.reschedule(asyncio.get_running_loop().time() + self._timeout)
        except TimeoutError as error:
            raise RequestTimedOut(f"the download stood still for {self._timeout} s") from error
        except aiohttp.ClientError as error:
            raise LinkDown(f"the download broke: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._session.close()


def checked(status: int, body: bytes) -> Reply:
    """A success. Raises Gone, Clash, Refused for what is none."""
    if status not in _SUCCESS:
        raise refusal(status, body)
    return Reply(status, body)


def refusal(status: int, body: bytes) -> TelephonyError:
    """The error for an answer that is not a success; Asterisk's message is for the log alone."""
    message = f"{status} {body[:200].decode(errors='replace')}".rstrip()
    kind = _BY_STATUS.get(status)
    return kind(message) if kind else Refused(message, status=status)
