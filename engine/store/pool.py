"""Connections to PostgreSQL, each call with a deadline, foreign errors mapped."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from engine.errors import StoreAway
from engine.store.faults import FOREIGN, mapped, translate
from engine.store.listen import Listener
from engine.store.queries import query


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that isn't cleaned when it goes back to the pool: nothing here changes a session's state, and the
    cleaning would cost every query a second round trip."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """A pool for reads and administration. Opening it needs no PostgreSQL: connections are made when first asked for.

    ``deadline`` bounds a query, ``connect_deadline`` a connection attempt; seconds.
    """

    def __init__(self, dsn: str, *, pool: int = 8, deadline: float = 5.0, connect_deadline: float = 5.0) -> None:
        self._dsn = dsn
        self._size = pool
        self._deadline = deadline
        self._connect_deadline = connect_deadline
        self._pool: asyncpg.Pool | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.listener = Listener(self.connect)

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._size,
            command_timeout=self._deadline,
            timeout=self._connect_deadline,
            connection_class=Connection,
            server_settings={"application_name": "trunkline", "jit": "off"},
        )
        self.spawn(self.listener.run(), "store-listener")

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A background task that ends with the database. It must handle its own errors."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End the background tasks and cut every connection: whoever still asks gets StoreAway."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the pool; errors inside are mapped."""
        if self._pool is None:
            raise StoreAway("the database is closed")
        with mapped():
            async with self._pool.acquire(timeout=self._connect_deadline) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self.acquire() as connection, connection.transaction():
            yield connection

    async def fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        """Rows of the named query. Raises StoreAway, Duplicate."""
        async with self.acquire() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query(name), *args)
            return rows

    async def fetchrow(self, name: str, *args: Any) -> asyncpg.Record | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(query(name), *args)

    async def fetchval(self, name: str, *args: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(query(name), *args)

    async def connect(self, **settings: str) -> asyncpg.Connection:
        """A connection of one's own, outside the pool, with these server settings. Raises StoreAway."""
        try:
            return await asyncpg.connect(
                self._dsn,
                timeout=self._connect_deadline,
                command_timeout=self._deadline,
                server_settings={"application_name": "trunkline", "jit": "off", **settings},
            )
        except FOREIGN as error:
            raise translate(error) from error
