"""The route table, in memory."""

from collections.abc import Sequence

from engine.calls.routing import Route
from engine.errors import InvalidFields, NotFound
from engine.store import rows
from engine.store.faults import RecordRefused
from engine.store.fresh import POLL, Fresh
from engine.store.pool import Database


class PgRoutes:
    """Implements ``engine.store.port.Routes``, and the administration of the table."""

    def __init__(self, database: Database, *, poll: float = POLL) -> None:
        self._database = database
        self._routes: tuple[Route, ...] = ()
        self._fresh = Fresh(database, "routes", frozenset(("routes",)), self.refresh, poll=poll)

    async def start(self) -> None:
        """Load the table and keep it fresh from now on. May be called again after it raised StoreAway."""
        await self._fresh.start()

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
