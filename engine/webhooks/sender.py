"""Requests to servers that somebody outside named: web hooks, media URLs.

Safe against being sent where the asker could not go: http and https alone, addresses judged where the connection is made,
no redirects, no proxy, no cookies, no credentials, caps on time and size. Bodies are never decompressed.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

from engine.errors import AddressRefused, FetchFailed
from engine.webhooks import urls
from engine.webhooks.resolve import Guard

CONNECT_WITHIN = 5.0
"""Seconds for name, connection and TLS."""
TOTAL = 15.0
"""Seconds for a web hook, answer included."""
FETCH_TOTAL = 60.0
_ANSWER = 16_384
"""Bytes of an answer's body that are read, so that the connection can be used again; more: it is closed."""
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one POST. ``error`` is for the delivery log: short, and without anything of the answer's body."""

    status: int | None
    error: str | None

    @property
    def delivered(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Fetched:
    body: bytes
    content_type: str
    """Lower case, without parameters."""


class Sender:
    """Shared by all that speak to the outside; ``async with`` or ``close`` ends its connections."""

    def __init__(self, guard: Guard, *, agent: str = "Trunkline", ca: Path | None = None) -> None:
        """``ca``: a PEM file of authorities that are trusted beside the system's."""
        self.guard = guard
        self._ca = ca
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await self.guard.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Never raises but when cancelled: whatever happens is the outcome."""
        try:
            async with self._request("POST", url, TOTAL, data=body, headers=headers) as answer:
                await _skim(answer)
                return Outcome(answer.status, _complaint(answer.status))
        except (AddressRefused, urls.BadUrl, aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(None, reason(error))

    async def fetch(self, url: str, *, max_bytes: int, types: Collection[str] = ()) -> Fetched:
        """The body of a GET. ``types``: content types, or beginnings that end in a slash (``audio/``); empty: any.

        Raises FetchFailed, whose text may be told to whoever gave the URL.
        """
        async with self._got(url, max_bytes, types) as answer:
            return Fetched(await _read(answer, max_bytes), _type(answer))

    async def pieces(self, url: str, *, max_bytes: int, types: Collection[str] = ()) -> AsyncGenerator[bytes, None]:
        """As ``fetch``, a piece at a time, so that many at once need little memory."""
        size = 0
        async with self._got(url, max_bytes, types) as answer:
            async for piece in answer.content.iter_chunked(_PIECE):
                size += len(piece)
                if size > max_bytes:
                    raise FetchFailed(f"is over {max_bytes} bytes")
                yield piece

    @asynccontextmanager
    async def _got(self, url: str, max_bytes: int, types: Collection[str]) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._request("GET", url, FETCH_TOTAL, headers={"Accept-Encoding": "identity"}) as answer:
                _acceptable(answer, max_bytes, types)
                yield answer
        except (AddressRefused, urls.BadUrl, aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed(reason(error)) from error

    @asynccontextmanager
    async def _request(
        self, method: str, text: str, total: float, *, headers: Mapping[str, str], data: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer's head; afterwards the connection is given back, or closed when there is more to come."""
        url = urls.parse(text)
        self.guard.check_literal(url)
        timeout = aiohttp.ClientTimeout(total=total, connect=CONNECT_WITHIN)
        answer = await self.session().request(
            method, url, data=data, headers=headers, allow_redirects=False, timeout=timeout
        )
        try:
            yield answer
        finally:
            if answer.content.at_eof():
                answer.release()
            else:
                answer.close()

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self.guard, use_dns_cache=False, limit=0, keepalive_timeout=10, ssl=self._trust()
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": self._agent},
            )
        return self._session

    def _trust(self) -> ssl.SSLContext | bool:
        if self._ca is None:
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(self._ca)
        return context


async def _skim(answer: aiohttp.ClientResponse) -> None:
    """Read a short body to its end. What goes wrong in it is no matter: the status has been said."""
    read = 0
    try:
        while read < _ANSWER and not answer.content.at_eof():
            read += len(await answer.content.read(_ANSWER))
    except (aiohttp.ClientError, OSError):
        answer.close()


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:  # noqa: PLR2004
        return None
    redirects = "; redirects are not followed" if 300 <= status < 400 else ""  # noqa: PLR2004
    return f"answered {status}{redirects}"


def _type(answer: aiohttp.ClientResponse) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _acceptable(answer: aiohttp.ClientResponse, max_bytes: int, types: Collection[str]) -> None:
    if answer.status != 200:  # noqa: PLR2004
        raise FetchFailed(_complaint(answer.status) or f"answered {answer.status}")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchFailed("is compressed, which was not asked for")
    if (answer.content_length or 0) > max_bytes:
        raise FetchFailed(f"is over {max_bytes} bytes")
    found = _type(answer)
    if types and not any(found.startswith(each) if each.endswith("/") else found == each for each in types):
        raise FetchFailed(f"is of type {found[:64] or 'nothing'}, not {', '.join(sorted(types))}")


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        body += piece
        if len(body) > max_bytes:
            raise FetchFailed(f"is over {max_bytes} bytes")
    return bytes(body)


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its name is not known"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ConnectionTimeoutError, f"no connection within {CONNECT_WITHIN:g} s"),
    (TimeoutError, "took too long"),
    (aiohttp.ClientConnectorError, "can't be connected to"),
    (aiohttp.ServerDisconnectedError, "closed the connection"),
    (aiohttp.ClientOSError, "closed the connection"),
    (ConnectionError, "closed the connection"),
)


def reason(error: Exception) -> str:
    """For people, by class: what a stranger's server wrote is not repeated."""
    if isinstance(error, AddressRefused | urls.BadUrl):
        return str(error)
    return next((text for kind, text in _REASONS if isinstance(error, kind)), "did not answer in HTTP")
