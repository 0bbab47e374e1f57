"""One connection that listens for ``trunkline_changed``, for as long as the engine lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg

from engine.errors import StoreAway
from engine.store.faults import mapped

CHANNEL = "trunkline_changed"
_CHECK = 15.0
"""Seconds between questions whether the connection still lives: a half-open one tells nothing by itself."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class Listener:
    """Tells subscribers the name of a changed table, or None when any may have changed: after each new connection,
    because what happened before it was not heard."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._subscribers: list[Callable[[str | None], None]] = []
        self.listening = asyncio.Event()

    def subscribe(self, heard: Callable[[str | None], None]) -> None:
        """``heard`` must return at once. Subscribing twice is subscribing once."""
        if heard not in self._subscribers:
            self._subscribers.append(heard)

    async def run(self) -> None:
        """Listen for ever."""
        pause = _FIRST_PAUSE
        while True:
            with suppress(StoreAway):
                connection = await self._connect()
                try:
                    pause = _FIRST_PAUSE
                    await self._listen(connection)
                finally:
                    self.listening.clear()
                    connection.terminate()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        with mapped():
            await connection.add_listener(CHANNEL, self._notified)
            self.listening.set()
            self._tell(None)
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK):
                        await ended.wait()
                if not ended.is_set():
                    await connection.fetchval("SELECT 1")

    def _notified(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        self._tell(payload)

    def _tell(self, table: str | None) -> None:
        for heard in self._subscribers:
            heard(table)
