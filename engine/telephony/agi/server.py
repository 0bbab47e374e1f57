"""The FastAGI port. Whoever can reach it can send anything: each connection costs little, and not for long.

panoramisk's FastAGI server freezes the whole engine when a client connects and closes without a byte, so this is our
own. A connection is worth something once it has made a request; until then the newest push out those that wait longest.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Final

import structlog

from engine.config import FastAgi
from engine.errors import ConfigError
from engine.telephony.agi.line import AgiLine
from engine.telephony.agi.request import (
    ALL_WITHIN,
    FIRST_LINE_WITHIN,
    LONGEST_LINE,
    AgiRequest,
    BadRequest,
    read_request,
)

log = structlog.get_logger(__name__)

WAITING: Final = 128
"""Connections that have not made a request yet."""
TOLD_EVERY: Final = 10.0
"""Seconds between two lines in the log about what was turned away."""

Serve = Callable[[AgiLine, AgiRequest], Awaitable[None]]
"""Has a caller until that one has gone, or the connection is closed."""


class AgiServer:
    """``turned_away``: reason → how many connections made no request that was served."""

    def __init__(
        self,
        settings: FastAgi,
        serve: Serve,
        *,
        first_within: float = FIRST_LINE_WITHIN,
        all_within: float = ALL_WITHIN,
        waiting: int = WAITING,
    ) -> None:
        self._settings = settings
        self._serve = serve
        self._first_within, self._all_within, self._most_waiting = first_within, all_within, waiting
        self._server: asyncio.Server | None = None
        self._waiting: dict[asyncio.StreamWriter, None] = {}
        self._served: dict[asyncio.StreamWriter, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told = 0.0
        self.turned_away: Counter[str] = Counter()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def live(self) -> int:
        """Callers who are here by this door."""
        return len(self._served)

    async def start(self) -> None:
        """Raises ConfigError when the port can't be had."""
        host, port = self._settings.host, self._settings.port
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=2 * LONGEST_LINE)
        except OSError as error:
            raise ConfigError(f"fastagi: {host}:{port}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """Close the port and every connection: callers go on in the dialplan."""
        if self._server is not None:
            self._server.close()
        for writer in (*self._waiting, *self._served):
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer), name="agi connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._connection(reader, writer)
        except BadRequest as bad:
            self._turn_away(str(bad))
        except Exception:
            log.exception("agi_failed")
        finally:
            self._waiting.pop(writer, None)
            self._served.pop(writer, None)
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._allowed(writer):
            raise BadRequest("address not allowed")
        if len(self._served) >= self._settings.connections:
            raise BadRequest("too many callers")
        if len(self._waiting) >= self._most_waiting:
            next(iter(self._waiting)).transport.abort()
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[writer] = None
        request = await read_request(reader, first_within=self._first_within, all_within=self._all_within)
        self._waiting.pop(writer, None)
        self._served[writer] = None
        await self._converse(AgiLine(reader, writer), request)

    async def _converse(self, line: AgiLine, request: AgiRequest) -> None:
        reading = asyncio.create_task(line.run(), name=f"agi {request.channel_id}")
        try:
            await self._serve(line, request)
        finally:
            line.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _allowed(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        if not peer:  # it has gone already
            return False
        address = ip_address(peer[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._settings.allow)

    def _turn_away(self, reason: str) -> None:
        self.turned_away[reason] += 1
        if (now := time.monotonic()) - self._told > TOLD_EVERY:
            self._told = now
            log.warning("agi_turned_away", so_far=dict(self.turned_away))
