"""What a claim of due calls costs when few are waiting and when many are: on a PostgreSQL of its own, no calls."""

import asyncio
import time
from typing import Any

import asyncpg

from engine.embedded.progress import say
from engine.store.due import PgDue
from engine.store.migrate import migrate
from engine.store.pool import Database
from engine.testkit.database import DatabaseServer
from tests.bench.subject import keep, percentile, told

SIZES = {"10k": 10_000, "1m": 1_000_000}
CLAIMS, ROOM = 300, 20
WARM_UP = 50
"""Claims after filling the table that pay for that."""
FILL = """
INSERT INTO due_calls (lane, kind, account, campaign_id, contact_id, number, due_at, max_attempts, retry_on)
SELECT 'CM1', 'campaign', 'account_1', 'CM1', n, '9198' || lpad(n::text, 8, '0'), now(), 3, '{BUSY,NOANSWER}'
FROM generate_series(1, $1::int) AS n
"""


def main(*, quick: bool = False) -> int:
    server = DatabaseServer()
    try:
        server.start()
        figures = asyncio.run(_all(server, quick=quick))
    finally:
        server.remove()
    told(figures)
    if not quick:
        keep("due_calls", figures)
    return 0


async def _all(server: DatabaseServer, *, quick: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {"claimed_at_once": ROOM}
    for name, rows in SIZES.items():
        if not quick or rows <= SIZES["10k"]:
            figures |= await _measure(server, name, rows, 50 if quick else CLAIMS)
    return figures


async def _measure(server: DatabaseServer, name: str, rows: int, claims: int) -> dict[str, Any]:
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"CREATE DATABASE due_{name}")
    await admin.close()
    dsn = server.dsn(f"due_{name}")
    await migrate(dsn)
    connection, database = await asyncpg.connect(dsn), Database(dsn)
    await database.open()
    try:
        return await _claims(connection, PgDue(database, "e1"), name, rows, claims)
    finally:
        await connection.close()
        await database.close()


async def _claims(connection: asyncpg.Connection, table: PgDue, name: str, rows: int, claims: int) -> dict[str, Any]:
    await connection.execute("INSERT INTO accounts (account, number, country) VALUES ('account_1', 1, '91')")
    await connection.execute("INSERT INTO due_lanes (lane, account, wake_at) VALUES ('CM1', 'account_1', now())")
    began = time.perf_counter()
    await connection.execute(FILL, rows, timeout=600)
    await connection.execute("VACUUM ANALYZE due_calls", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)
    say(f"{rows} due calls in {time.perf_counter() - began:.1f} s")
    await table.alive("e1", 3600)
    taken = []
    for _ in range(WARM_UP + claims):
        began = time.perf_counter()
        found = await table.claim("e1", room=ROOM, full=(), concurrent=1_000_000)
        taken.append((time.perf_counter() - began) * 1000)
        assert len(found.calls) == ROOM
        await connection.execute(
            "UPDATE due_calls SET state = 'done', result = 'ANSWER', ended_at = now() WHERE state = 'claimed'"
        )
    taken = taken[WARM_UP:]
    return {f"claim_ms_p50_{name}": percentile(taken, 50), f"claim_ms_p99_{name}": percentile(taken, 99)}
