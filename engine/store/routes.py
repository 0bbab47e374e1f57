"""The route table, in memory, kept fresh by notifications and, where one was missed, by the clock."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from engine.calls.routing import Route
from engine.errors import InvalidFields, NotFound, StoreError
from engine.store import rows
from engine.store.faults import RecordRefused
from engine.store.pool import Database

_POLL = 30.0
_RETRY = 1.0


class PgRoutes:
    """Implements ``engine.store.port.Routes``, and the administration of the table."""

    def __init__(self, database: Database, *, poll: float = _POLL) -> None:
        self._database = database
        self._poll = poll
        self._routes: tuple[Route, ...] = ()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the table and keep it fresh from now on. May be called again after it raised StoreAway."""
        self._database.listener.subscribe(self._heard)
        await self.refresh()
        if self._task is None:
            self._task = self._database.spawn(self._keep_fresh(), "routes")

    def current(self) -> Sequence[Route]:
        return self._routes

    async def refresh(self) -> None:
        self._routes = tuple(await self.list())

    async def list(self) -> list[Route]:
        return [rows.route(row) for row in await self._database.fetch("routes")]

    async def add(self, direction: str, prefix: str, kind: str, target: str = "", account: str | None = None) -> Route:
        """Raises Duplicate when that prefix has a route already, InvalidFields."""
        try:
            number = await self._database.fetchval("add_route", direction, prefix, kind, target, account)
        except RecordRefused as error:
            raise InvalidFields({"route": "direction, prefix, kind, target and account do not fit together"}) from error
        return Route(number, direction, prefix, kind, target, account)

    async def remove(self, number: int) -> None:
        """Raises NotFound."""
        if await self._database.fetchval("remove_route", number) is None:
            raise NotFound(f"no route {number}")

    async def seed(self, trunk: str = "carrier") -> None:
        """A table without any route gets one: every number leads to ``trunk``."""
        await self._database.fetchval("seed_routes", trunk)
        await self.refresh()

    def _heard(self, table: str | None) -> None:
        if table in (None, "routes"):
            self._changed.set()

    async def _keep_fresh(self) -> None:
        wait = self._poll
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.refresh()
                wait = self._poll
            except StoreError:
                wait = _RETRY
