"""A claim costs the same however long the lists are: it goes by index, also where the planner knows nothing of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from engine.store.queries import query
from tests.integration.test_store_plans import indexes, plan, rows_read, tables_scanned_whole

ROWS = 50_000
FILL = """
INSERT INTO due_calls (lane, kind, account, campaign_id, contact_id, number, due_at, state, claimed_by, claim, request_id, placed_at)
SELECT 'CM' || n % 2, 'campaign', 'account_1', 'CM' || n % 2, n, n::text, now() - make_interval(secs => n % 100),
       CASE n % 500 WHEN 1 THEN 'claimed' WHEN 2 THEN 'placed' ELSE 'due' END,
       CASE WHEN n % 500 IN (1, 2) THEN 'e1' END, CASE WHEN n % 500 = 1 THEN n END, CASE WHEN n % 500 = 2 THEN n::text END, now()
FROM generate_series(1, $1::int) AS n
"""
END = """
UPDATE due_calls SET state = 'done', result = 'BUSY', ended_at = now() - make_interval(days => contact_id::int % 100)
WHERE contact_id % 3 = 0
"""


@pytest.mark.parametrize("analyzed", [True, False])
async def test_claims_go_by_index(dsn: str, *, analyzed: bool) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO accounts (account, number, country) VALUES ('account_1', 1, '91')")
    await connection.execute(
        "INSERT INTO due_lanes (lane, account, wake_at) SELECT 'CM' || n, 'account_1', now() FROM generate_series(0, 1) AS n"
    )
    await connection.execute(FILL, ROWS)
    await connection.execute(END)
    if analyzed:
        await connection.execute("ANALYZE")
    now = datetime.now(UTC) + timedelta(seconds=1)
    both, account = ["CM0", "CM1"], ["account_1", "account_1"]
    queries: tuple[tuple[str, tuple[Any, ...], str, int], ...] = (
        ("due_take", (both, [20, 5], [now, now], "e9"), "due_calls_due", 100),
        ("due_following", ("CM0", now, 50), "due_calls_due", 200),
        ("due_left", (both, now, 200, account), "due_calls_due", 500),
        ("due_flying", (both, account), "due_calls_flying", 500),
        ("due_given_back", (None, []), "due_calls_claimed", 500),
        ("due_forget_ended", (90, 20), "due_calls_ended", 100),
    )
    for name, args, index, most in queries:
        async with connection.transaction():
            await connection.execute(query("due_by_index"))
            found = await plan(connection, name, *args)
        assert "due_calls" not in tables_scanned_whole(found), name
        assert any(index in used for used in indexes(found)), (name, indexes(found))
        assert rows_read(found) <= most, (name, rows_read(found))
    await connection.close()
