"""HTTP as speech engines speak it: one pool of connections, no redirects, a cap on answers, no proxies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from engine.media.tts.port import EngineFailed

LARGEST = 32 << 20
"""Bytes of an answer."""
CONNECTIONS = 8
CONNECT_WITHIN = 3.0


@dataclass(slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Client:
    """Opened by its first request, in the loop that then runs. Its callers have the deadline."""

    def __init__(self) -> None:
        self.session: aiohttp.ClientSession | None = None

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """Raises EngineFailed, which names the kind of trouble and never the request, when no answer comes."""
        try:
            async with self._session().request(method, url, allow_redirects=False, **options) as response:
                body = await _capped(response.content)
                return Answer(response.status, response.headers, body)
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(f"no answer: {type(error).__name__}") from None

    def _session(self) -> aiohttp.ClientSession:
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN),
                auto_decompress=True,
                trust_env=False,
            )
        return self.session

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()


async def _capped(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for piece in stream.iter_any():
        content += piece
        if len(content) > LARGEST:
            raise EngineFailed(f"an answer of more than {LARGEST >> 20} MiB")
    return bytes(content)
