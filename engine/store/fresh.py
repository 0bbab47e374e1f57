"""What is kept in memory of a table: loaded at the start, and again at each notification and, where one was missed, by
the clock."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from engine.errors import StoreError
from engine.store.pool import Database

POLL = 30.0
_RETRY = 1.0


class Fresh:
    """Calls ``load`` for as long as the database is open. ``tables``: whose notifications concern it; ``poll`` in
    seconds."""

    def __init__(
        self, database: Database, name: str, tables: frozenset[str], load: Callable[[], Awaitable[None]], *, poll: float
    ) -> None:
        self._database = database
        self._name = name
        self._tables = tables
        self._load = load
        self._poll = poll
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load now. May be called again after it raised StoreAway."""
        self._database.listener.subscribe(self._heard)
        await self._load()
        if self._task is None:
            self._task = self._database.spawn(self._keep(), self._name)

    def _heard(self, table: str | None) -> None:
        if table is None or table in self._tables:
            self._changed.set()

    async def _keep(self) -> None:
        wait = self._poll
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._load()
                wait = self._poll
            except StoreError:
                wait = _RETRY * random.uniform(0.5, 1.0)
