"""Request ids from blocks of numbers fetched ahead, so that there are some while PostgreSQL is away."""

import asyncio
from collections import deque
from contextlib import suppress

from engine.errors import StoreError
from engine.ids import scramble
from engine.store.pool import Database

BLOCK = 1000
"""Increment of the sequence ``request_numbers``."""


class RequestNumbers:
    """Holds at least one block while PostgreSQL is there; a new one is fetched in the background below that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: deque[int] = deque()
        self._key: bytes | None = None
        self._lock = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None

    async def next(self) -> str:
        """Raises StoreAway when none is left and PostgreSQL is away."""
        while not self._numbers or self._key is None:
            await self.start()
        number = self._numbers.popleft()
        if len(self._numbers) < BLOCK and (self._refill is None or self._refill.done()):
            self._refill = self._database.spawn(self._fetch_quietly(), "request-numbers")
        return scramble(number, self._key)

    async def start(self) -> None:
        """Raises StoreAway."""
        async with self._lock:
            if not self._numbers:
                await self._fetch()

    async def _fetch(self) -> None:
        if self._key is None:
            self._key = bytes(await self._database.fetchval("meta", "request_ids"))
        first = await self._database.fetchval("request_block")
        self._numbers.extend(range(first, first + BLOCK))

    async def _fetch_quietly(self) -> None:
        with suppress(StoreError):
            await self._fetch()
