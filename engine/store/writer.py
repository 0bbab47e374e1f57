"""One batch of journal entries into PostgreSQL: one statement, one transaction, one round trip."""

from collections.abc import Sequence

import asyncpg

from engine.errors import StoreAway
from engine.store.entry import KINDS, Entry
from engine.store.faults import SchemaMismatch, mapped
from engine.store.queries import query

SESSION = {
    "synchronous_commit": "on",
    # Every statement of journal_write goes by key. Its plans are kept, and made while the tables were small they would
    # scan them whole ever after.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of the writer's connection."""


async def write(connection: asyncpg.Connection, batch: Sequence[Entry], deadline: float) -> None:
    """Raises StoreAway (the batch may be in or not), or RecordRefused or Duplicate (it is not)."""
    try:
        with mapped():
            await connection.fetchval(query("journal_write"), *arrays(batch), timeout=deadline)
    except SchemaMismatch as error:
        raise StoreAway(str(error)) from error


def arrays(batch: Sequence[Entry]) -> list[str | None]:
    """A JSON array for each kind, None for a kind that is not there."""
    texts: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for entry in batch:
        texts[entry.kind].append(entry.text)
    return [f"[{','.join(found)}]" if found else None for found in texts.values()]
