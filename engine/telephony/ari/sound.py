"""A channel's live sound: the websocket that Asterisk's chan_websocket gives for it (22.6 and later)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

import aiohttp

from engine.errors import Gone, LinkDown, RequestTimedOut

FORMAT: Final = "ulaw"
KEY: Final = "MEDIA_WEBSOCKET_CONNECTION_ID"
"""The variable of such a channel that holds the key to its sound."""
_NOT_FOUND: Final = 404


async def sound(base: str, key: str, *, timeout: float) -> AsyncGenerator[bytes, None]:
    """µ-law as it comes, 20 ms a piece, until the channel ends; ``base`` is ARI's address. Closing the generator ends
    the channel. Raises LinkDown, RequestTimedOut or Gone where it can't be opened."""
    url = f"{base.rstrip('/').removesuffix('/ari')}/media/{quote(key, safe='')}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        socket = await _opened(session, url, timeout)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    yield message.data
        finally:
            await socket.close()


async def _opened(session: aiohttp.ClientSession, url: str, timeout: float) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(timeout):
            return await session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=1.0), max_msg_size=1 << 16)
    except TimeoutError as error:
        raise RequestTimedOut(f"the sound did not open within {timeout} s") from error
    except aiohttp.WSServerHandshakeError as error:
        if error.status == _NOT_FOUND:
            raise Gone("the channel of that sound is no more") from error
        raise LinkDown(f"the sound was refused: {error.status}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise LinkDown(f"the sound did not open: {type(error).__name__}") from error
