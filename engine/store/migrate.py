"""Numbered SQL files, applied once each, in order. A file that was applied may not change any more."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from engine.errors import ConfigError
from engine.resources import folder
from engine.store.faults import mapped

_LOCK = 0x7472756E6B
"""Key of the advisory lock: "trunk". Two engines that start at once migrate one after the other."""
_LOCK_DEADLINE = 120.0
_FILE = re.compile(r"\d{4}_\w+\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(source: Path | None = None) -> list[Migration]:
    """The files of ``sql/migrations`` in order. Raises ConfigError for a name that is not ``0001_words.sql``."""
    found = sorted((source or folder("sql") / "migrations").glob("*.sql"))
    for path in found:
        if not _FILE.fullmatch(path.name):
            raise ConfigError(f"{path}: a migration is named like 0001_accounts.sql")
    return [Migration(path.name, path.read_text(encoding="utf-8")) for path in found]


async def migrate(dsn: str, *, source: Path | None = None) -> list[str]:
    """Apply what is missing, each file in a transaction; names of the files applied.

    Raises StoreAway, ConfigError when an applied file was changed, RecordRefused when a file fails on the data.
    """
    with mapped():
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=_LOCK_DEADLINE)
            await connection.execute("SET client_min_messages = warning")
            await connection.execute(_TABLE)
            waiting = await _waiting(connection, migrations(source))
            for migration in waiting:
                await _apply(connection, migration)
            return [migration.name for migration in waiting]
        finally:
            await connection.close(timeout=5)


async def pending(dsn: str, *, source: Path | None = None) -> list[str]:
    """Names of the files that ``migrate`` would apply. Raises as it does."""
    with mapped():
        connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
        try:
            if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
                return [migration.name for migration in migrations(source)]
            return [migration.name for migration in await _waiting(connection, migrations(source))]
        finally:
            await connection.close(timeout=5)


async def _waiting(connection: asyncpg.Connection, known: Sequence[Migration]) -> list[Migration]:
    rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
    applied = {row["name"]: row["checksum"] for row in rows}
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise ConfigError(f"migration {migration.name} was applied and then changed: write a new one instead")
    return [migration for migration in known if migration.name not in applied]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
        )
