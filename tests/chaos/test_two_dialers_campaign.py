"""One campaign of two engines, each with its own Asterisk and network: even shares, and what the killed one held passes on."""

import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from engine.dialer.dialer import BEAT, LEASE
from engine.testkit import heard, numbers
from engine.testkit.client import Client
from engine.testkit.poll import eventually
from engine.testkit.running import Running
from engine.testkit.stack import Stack
from tests.acceptance import campaign_calls as campaign

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]

SECOND = "second"
EACH = 24
TRIES = 3
SHARED = 100
"""Calls placed until the kill, at 600 a minute: before any contact is tried again, so that none is at its last try."""
RETRY = 15


@dataclass(frozen=True)
class Both:
    """The first stack's HTTP API, and the telephones of both networks."""

    first: Stack
    second: Running

    @property
    def api(self) -> Client:
        return self.first.api

    def calls_of(self, number: str) -> list[heard.Heard]:
        return self.first.calls_of(number) + heard.calls_of(self.second.state / "carrier", number)


@pytest_asyncio.fixture(loop_scope="session")
async def second(stack: Stack) -> AsyncIterator[Running]:
    running = Running.start({"TRUNKLINE_POSTGRES": stack.json["postgres"], "TRUNKLINE_ENGINE_ID": SECOND})
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
    await connection.close()


async def test_one_campaign(stack: Stack, second: Running, sql: asyncpg.Connection) -> None:
    contacts, unwanted = campaign.mixed(numbers.ending, EACH), [numbers.plain() for _ in range(3)]
    list_id = await campaign.contact_list(stack.api, *contacts, *unwanted)
    dnd = await campaign.dnd_list(stack.api, *unwanted)
    campaign_id = await campaign.create(
        stack.api, list_id, dnd_list_id=dnd, max_retries=str(TRIES - 1), retry_time=str(RETRY), calls_per_minute="600"
    )

    async def shared() -> Counter[str] | None:
        rows = await sql.fetch("SELECT engine FROM calls WHERE campaign_id = $1", campaign_id)
        return Counter(row["engine"] for row in rows) if len(rows) >= SHARED else None

    shares = await eventually(shared, within=60, what=f"{SHARED} calls", every=0.1)
    about = json.loads((second.state / "stack.json").read_text(encoding="utf-8"))
    os.kill(about["pids"]["supervisor"], signal.SIGSTOP)
    try:
        await stopped_with_claims(sql, about["engine_pid"])
        os.kill(about["engine_pid"], signal.SIGKILL)
        killed_at = await sql.fetchval("SELECT clock_timestamp()")
        held = await of_second(sql, "claimed")
        assert held
        await all_but_placed_done(sql, campaign_id)
    finally:
        os.kill(about["pids"]["supervisor"], signal.SIGCONT)

    assert len(shares) == 2
    assert min(shares.values()) >= 0.8 * shares.total() / 2, shares
    passed_on = await sql.fetch(
        "SELECT DISTINCT ON (due_id) due_id, engine, created_at FROM calls WHERE due_id = ANY ($1::bigint[])"
        " ORDER BY due_id, created_at",
        held,
    )
    assert {row["due_id"] for row in passed_on} == set(held)
    assert SECOND not in {row["engine"] for row in passed_on}
    waits = [(row["created_at"] - killed_at).total_seconds() for row in passed_on]
    assert max(waits) <= LEASE + 2 * BEAT, waits

    await campaign.wait_over(stack.api, campaign_id, 120)
    await campaign.as_the_carrier_gave_it(Both(stack, second), campaign_id, contacts, unwanted, most=TRIES)
    await one_end_each(sql, campaign_id, len(contacts) + len(unwanted))


async def of_second(sql: asyncpg.Connection, state: str) -> list[int]:
    rows = await sql.fetch("SELECT id FROM due_calls WHERE claimed_by = $1 AND state = $2", SECOND, state)
    return [row["id"] for row in rows]


async def stopped_with_claims(sql: asyncpg.Connection, pid: int) -> None:
    """The engine stands still in a moment in which it has claimed what it has not placed."""

    async def look() -> bool:
        os.kill(pid, signal.SIGSTOP)
        if await of_second(sql, "claimed"):
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    await eventually(look, within=30, what="claims of the second engine", every=0.02)


async def all_but_placed_done(sql: asyncpg.Connection, campaign_id: str) -> None:
    """The first engine is through with all but what the second one has on its own Asterisk."""

    async def look() -> bool:
        left = await sql.fetchval(
            "SELECT count(*) FROM due_calls WHERE campaign_id = $1 AND state <> 'done'"
            " AND NOT (state = 'placed' AND claimed_by = $2)",
            campaign_id,
            SECOND,
        )
        return left == 0

    await eventually(look, within=180, what="end of all that the first engine can dial", every=0.2)


async def one_end_each(sql: asyncpg.Connection, campaign_id: str, total: int) -> None:
    """A row for each contact, with one result; as many tries as it says, each with one CDR."""
    rows = await sql.fetch(
        "SELECT due.number, due.state, due.result, due.attempt,"
        "       (SELECT count(*) FROM calls WHERE calls.due_id = due.id) AS calls,"
        "       (SELECT count(*) FROM cdr WHERE cdr.campaign_id = due.campaign_id AND cdr.dialed_number = due.number"
        "        AND NOT cdr.is_dnd) AS cdrs"
        " FROM due_calls AS due WHERE due.campaign_id = $1",
        campaign_id,
    )
    assert len({row["number"] for row in rows}) == len(rows) == total
    assert {row["state"] for row in rows} == {"done"}
    assert [row for row in rows if not row["attempt"] == row["calls"] == row["cdrs"]] == []
