"""Two engines, each with its own Asterisk, on one database: one pace, even shares, nobody dialled twice, claims that pass on."""

import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise

import asyncpg
import pytest
import pytest_asyncio

from engine.dialer.dialer import LEASE
from engine.testkit.numbers import BUSY, ending
from engine.testkit.poll import eventually
from engine.testkit.running import Running
from engine.testkit.stack import Stack
from tests.acceptance.test_instant_calls import call, placed

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]

PER_MINUTE = 600


@pytest_asyncio.fixture(loop_scope="session")
async def second(stack: Stack) -> AsyncIterator[Running]:
    running = Running.start({"TRUNKLINE_POSTGRES": stack.json["postgres"], "TRUNKLINE_ENGINE_ID": "second"})
    try:
        await running.ready()
        yield running
        await running.stop()
    finally:
        await running.abandon()
        running.remove()


@pytest_asyncio.fixture(loop_scope="session")
async def sql(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.json["postgres"])
    yield connection
    await connection.execute("UPDATE due_lanes SET per_minute = NULL, next_at = NULL")
    await connection.close()


async def batch(stack: Stack, count: int) -> list[int]:
    made = await placed(stack, *(call(stack, NumberToCall=ending(BUSY)) for _ in range(count)))
    return [each["Id"] for each in made]


async def dialled(sql: asyncpg.Connection, ids: list[int]) -> list[asyncpg.Record]:
    return await sql.fetch(
        "SELECT calls.engine, legs.number, legs.created_at FROM legs JOIN calls USING (request_id)"
        " WHERE calls.due_id = ANY ($1::bigint[]) ORDER BY legs.created_at",
        ids,
    )


async def all_done(sql: asyncpg.Connection, ids: list[int], within: float) -> None:
    async def look() -> bool:
        left = await sql.fetchval(
            "SELECT count(*) FROM due_calls WHERE id = ANY ($1::bigint[]) AND state <> 'done'", ids
        )
        return left == 0

    await eventually(look, within=within, what="end of all due calls", every=0.2)


async def test_they_share_one_pace_and_take_over(stack: Stack, second: Running, sql: asyncpg.Connection) -> None:
    lane = f"account/{stack.json['account']}"
    await sql.execute(
        "INSERT INTO due_lanes (lane, account, per_minute) VALUES ($1, $2, $3)"
        " ON CONFLICT (lane) DO UPDATE SET per_minute = $3, next_at = NULL",
        lane, stack.json["account"], float(PER_MINUTE),
    )  # fmt: skip
    ids = await batch(stack, 200)
    await all_done(sql, ids, 60)
    rows = await dialled(sql, ids)
    shares = Counter(row["engine"] for row in rows)
    assert len({row["number"] for row in rows}) == len(rows) == 200
    assert min(shares.values()) >= 80, shares
    span = (rows[-1]["created_at"] - rows[0]["created_at"]).total_seconds()
    assert span == pytest.approx(199 * 60 / PER_MINUTE, abs=1)
    gaps = [(then["created_at"] - each["created_at"]).total_seconds() for each, then in pairwise(rows)]
    assert max(gaps) < 1.0, max(gaps)

    ids = await batch(stack, 100)
    about = json.loads((second.state / "stack.json").read_text(encoding="utf-8"))
    os.kill(about["pids"]["supervisor"], signal.SIGSTOP)
    try:
        os.kill(about["engine_pid"], signal.SIGKILL)
        await all_done(sql, ids, 10 + LEASE + 20)
    finally:
        os.kill(about["pids"]["supervisor"], signal.SIGCONT)
    rows = await dialled(sql, ids)
    assert len({row["number"] for row in rows}) == len(rows) == 100
