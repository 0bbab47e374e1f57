"""Due calls in PostgreSQL: claimed once, placed once, given back, tried again, ended with a reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from engine.calls.events import Event, Kind
from engine.calls.model import replay
from engine.dialer.port import Claimed, Due, NewDue, account_lane
from engine.dialer.windows import DAYS
from engine.errors import Duplicate
from engine.store.calls import PgCalls
from engine.store.due import LONGEST, PgDue
from engine.store.journal import PgJournal
from engine.store.migrate import migrate
from engine.store.pool import Database
from engine.store.port import CallEvent, NewCall
from engine.testkit.database import DatabaseServer
from tests.store_facts import PARAMS, START, closing, record, request_id
from tests.waiting import until

_calls = count(1000)
SOON = timedelta(milliseconds=300)


_database: list[str] = []


@pytest.fixture
async def dsn(server: DatabaseServer) -> str:
    """One database for all of these tests, emptied for each."""
    if not server.running:
        server.start()
    if not _database:
        connection = await asyncpg.connect(server.dsn())
        await connection.execute("CREATE DATABASE due_calls")
        await connection.close()
        await migrate(server.dsn("due_calls"))
        _database.append("due_calls")
    connection = await asyncpg.connect(server.dsn("due_calls"))
    await connection.execute(
        "TRUNCATE due_calls, due_lanes, due_tries, dialers, calls, cdr, call_events, campaign_counts, contacts, accounts CASCADE"
    )
    await connection.close()
    return server.dsn("due_calls")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    found = Database(dsn, deadline=60)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def table(database: Database, sql: asyncpg.Connection) -> PgDue:
    return PgDue(database, "e1")


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[PgDue]:
    """Another engine's, with connections of its own."""
    found = Database(dsn, deadline=60)
    await found.open()
    yield PgDue(found, "e2")
    await found.close()


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO accounts (account, number, country) VALUES ('account_1', 1, '91'), ('account_2', 2, '1')"
    )
    yield connection
    await connection.close()


def now() -> datetime:
    return datetime.now(UTC)


def due(n: int = 1, **changes: Any) -> NewDue:
    made = NewDue(kind="instant", account="account_1", number=f"9198000{n:05d}", due_at=now(), params={"n": n})
    return replace(made, **changes)


async def campaign(sql: asyncpg.Connection, rows: int, lane: str = "CM0000000001", **columns: Any) -> str:
    """A campaign's lane with so many due calls."""
    names = ", ".join(columns)
    places = ", ".join(f"${n}" for n in range(2, 2 + len(columns)))
    await sql.execute(
        f"INSERT INTO due_lanes (lane, account, wake_at{', ' if names else ''}{names}) VALUES ($1, 'account_1', now(){', ' if names else ''}{places})",
        lane, *columns.values(),
    )  # fmt: skip
    await sql.execute(
        "INSERT INTO due_calls (lane, kind, account, campaign_id, contact_id, number, due_at)"
        " SELECT $1, 'campaign', 'account_1', $1, n, '9198' || lpad(n::text, 8, '0'), now() FROM generate_series(1, $2::int) AS n",
        lane, rows,
    )  # fmt: skip
    return lane


async def claim(table: PgDue, engine: str = "e1", room: int = 100, **options: Any) -> list[Claimed]:
    await table.alive(engine, 60)
    return list((await table.claim(engine, room=room, full=options.pop("full", ()), concurrent=500)).calls)


def call_for(claimed: Claimed, **changes: Any) -> NewCall:
    new = NewCall(
        request_id=request_id(next(_calls)),
        account=claimed.due.account,
        flow="instant_call",
        direction="outbound",
        engine="e1",
        created_at=now(),
        params=PARAMS,
    )
    return replace(new, **changes)


async def placed(table: PgDue, claimed: Claimed, engine: str = "e1") -> str | None:
    call = call_for(claimed, engine=engine)
    found = await table.place(engine, claimed, call, "asterisk")
    return call.request_id if found.timeline else None


async def ended(journal: PgJournal, rid: str, status: str = "BUSY", reason: str = "busy", **changes: Any) -> datetime:
    """The end of a call, as the journal writes it."""
    at = now()
    row = replace(
        record(1), request_id=rid, dial_status=status, end_reason=reason, call_date=at, ended_at=at,
        **{"sip_code": None, "q850": None, **changes},
    )  # fmt: skip
    journal.append(
        replace(
            closing(1), request_id=rid, ended_at=at, end_reason=reason, legs=(), records=(row,), outbox=(),
            reconciled=row.reconciled,
        )
    )  # fmt: skip
    await journal.committed()
    return at


CUT_OFF = {"reconciled": True, "answered_at": None, "sip_code": None}
"""What Asterisk's end leaves of a try that nobody had answered."""


async def row_of(table: PgDue, due_id: int) -> Due:
    found = await table.get("account_1", due_id)
    assert found is not None
    return found


async def test_what_is_due_is_claimed_placed_and_done(table: PgDue, journal: PgJournal, database: Database) -> None:
    (made,) = await table.add(due())
    (claimed,) = await claim(table)
    assert (claimed.due.id, claimed.due.state, claimed.due.params) == (made.id, "claimed", {"n": 1})
    assert await claim(table) == []
    rid = await placed(table, claimed)
    assert rid is not None
    assert [call.request_id for call, _ in await PgCalls(database).live("e1")] == [rid]
    row = await row_of(table, made.id)
    assert (row.state, row.attempt, row.request_id) == ("placed", 1, rid)
    await ended(journal, rid, "ANSWER", "completed")
    row = await row_of(table, made.id)
    assert (row.state, row.result) == ("done", "ANSWER")
    assert row.outcome is not None
    assert row.outcome["end_reason"] == "completed"
    assert (await table.tries("account_1", row.number))[0] != []


async def test_what_is_due_later_is_not_claimed_yet(table: PgDue) -> None:
    await table.add(due(due_at=now() + timedelta(seconds=30)))
    assert await claim(table) == []
    claims = await table.claim("e1", room=9, full=(), concurrent=500)
    assert claims.again <= 1.0
    await table.add(due(2, due_at=(then := now() + SOON)))
    asked = now()
    (claimed,) = await claim(table)
    least, most = (then - now()).total_seconds(), max((then - asked).total_seconds(), 0)
    assert least - 0.001 <= claimed.after <= most + 0.001, "what is left of it, however long the claim took"


async def test_many_claimers_have_each_due_call_once(table: PgDue, other: PgDue) -> None:
    ids = [each.id for each in await table.add(*(due(n) for n in range(300)))]

    async def take(mine: PgDue, engine: str) -> list[int]:
        taken: list[int] = []
        while len(taken) < 300 and await mine.alive(engine, 60) and (found := await claim(mine, engine, room=17)):
            taken += [each.due.id for each in found]
        return taken

    every = await asyncio.gather(*(take(table, f"a{n}") for n in range(3)), *(take(other, f"b{n}") for n in range(3)))
    rest = [each.due.id for _ in range(30) for each in await claim(table)]
    assert sorted(each for found in (*every, rest) for each in found) == ids


async def test_claims_of_a_dead_engine_pass_on_and_can_not_be_used(table: PgDue, other: PgDue) -> None:
    await table.add(due())
    (lost,) = await claim(table, "e1")
    assert await claim(other, "e2") == []
    await table.alive("e1", 0)
    (found,) = await claim(other, "e2")
    assert found.due.id == lost.due.id
    assert await placed(table, lost, "e1") is None
    assert not await table.skip("e1", lost, "DND", at=now())
    await table.postpone("e1", lost, None)
    assert await placed(other, found, "e2") is not None
    assert await placed(table, lost, "e1") is None


async def test_an_engine_that_starts_again_gives_its_claims_back(table: PgDue) -> None:
    await table.add(due(), due(2))
    claimed, kept = await claim(table)
    assert await placed(table, kept) is not None
    assert await table.restart("e1", [claimed.due.id]) == 0
    assert await table.restart("e1") == 1
    assert [each.due.id for each in await claim(table)] == [claimed.due.id]


async def test_a_place_whose_answer_was_lost_is_told_again(table: PgDue) -> None:
    (made,) = await table.add(due())
    (claimed,) = await claim(table)
    call = call_for(claimed)
    first = await table.place("e1", claimed, call, "asterisk")
    again = await table.place("e1", claimed, call, "asterisk")
    assert first.timeline == again.timeline
    assert (await table.place("e1", claimed, call_for(claimed), "asterisk")).timeline == ()
    assert (await row_of(table, made.id)).attempt == 1


async def test_retries_by_status_up_to_the_most(table: PgDue, journal: PgJournal) -> None:
    (made,) = await table.add(due(max_attempts=3, retry_seconds=0, retry_on=("BUSY",)))
    for attempt in (1, 2, 3):
        (claimed,) = await claim(table)
        rid = await placed(table, claimed)
        assert rid is not None
        await ended(journal, rid)
        row = await row_of(table, made.id)
        assert row.attempt == attempt
        assert row.state == ("done" if attempt == 3 else "due")
    assert row.result == "BUSY"
    assert await claim(table) == []


@pytest.mark.parametrize(
    ("changes", "end", "again"),
    [
        ({}, {}, True),
        ({}, {"status": "NOANSWER", "reason": "no_answer"}, False),
        ({}, {"sip_code": 404, "q850": 1}, False),
        ({}, {"status": "CANCEL", "reason": "engine_restart"}, True),
        ({}, {"status": "CANCEL", "reason": "gate"}, False),
        ({}, {"status": "CANCEL", "reason": "cancelled", **CUT_OFF}, True),
        ({}, {"status": "CHANUNAVAIL", "reason": "failed", **CUT_OFF}, True),
        ({}, {"status": "NOANSWER", "reason": "no_answer", **CUT_OFF, "q850": 19}, False),
        ({}, {"status": "ANSWER", "reason": "completed", **CUT_OFF, "answered_at": now()}, False),
        ({"max_attempts": 1}, {"status": "CANCEL", "reason": "engine_restart"}, False),
        ({"expires_at": now() + timedelta(hours=1), "retry_seconds": 7200}, {}, False),
    ],
)
async def test_what_is_tried_again(
    table: PgDue, journal: PgJournal, changes: dict[str, Any], end: dict[str, Any], *, again: bool
) -> None:
    (made,) = await table.add(due(**{"max_attempts": 3, "retry_seconds": 60, "retry_on": ("BUSY",), **changes}))
    (claimed,) = await claim(table)
    rid = await placed(table, claimed)
    assert rid is not None
    at = await ended(journal, rid, **end)
    row = await row_of(table, made.id)
    assert row.state == ("due" if again else "done")
    if again:
        assert row.due_at == at + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("rule", "answered_at", "again"),
    [("concurrent_calls", None, True), ("prefix", None, False), ("concurrent_calls", START, False)],
)
async def test_who_was_refused_is_tried_again_for_want_of_room_alone(
    table: PgDue, journal: PgJournal, rule: str, answered_at: datetime | None, *, again: bool
) -> None:
    (made,) = await table.add(due(max_attempts=3, retry_on=("CANCEL",)))
    (claimed,) = await claim(table)
    rid = await placed(table, claimed)
    assert rid is not None
    journal.append(CallEvent(rid, Event(Kind.CALL_REFUSED, now(), data={"rule": rule}, seq=2)))
    await ended(journal, rid, "CANCEL", "gate", answered_at=answered_at)
    row = await row_of(table, made.id)
    assert (row.state, row.result) == (("due", None) if again else ("done", "CANCEL"))


async def test_a_try_that_ends_while_its_lane_is_served_is_made_again(table: PgDue, sql: asyncpg.Connection) -> None:
    """The end finds that its lane is to be looked at anyway and says nothing; whoever looks does not see the end yet."""
    (made,) = await table.add(due(max_attempts=2, retry_seconds=0))
    (claimed,) = await claim(table)
    rid = await placed(table, claimed)
    await sql.execute("UPDATE due_lanes SET wake_at = now() - interval '1 minute'")
    async with sql.transaction():
        ending = (
            "UPDATE calls SET state = 'ended', end_reason = 'engine_restart', ended_at = now() WHERE request_id = $1"
        )
        await sql.execute(ending, rid)
        served = await table.claim("e1", room=100, full=(), concurrent=500)
        assert (list(served.calls), served.again <= 1.0) == ([], True)
    again: list[Claimed] = []

    async def claimed_again() -> bool:
        again.extend(await claim(table))
        return bool(again)

    await until(claimed_again, within=60)
    assert [each.due.id for each in again] == [made.id]


async def test_a_stopped_lane_places_nothing_not_even_what_was_claimed(table: PgDue, sql: asyncpg.Connection) -> None:
    lane = await campaign(sql, 5)
    claimed = await claim(table)
    assert len(claimed) == 5
    await sql.execute("UPDATE due_lanes SET open = false")
    assert [await placed(table, each) for each in claimed] == [None] * 5
    for each in claimed:
        await table.postpone("e1", each, None)
    assert await claim(table) == []
    await sql.execute("UPDATE due_lanes SET open = true, wake_at = now() WHERE lane = $1", lane)
    assert len(await claim(table)) == 5


async def test_caps_of_lane_account_and_engine(table: PgDue, journal: PgJournal, sql: asyncpg.Connection) -> None:
    await campaign(sql, 20, max_concurrent=4)
    first = await claim(table)
    assert len(first) == 4
    rids = [await placed(table, each) for each in first]
    await sql.execute("UPDATE due_lanes SET wake_at = now()")
    assert await claim(table) == []
    assert rids[0] is not None
    await ended(journal, rids[0])
    await sql.execute("UPDATE due_lanes SET wake_at = now()")
    assert len(await claim(table)) == 1
    await sql.execute("UPDATE due_lanes SET max_concurrent = NULL, wake_at = now()")
    assert len(await claim(table, room=3)) == 3
    assert await claim(table, full=["account_1"]) == []
    await sql.execute("""UPDATE accounts SET settings = '{"concurrent_calls": 9}'""")
    assert len(await claim(table)) == 2


async def test_pace_is_kept_across_claims_and_engines(table: PgDue, other: PgDue, sql: asyncpg.Connection) -> None:
    await campaign(sql, 50, per_minute=600.0)
    first = await claim(table, "e1")
    assert 1 <= len(first) <= 9
    gaps = [then.after - each.after for each, then in pairwise(first)]
    assert gaps == pytest.approx([0.1] * len(gaps), abs=1e-5)
    next_at = await sql.fetchval("SELECT next_at FROM due_lanes")
    await claim(other, "e2")
    assert await sql.fetchval("SELECT last_engine FROM due_lanes") in ("e1", "e2")
    assert await sql.fetchval("SELECT next_at FROM due_lanes") >= next_at


async def test_who_has_claimed_all_looks_again_soon(table: PgDue) -> None:
    """There may be other lanes, and what a dead engine had claimed, of which nobody is told."""
    await table.add(due())
    await table.alive("e1", 60)
    claims = await table.claim("e1", room=9, full=(), concurrent=500)
    assert len(claims.calls) == 1
    assert claims.again <= LONGEST


async def test_two_last_calls_that_end_at_once_drain_their_lane(
    table: PgDue, dsn: str, sql: asyncpg.Connection
) -> None:
    lane = await campaign(sql, 2)
    rids = [await placed(table, each) for each in await claim(table)]
    other = await asyncpg.connect(dsn)
    while other.get_server_pid() % 16 == sql.get_server_pid() % 16:  # they would count in one row, one after the other
        spare = other
        other = await asyncpg.connect(dsn)
        await spare.close()
    end = "UPDATE calls SET state = 'ended', ended_at = now(), end_reason = 'busy' WHERE request_id = $1"
    async with sql.transaction(), other.transaction():
        for connection, rid in zip((sql, other), rids, strict=True):
            await connection.execute(end, rid)
    await other.close()

    async def drained() -> bool:
        return (await table.claim("e1", room=9, full=(), concurrent=9)).drained == [lane]

    await until(drained, within=60)


async def test_a_campaign_that_is_done_ends_outside_of_its_hours(table: PgDue, sql: asyncpg.Connection) -> None:
    closed = json.dumps({"schedule": {DAYS[(now() + timedelta(days=2)).weekday()]: ["10:00-11:00"]}})
    lane = await campaign(sql, 1, rules=closed)
    assert await claim(table) == []
    assert (await table.claim("e1", room=9, full=(), concurrent=9)).drained == ()
    await sql.execute("UPDATE due_calls SET state = 'done', result = 'ANSWER', ended_at = now()")
    await sql.execute("UPDATE due_lanes SET wake_at = now()")
    assert (await table.claim("e1", room=9, full=(), concurrent=9)).drained == [lane]


async def test_a_lane_opens_closes_and_is_drained(table: PgDue, journal: PgJournal, sql: asyncpg.Connection) -> None:
    lane = await campaign(sql, 1, opens_at=now() + timedelta(hours=1))
    assert await claim(table) == []
    await sql.execute("UPDATE due_lanes SET opens_at = NULL, wake_at = now()")
    (claimed,) = await claim(table)
    assert (await table.claim("e1", room=9, full=(), concurrent=9)).drained == ()
    rid = await placed(table, claimed)
    assert rid is not None
    await ended(journal, rid)
    assert (await table.claim("e1", room=9, full=(), concurrent=9)).drained == [lane]
    await sql.execute("UPDATE due_lanes SET closes_at = now() - interval '1 second', wake_at = now(), fed = false")
    claims = await table.claim("e1", room=9, full=(), concurrent=9)
    assert (claims.drained, claims.hungry) == ([lane], [])


async def test_a_lane_that_is_not_fed_is_hungry(table: PgDue, sql: asyncpg.Connection) -> None:
    lane = await campaign(sql, 3, fed=False)
    await table.alive("e1", 60)
    claims = await table.claim("e1", room=2, full=(), concurrent=500)
    assert (len(claims.calls), claims.hungry, claims.drained) == (2, [lane], [])


async def test_closed_numbers_use_up_no_pace(table: PgDue, sql: asyncpg.Connection) -> None:
    """It is within an hour of the same time of day in India, and so nowhere in New York."""
    hour = now().astimezone(ZoneInfo("Asia/Kolkata")).hour
    spans = [f"{each % 24:02}:00-{each % 24 + 1:02}:00" for each in (hour - 1, hour, hour + 1)]
    rules = json.dumps({"callee_zone": True, "schedule": dict.fromkeys(DAYS, spans)})
    await campaign(sql, 40, per_minute=600.0, rules=rules)
    await sql.execute(
        "UPDATE due_calls SET number = '1212555' || lpad(contact_id::text, 4, '0') WHERE contact_id <= 30"
    )
    assert await claim(table) == []
    assert await sql.fetchval("SELECT next_at FROM due_lanes") is None, "no instant was taken"
    put_off = await sql.fetch("SELECT contact_id, due_at FROM due_calls WHERE due_at > now() + interval '1 hour'")
    assert sorted(row["contact_id"] for row in put_off) == list(range(1, 31))
    assert max(row["due_at"] for row in put_off) < now() + timedelta(hours=24)
    found = await claim(table)
    assert [each.due.contact_id for each in found] == list(range(31, 31 + len(found)))
    assert found
    assert [then.after - each.after for each, then in pairwise(found)] == pytest.approx(
        [0.1] * (len(found) - 1), abs=1e-5
    )


CAMPAIGN = """
WITH list AS (
    INSERT INTO contact_lists (id, account, name, contacts, last_id) VALUES ('LS0000000001', 'account_1', 'all', 1200, 1200) RETURNING n
), contacts AS (
    INSERT INTO contacts (list, id, number) SELECT n, k, '9198' || lpad(k::text, 8, '0') FROM list, generate_series(1, 1200) AS k
), lane AS (
    INSERT INTO due_lanes (lane, account, fed, per_minute) VALUES ('CM0000000001', 'account_1', false, 60)
)
INSERT INTO campaigns (id, account, name, type, list_id, list, caller_id, announcement, starts_at, ends_at, time_zone,
                       calls_per_minute, max_retries, retry_seconds, retry_on)
SELECT 'CM0000000001', 'account_1', 'x', 0, 'LS0000000001', n, '1', '{}', now(), now() + interval '1 day', 'UTC', 60, 0, 1, '{}' FROM list
"""


async def test_who_was_put_off_is_not_in_the_way_of_the_next_contacts(sql: asyncpg.Connection) -> None:
    await sql.execute(CAMPAIGN)
    feed, lane = "SELECT campaign_feed($1, 500)", "CM0000000001"
    assert [await sql.fetchval(feed, lane), await sql.fetchval(feed, lane)] == [500, 0]
    put_off = now() + timedelta(hours=14)
    await sql.execute("UPDATE due_calls SET due_at = $1 WHERE contact_id <= 400", put_off)
    assert await sql.fetchval(feed, lane) == 500
    ahead = "SELECT extract(epoch FROM max(due_at) - min(due_at))::float8, min(due_at) FROM due_calls WHERE contact_id > 500"
    spread, first = await sql.fetchrow(ahead)
    assert spread == pytest.approx(499 * 0.8, abs=0.01), "a little faster than one a second"
    assert first < now() + timedelta(seconds=500 * 0.8), "right after those before them"
    assert await sql.fetchval(feed, lane) == 0, "enough for now"
    assert await sql.fetchval("SELECT campaign_pace('account_1', $1, 600, NULL)", lane) == "done"
    later = await sql.fetch("SELECT contact_id, due_at FROM due_calls WHERE due_at > now() ORDER BY contact_id")
    assert [(row["contact_id"], row["due_at"]) for row in later] == [(n, put_off) for n in range(1, 401)]
    await sql.execute("UPDATE due_calls SET state = 'done', result = 'BUSY', ended_at = now() WHERE contact_id > 400")
    assert [await sql.fetchval(feed, lane), await sql.fetchval(feed, lane)] == [200, 0]
    assert await sql.fetchval(
        "SELECT max(due_at) < now() + interval '30 seconds' FROM due_calls WHERE contact_id > 1000"
    )
    assert await sql.fetchval("SELECT fed FROM due_lanes WHERE lane = $1", lane)


@pytest.mark.parametrize(
    ("ending", "result"), [("campaign_stop('account_1', $1)", "CANCELLED"), ("campaign_drained($1)", "EXPIRED")]
)
async def test_those_who_wait_are_ended_and_counted_together(
    table: PgDue, sql: asyncpg.Connection, ending: str, result: str
) -> None:
    await sql.execute(CAMPAIGN)
    lane = "CM0000000001"
    await sql.fetchval("SELECT campaign_feed($1, 500)", lane)
    (one, *_), ended_first = (
        await claim(table, room=3),
        "UPDATE due_calls SET state = 'done', result = 'BUSY', ended_at = now()",
    )
    await sql.execute(f"{ended_first} WHERE id = $1", one.due.id)
    await sql.execute("UPDATE due_lanes SET closes_at = now() WHERE $1 = 'EXPIRED'", result)
    assert await sql.fetchval(f"SELECT {ending}::text", lane) in ("done", "true")
    counted = "SELECT name, sum(n)::int AS n FROM campaign_counts WHERE campaign_id = $1 GROUP BY name"
    expected = {"CANCELLED": 499} if result == "CANCELLED" else {"EXPIRED": 1199}
    assert {row["name"]: row["n"] for row in await sql.fetch(counted, lane)} == {"BUSY": 1, **expected}
    rows = await sql.fetch("SELECT result, count(*)::int AS n FROM due_calls GROUP BY result")
    assert {row["result"]: row["n"] for row in rows} == {"BUSY": 1, result: 499}


async def test_no_more_wait_than_a_stop_can_end(sql: asyncpg.Connection) -> None:
    await sql.execute(CAMPAIGN)
    many = (
        "INSERT INTO due_calls (lane, kind, account, campaign_id, contact_id, number, due_at)"
        " SELECT 'CM0000000001', 'campaign', 'account_1', 'CM0000000001', 10000 + n, n::text, now() + interval '9 hours'"
        " FROM generate_series(1, 20000) AS n"
    )
    await sql.execute(many)
    assert await sql.fetchval("SELECT campaign_feed('CM0000000001', 500)") == 0
    await sql.execute("DELETE FROM due_calls WHERE contact_id = 10001")
    assert await sql.fetchval("SELECT campaign_feed('CM0000000001', 500)") == 500


async def test_a_lane_that_is_not_fed_is_looked_at_however_late_its_next_is(
    table: PgDue, sql: asyncpg.Connection
) -> None:
    await campaign(sql, 1, fed=False)
    await sql.execute("UPDATE due_calls SET due_at = now() + interval '9 hours'")
    assert await claim(table) == []
    assert await sql.fetchval("SELECT wake_at < now() + interval '1 minute' FROM due_lanes")


async def test_contacts_with_hours_of_their_own_are_fed_without_gaps(sql: asyncpg.Connection) -> None:
    await sql.execute(CAMPAIGN)
    await sql.execute("""UPDATE campaigns SET rules = '{"callee_zone": true, "schedule": {}}'""")
    assert await sql.fetchval("SELECT campaign_feed('CM0000000001', 500)") == 500
    assert await sql.fetchval("SELECT max(due_at) = min(due_at) FROM due_calls")


async def test_a_lane_closed_by_its_schedule_sleeps(table: PgDue, sql: asyncpg.Connection) -> None:
    day = (now() + timedelta(days=3)).strftime("%a").lower()
    await campaign(sql, 3, rules=f'{{"schedule": {{"{day}": ["09:00-17:00"]}}}}')
    assert await claim(table) == []
    assert await sql.fetchval("SELECT wake_at > now() + interval '1 day' FROM due_lanes")


async def test_what_expired_is_not_placed(table: PgDue) -> None:
    (made,) = await table.add(due(expires_at=(end := now() + timedelta(seconds=3))))
    (claimed,) = await claim(table)
    await until(lambda: now() > end)
    assert await placed(table, claimed) is None
    assert await table.skip("e1", claimed, "EXPIRED", at=now())
    assert (await row_of(table, made.id)).result == "EXPIRED"


# -- scheduled calls -----------------------------------------------------------------------------------------------------


async def scheduled(table: PgDue, **changes: Any) -> str:
    rid = request_id(next(_calls))
    await table.add(due(kind="callback", params=PARAMS, request_id=rid, flow="callback", **changes))
    return rid


async def test_a_scheduled_call_stands_from_the_beginning(table: PgDue, database: Database) -> None:
    calls = PgCalls(database)
    rid = await scheduled(table)
    assert await calls.listed("account_1", states=["scheduled"], limit=9, before=None) == [rid]
    assert await calls.live("e1") == []
    (claimed,) = await claim(table)
    call = call_for(claimed, request_id=rid, flow="callback", params={**PARAMS, "caller_id": "1"})
    timeline = (await table.place("e1", claimed, call, "asterisk")).timeline
    began = replay(timeline)
    assert (began.state, began.flow, began.params["caller_id"], began.server) == ("queued", "callback", "1", "asterisk")
    assert began.began_at == call.created_at
    assert [each.request_id for each, _ in await calls.live("e1")] == [rid]
    assert await calls.events(rid) == list(timeline)
    assert await table.change("account_1", rid, params=PARAMS, number="1", due_at=now()) == "placed"
    assert await table.cancel("account_1", rid, at=now()) == "placed"


async def test_it_is_changed_and_cancelled_until_it_is_placed(table: PgDue, database: Database) -> None:
    calls = PgCalls(database)
    rid = await scheduled(table)
    (stale,) = await claim(table)
    later = now() + timedelta(hours=1)
    assert await table.change("account_1", rid, params={**PARAMS, "caller_id": "2"}, number="7", due_at=later) is None
    assert await placed(table, stale) is None
    row = await table.by_request("account_1", rid)
    assert row is not None
    assert (row.state, row.number, row.due_at, row.params["caller_id"]) == ("due", "7", later, "2")
    shown = replay(await calls.events(rid) or [])
    assert (shown.state, shown.params["caller_id"], shown.scheduled_at) == ("scheduled", "2", later)
    assert await table.cancel("account_1", rid, at=now()) is None
    assert await table.cancel("account_1", rid, at=now()) == "done"
    assert await table.change("account_1", rid, params=PARAMS, number="1", due_at=later) == "done"
    assert replay(await calls.events(rid) or []).end_reason == "cancelled"
    assert await calls.listed("account_1", states=["scheduled"], limit=9, before=None) == []
    assert await calls.cdr_by_request("account_1", rid) == []
    assert await table.by_request("account_2", rid) is None
    assert await table.cancel("account_2", rid, at=now()) == "unknown"


async def test_a_skipped_scheduled_call_ends(table: PgDue, database: Database) -> None:
    rid = await scheduled(table)
    (claimed,) = await claim(table)
    assert await table.skip("e1", claimed, "EXPIRED", at=now())
    assert replay(await PgCalls(database).events(rid) or []).end_reason == "timeout"


async def test_a_killed_engines_scheduled_call_is_found_by_its_next_process(
    table: PgDue, journal: PgJournal, database: Database
) -> None:
    """Placed, and the engine died before it ran the flow: the call is live, its own, and was not dialled."""
    rid = await scheduled(table)
    (claimed,) = await claim(table)
    call = call_for(claimed, request_id=rid, flow="callback")
    timeline = (await table.place("e1", claimed, call, "asterisk")).timeline
    assert await table.restart("e1") == 0
    ((live, events),) = await PgCalls(database).live("e1")
    assert (live.request_id, events) == (rid, list(timeline))
    await ended(journal, rid, "CANCEL", "engine_restart")
    assert (await row_of(table, claimed.due.id)).result == "CANCEL"


async def test_a_code_is_taken_once(table: PgDue) -> None:
    first = await table.add(due(code="abc"))
    with pytest.raises(Duplicate):
        await table.add(due(2), due(3, code="abc"))
    assert [each.id for each in await table.by_codes("account_1", ["abc", "x"])] == [each.id for each in first]
    await table.add(due(4, code="abc", code_item=1), due(5, code="abc", account="account_2"))
    assert len(await table.by_codes("account_1", ["abc"])) == 2


async def test_what_no_engine_told_the_end_of_is_given_up(table: PgDue, sql: asyncpg.Connection) -> None:
    (made,) = await table.add(due())
    (claimed,) = await claim(table)
    assert await placed(table, claimed) is not None
    assert await table.lost(60) == 0
    await sql.execute("UPDATE due_calls SET placed_at = now() - interval '2 hours'")
    assert await table.lost(3600) == 1
    assert (await row_of(table, made.id)).result == "CANCEL"


async def test_what_ended_long_ago_is_deleted_and_nothing_else(
    table: PgDue, sql: asyncpg.Connection, journal: PgJournal, database: Database
) -> None:
    made = await table.add(*(due(n) for n in range(1, 6)))
    claimed = await claim(table, room=3)
    rid = await placed(table, claimed[0])
    assert rid is not None
    await ended(journal, rid)
    assert await placed(table, claimed[1]) is not None
    assert await table.cancel("account_1", made[3].id, at=now()) is None
    assert await table.forget(1, 10) == 0
    await sql.execute("UPDATE due_calls SET ended_at = ended_at - interval '25 hours'")
    assert [await table.forget(1, 1), await table.forget(2, 9), await table.forget(1, 9)] == [1, 0, 1]
    left = {row["id"]: row["state"] for row in await sql.fetch("SELECT id, state FROM due_calls")}
    assert left == {made[1].id: "placed", made[2].id: "claimed", made[4].id: "due"}
    assert await table.get("account_1", made[0].id) is None
    assert await sql.fetchval("SELECT state FROM calls WHERE request_id = $1", rid) == "ended"
    assert len(await PgCalls(database).cdr_by_request("account_1", rid)) == 1


async def test_lanes_of_an_account(table: PgDue, sql: asyncpg.Connection) -> None:
    await table.add(due(), due(2, account="account_2"))
    lanes = {row["lane"] for row in await sql.fetch("SELECT lane FROM due_lanes")}
    assert lanes == {account_lane("account_1"), account_lane("account_2")}
    assert len(await claim(table)) == 2
