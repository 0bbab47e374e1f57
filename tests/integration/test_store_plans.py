"""The hot reads go by index, on tables of a size at which it matters."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from engine.store.queries import query
from tests.store_facts import START

ROWS = 20_000
FILL = """
INSERT INTO calls (request_id, account, flow, direction, engine, state, created_at, ended_at, end_reason)
SELECT lpad(to_hex(n), 10, '0'), CASE n % 500 WHEN 7 THEN 'account_rare' ELSE 'account_' || n % 20 END, 'click_to_call', 'outbound', 'e' || n % 2,
       CASE WHEN n % 1000 = 0 THEN 'live' ELSE 'ended' END, $1::timestamptz + make_interval(mins => n),
       CASE WHEN n % 1000 = 0 THEN NULL ELSE $1::timestamptz + make_interval(mins => n + 1) END,
       CASE WHEN n % 1000 = 0 THEN NULL ELSE 'completed' END
FROM generate_series(1, $2::int) AS n;
"""
FILL_CDR = """
INSERT INTO cdr (request_id, conversation, account_id, agent_number, customer_number, caller_id, dialed_number,
                 call_direction, destination_context, dial_status, call_date, uniqueid, end_reason)
SELECT request_id, 0, account, '', '', '', '', 'outbound-api', 'click2call', 'ANSWER', ended_at, '', end_reason
FROM calls WHERE state = 'ended' ORDER BY created_at;
"""
FILL_EVENTS = """
INSERT INTO call_events (request_id, seq, at, kind)
SELECT request_id, seq, created_at, 'call.step' FROM calls, generate_series(1, 3) AS seq;
"""


@pytest.fixture
async def filled(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, START, ROWS)
    await connection.execute(FILL_CDR)
    await connection.execute(FILL_EVENTS)
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


async def plan(connection: asyncpg.Connection, name: str, *args: Any) -> list[dict[str, Any]]:
    found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query(name)}", *args)
    return nodes(json.loads(found)[0]["Plan"])


def tables_scanned_whole(plan: list[dict[str, Any]]) -> set[str]:
    """But for those that have nothing in them."""
    scans = [node for node in plan if node["Node Type"] == "Seq Scan"]
    return {node["Relation Name"] for node in scans if node["Actual Rows"] + node.get("Rows Removed by Filter", 0)}


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


def rows_read(plan: list[dict[str, Any]]) -> float:
    return max(node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) for node in plan)


async def test_plans(filled: asyncpg.Connection) -> None:
    await filled.fetchval("SELECT cdr_make_partition($1)", START.date().replace(day=1))
    await filled.execute("ANALYZE cdr")
    day: datetime = START.replace(hour=0) + timedelta(days=3)
    some = f"{4321:010x}"
    for name, args, index, most in (
        ("cdr_by_date", ("account_3", day, day + timedelta(days=1), 1000, 0), "account_id_call_date_id", 100),
        ("cdr_by_request", (f"account_{4321 % 20}", some), "request_id_conversation_call_date", 10),
        ("live_calls", ("e0",), "calls_open", 50),
        ("not_ended", ([some],), "calls_", 10),
        ("timeline", (some, None), "call_events_pkey", 10),
        ("events_of", ([some],), "call_events_pkey", 10),
        ("listed_open", ("account_0", ["live"], 50, None), "calls_open", 100),
        ("listed_of_account", ("account_rare", ["ended"], 50, some), "calls_account", 100),
        ("listed_of_all", (None, ["ended", "live"], 50, None), "calls_created", 100),
    ):
        found = await plan(filled, name, *args)
        assert tables_scanned_whole(found) == set(), name
        assert any(index in used for used in indexes(found)), (name, indexes(found))
        assert rows_read(found) <= most, (name, rows_read(found))


async def test_the_writer_goes_by_key_although_it_planned_on_empty_tables(dsn: str) -> None:
    from engine.store.writer import SESSION

    connection = await asyncpg.connect(dsn, server_settings=SESSION)
    closing = [
        {
            "request_id": "0000000001",
            "ended_at": START.isoformat(),
            "end_reason": "x",
            "reconciled": False,
            "legs": [],
            "records": [],
        }
    ]
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.fetchval(query("journal_write"), None, None, None, None, json.dumps(closing))
    await connection.execute(FILL, START, ROWS)
    before = await connection.fetchval("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'calls'")
    for n in range(1, 9):
        closing[0]["request_id"] = f"{n * 1000:010x}"
        await connection.fetchval(query("journal_write"), None, None, None, None, json.dumps(closing))
    await connection.execute("SELECT pg_stat_force_next_flush()")
    after = await connection.fetchval("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'calls'")
    assert await connection.fetchval("SELECT count(*) FROM calls WHERE state <> 'ended'") == ROWS // 1000 - 8
    await connection.close()
    assert (after or 0) - (before or 0) <= ROWS
