"""PostgreSQL killed, stopped, frozen; the engine killed; the disk full: nothing is lost, doubled or out of order."""

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from engine.errors import StoreAway
from engine.store import journal as journal_module
from engine.store import spool as spool_module
from engine.store.calls import PgCalls
from engine.store.journal import PgJournal
from engine.store.pool import Database
from engine.store.spool import Spool
from engine.testkit.database import DatabaseServer
from tests.store_facts import closing, event, new_call, new_leg, request_id
from tests.waiting import until

CALLS = 250
EVENTS = 4
"""A call is 8 records, with two legs and a closing."""


@pytest.fixture(autouse=True)
async def hook(dsn: str) -> None:
    """Somebody wants to hear of each call's end, so that the end leaves a message in the outbox."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO accounts (account, number, country) VALUES ('account_1', 1, '91')")
    await connection.execute(
        "INSERT INTO webhooks (id, account, url, types, secret)"
        " VALUES ('WH0000000001', 'account_1', 'https://example.com/', ARRAY['call.ended'], 'whsec_AAAA')"
    )
    await connection.close()


async def whole_call(journal: PgJournal, n: int) -> None:
    journal.append(new_call(n), new_leg(n))
    await journal.committed()
    journal.append(new_leg(n, 2, "customer"))
    for seq in range(1, EVENTS + 1):
        journal.append(event(n, seq))
        await asyncio.sleep(0)
    journal.append(closing(n))
    await journal.committed()


async def stream(journal: PgJournal, disturb: Callable[[], None]) -> None:
    """2,000 records by ten sessions at once; ``disturb`` is called in the middle."""
    waiting = iter(range(CALLS))

    async def session() -> None:
        for n in waiting:
            if n == CALLS // 3:
                disturb()
            await whole_call(journal, n)

    await asyncio.gather(*(session() for _ in range(10)))


async def check_all(dsn: str, calls: int = CALLS) -> None:
    """Everything is there once, and CDRs ascend as the calls were closed."""
    connection = await asyncpg.connect(dsn)
    try:
        for table, rows in (("calls", 1), ("legs", 2), ("call_events", EVENTS), ("cdr", 1), ("outbox", 1)):
            assert (table, await connection.fetchval(f"SELECT count(*) FROM {table}")) == (table, rows * calls)
        assert await connection.fetchval("SELECT count(*) FROM calls WHERE state <> 'ended'") == 0
        assert await connection.fetchval("SELECT count(*) FROM legs WHERE state <> 'ended' OR ended_at IS NULL") == 0
        ids = [row["id"] for row in await connection.fetch("SELECT id FROM cdr ORDER BY call_date")]
        assert len(set(ids)) == calls
    finally:
        await connection.close()


async def test_postgresql_killed_in_mid_stream(server: DatabaseServer, dsn: str, journal: PgJournal) -> None:
    await stream(journal, server.kill)
    assert journal.away
    assert journal.away_since is not None
    assert journal.spooled > 0
    server.start()
    await asyncio.wait_for(journal.drained.wait(), 60)
    assert not journal.away
    assert journal.away_since is None
    assert journal.rejected == 0
    await check_all(dsn)


async def test_postgresql_stopped_in_mid_stream_and_back_while_records_still_come(
    server: DatabaseServer, dsn: str, journal: PgJournal
) -> None:
    await stream(journal, lambda: (server.stop(), server.start()))
    await asyncio.wait_for(journal.drained.wait(), 60)
    await check_all(dsn)


async def test_postgresql_killed_again_while_the_spool_is_drained(
    server: DatabaseServer, database: Database, dsn: str, tmp_path: Path
) -> None:
    journal = PgJournal(database, Spool(tmp_path / "spool"), batch=20)
    await journal.start()
    await stream(journal, server.kill)
    server.start()
    before = journal.batches
    await until(lambda: journal.batches > before + 5)
    assert not journal.drained.is_set()
    server.kill()
    server.start()
    await asyncio.wait_for(journal.drained.wait(), 60)
    await journal.close()
    await check_all(dsn)


async def test_a_frozen_postgresql_holds_nobody_up(
    server: DatabaseServer, database: Database, dsn: str, tmp_path: Path
) -> None:
    journal = PgJournal(database, Spool(tmp_path / "spool"), deadline=0.3)
    await journal.start()
    await whole_call(journal, 0)
    server.freeze()
    try:
        async with asyncio.timeout(60):
            for n in range(1, 20):
                await whole_call(journal, n)
        assert journal.away
    finally:
        server.thaw()
    await asyncio.wait_for(journal.drained.wait(), 60)
    await journal.close()
    await check_all(dsn, 20)


async def test_an_engine_killed_while_away_leaves_its_records_to_the_next(
    server: DatabaseServer, database: Database, dsn: str, tmp_path: Path
) -> None:
    first = PgJournal(database, Spool(tmp_path / "spool"))
    await first.start()
    await stream(first, server.kill)
    await abandon(first)
    with (tmp_path / "spool" / "journal.spool").open("ab") as file:
        file.write(b"0123abcd 00000100 event {half a rec")
    server.start()
    second = PgJournal(database, Spool(tmp_path / "spool"))
    await second.start()
    second.append(new_call(CALLS), new_leg(CALLS), new_leg(CALLS, 2, "customer"))
    second.append(*(event(CALLS, seq) for seq in range(1, EVENTS + 1)), closing(CALLS))
    await second.committed()
    await asyncio.wait_for(second.drained.wait(), 60)
    await second.close()
    await check_all(dsn, CALLS + 1)
    assert (tmp_path / "spool" / "journal.spool").stat().st_size == 0


async def abandon(journal: PgJournal) -> None:
    """As kill -9 does: nothing is flushed, closed or told."""
    for task in journal._tasks:
        task.cancel()
    await asyncio.gather(*journal._tasks, return_exceptions=True)


async def test_it_starts_without_postgresql(
    server: DatabaseServer, database: Database, dsn: str, tmp_path: Path
) -> None:
    server.stop()
    journal = PgJournal(database, Spool(tmp_path / "spool"))
    await journal.start()
    assert journal.away
    await whole_call(journal, 0)
    server.start()
    await asyncio.wait_for(journal.drained.wait(), 60)
    await whole_call(journal, 1)
    await journal.close()
    await check_all(dsn, 2)


async def test_a_lost_connection_is_noticed_without_traffic(server: DatabaseServer, journal: PgJournal) -> None:
    assert not journal.away
    server.stop()
    await until(lambda: journal.away)
    server.start()
    await until(lambda: not journal.away)
    assert journal.spooled == 0


async def test_a_batch_whose_fate_is_unknown_is_not_doubled(
    dsn: str, journal: PgJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = journal_module.write
    cuts = iter([True, False, True])

    async def lost_in_the_commit(*args: object) -> None:
        await write(*args)  # type: ignore[arg-type]
        if next(cuts, False):
            raise StoreAway("the connection broke after the commit")

    monkeypatch.setattr(journal_module, "write", lost_in_the_commit)
    for n in range(3):
        await whole_call(journal, n)
    await asyncio.wait_for(journal.drained.wait(), 60)
    assert journal.spooled > 0
    await check_all(dsn, 3)


async def test_with_neither_postgresql_nor_disk_a_new_call_is_refused_and_leaves_nothing(
    server: DatabaseServer, dsn: str, journal: PgJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(new_call(1), new_leg(1), event(1, 1))
    await journal.committed()
    server.stop()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(spool_module.os, "pwrite", full)
        journal.append(event(1, 2))
        journal.append(new_call(2), new_leg(2), event(2, 1))
        with pytest.raises(StoreAway):
            await journal.committed()
        journal.append(event(1, 3))
        with pytest.raises(StoreAway):
            await journal.committed()
    journal.append(event(1, 4))
    await journal.committed()
    server.start()
    await asyncio.wait_for(journal.drained.wait(), 60)
    journal.append(new_leg(1, 2, "customer"), closing(1))
    await journal.committed()
    assert journal.rejected == 0
    await check_all(dsn, 1)


async def test_a_record_that_postgresql_refuses_is_put_aside_alone(
    database: Database, journal: PgJournal, tmp_path: Path
) -> None:
    for n in range(1, 30):
        journal.append(new_call(n), new_leg(n), event(n, 1), closing(n))
        if n == 8:
            journal.append(event(8, 0), new_call(500, direction="sideways"), closing(501))
    await journal.committed()
    calls = PgCalls(database)
    for n in range(1, 30):
        assert [e.seq for e in await calls.events(request_id(n)) or []] == [1]
        assert len(await calls.cdr_by_request("account_1", request_id(n)) or []) == 1
    lines = [json.loads(line) for line in (tmp_path / "spool" / "rejected.jsonl").read_text().splitlines()]
    assert journal.rejected == 3
    assert {line["record"]["request_id"] for line in lines} == {request_id(n) for n in (8, 500, 501)}
    assert all(line["error"] for line in lines)


async def test_what_nobody_waits_for_is_written_soon(database: Database, journal: PgJournal) -> None:
    journal.append(new_call(1), event(1, 1))
    calls = PgCalls(database)
    await until(lambda: seen(calls))
    assert journal.pending == 0


async def seen(calls: PgCalls) -> bool:
    return await calls.events(request_id(1)) == [event(1, 1).event]


async def test_what_was_appended_is_written_at_the_close(database: Database, tmp_path: Path) -> None:
    journal = PgJournal(database, Spool(tmp_path / "spool"), linger=1000)
    await journal.start()
    journal.append(new_call(1), event(1, 1))
    await journal.close()
    assert await seen(PgCalls(database))
    with pytest.raises(StoreAway):
        await journal.committed()


async def test_who_stops_waiting_disturbs_nobody(journal: PgJournal, database: Database) -> None:
    journal.append(new_call(1))
    first = asyncio.create_task(journal.committed())
    await asyncio.sleep(0)
    first.cancel()
    journal.append(event(1, 1))
    await journal.committed()
    assert await seen(PgCalls(database))


async def test_a_batch_is_one_transaction_for_all_that_wait(journal: PgJournal) -> None:
    before = journal.batches

    async def one(n: int) -> None:
        journal.append(new_call(n), new_leg(n), event(n, 1))
        await journal.committed()

    await asyncio.gather(*(one(n) for n in range(100)))
    assert journal.batches - before <= 3
    assert journal.records >= 300
