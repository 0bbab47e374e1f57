"""Fixtures on a real PostgreSQL, shared by the contract and the integration tests of the store."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from engine.store.journal import PgJournal
from engine.store.migrate import migrate
from engine.store.pool import Database
from engine.store.spool import Spool
from engine.testkit.database import DatabaseServer

_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseServer]:
    found = DatabaseServer()
    try:
        found.start()
        yield found
    finally:
        found.remove()


@pytest.fixture
async def empty_dsn(server: DatabaseServer) -> str:
    """A database of the test's own, without tables."""
    if not server.running:
        server.start()
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(server.dsn())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.dsn(name)


@pytest.fixture
async def dsn(empty_dsn: str) -> str:
    await migrate(empty_dsn)
    return empty_dsn


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    found = Database(dsn, deadline=60, connect_deadline=60)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def journal(database: Database, tmp_path: Path) -> AsyncIterator[PgJournal]:
    found = PgJournal(database, Spool(tmp_path / "spool"), deadline=60)
    await found.start()
    yield found
    await found.close()
