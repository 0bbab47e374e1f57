"""Lists of contacts and of numbers that nobody calls."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import asyncpg

from engine.dialer.contacts.port import Contact, ContactList
from engine.errors import StoreError
from engine.store.faults import mapped
from engine.store.pool import Database
from engine.store.queries import query

_LONG = 3600.0
"""Seconds that reading in a file may take."""
_MANY = 10_000
"""Contacts after which the planner is told of them."""
_STAGED = {
    False: "CREATE TEMP TABLE staged (number text, name text, fields jsonb) ON COMMIT DROP",
    True: "CREATE TEMP TABLE staged (number text, name text) ON COMMIT DROP",
}
_TAKEN = {
    False: "INSERT INTO contacts (list, id, number, name, fields)"
    " SELECT $1, $2 + row_number() OVER (), number, name, fields FROM staged",
    True: "INSERT INTO dnd_numbers (list, number, name) SELECT $1, number, name FROM staged WHERE $2::bigint IS NOT NULL",
}
"""In the order of the file: a temporary table is read from its beginning."""
_NEW_ALONE = " ON CONFLICT (list, number) DO NOTHING"


class PgLists:
    """Implements ``engine.dialer.contacts.port.Lists``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, list_id: str, account: str, name: str, *, do_not_dial: bool) -> None:
        await self._database.fetchval("add_dnd_list" if do_not_dial else "add_contact_list", list_id, account, name)

    async def get(self, account: str, list_id: str, *, do_not_dial: bool) -> ContactList | None:
        row = await self._database.fetchrow("dnd_list" if do_not_dial else "contact_list", list_id, account)
        return ContactList(**row) if row else None

    async def add(self, account: str, list_id: str, contacts: Sequence[Contact], *, do_not_dial: bool) -> int | None:
        numbers, names = [each.number for each in contacts], [each.name for each in contacts]
        added: int | None
        if do_not_dial:
            added = await self._database.fetchval("add_dnd_numbers", list_id, account, numbers, names)
        else:
            fields = [each.fields for each in contacts]
            added = await self._database.fetchval("add_contacts", list_id, account, numbers, names, fields)
        return added

    async def load(self, account: str, list_id: str, pieces: AsyncIterator[bytes], *, do_not_dial: bool) -> int | None:
        """The list's row is held only while what was staged is taken in, so that a slow file keeps nobody waiting."""
        connection = await self._database.connect()
        try:
            with mapped():
                async with connection.transaction():
                    await connection.execute(_STAGED[do_not_dial])
                    copied = await connection.copy_to_table("staged", source=pieces, timeout=_LONG)
                    added = await _take(connection, account, list_id, _count(copied), do_not_dial=do_not_dial)
            if (added or 0) >= _MANY:
                self._database.spawn(self._analyze("dnd_numbers" if do_not_dial else "contacts"), "lists-analyze")
            return added
        finally:
            connection.terminate()

    async def _analyze(self, table: str) -> None:
        """So that who reads the list next is not served by a plan for an empty table. Nobody waits for it."""
        with suppress(StoreError):
            async with self._database.acquire() as connection:
                await connection.execute(f"ANALYZE {table}", timeout=_LONG)


async def _take(
    connection: asyncpg.Connection, account: str, list_id: str, staged: int, *, do_not_dial: bool
) -> int | None:
    lock, count = ("lock_dnd_list", "count_dnd_numbers") if do_not_dial else ("lock_contact_list", "count_contacts")
    held = await connection.fetchrow(query(lock), list_id, account, timeout=_LONG)
    if held is None:
        return None
    added = await _insert(connection, _TAKEN[do_not_dial], held)
    await connection.execute(query(count), held["n"], added, staged)
    return added


async def _insert(connection: asyncpg.Connection, statement: str, held: asyncpg.Record) -> int:
    """Looking for each number first takes twice as long, so a first file is taken for one without duplicates."""
    if held["contacts"] == 0:
        with suppress(asyncpg.UniqueViolationError):
            async with connection.transaction():
                return _count(await connection.execute(statement, held["n"], held["last_id"], timeout=_LONG))
    return _count(await connection.execute(statement + _NEW_ALONE, held["n"], held["last_id"], timeout=_LONG))


def _count(tag: str) -> int:
    """Of ``INSERT 0 17`` or ``COPY 17``."""
    return int(tag.rpartition(" ")[2])
