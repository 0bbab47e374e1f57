"""Tokens, pages of calls, devices and the live feed, on PostgreSQL."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from engine.calls.events import Kind
from engine.errors import InvalidFields, NotFound, Unauthenticated
from engine.store.accounts import PgAccounts
from engine.store.administration import AccountAdministration
from engine.store.call_book import PgCallBook, PgDevices
from engine.store.feed import PgFeed
from engine.store.journal import PgJournal
from engine.store.pool import Database
from engine.store.port import Device, Span
from engine.store.queries import query
from engine.store.tokens import PgTokens
from engine.store.webhooks import PgHooks
from engine.webhooks.feed import Feed
from tests.integration.test_store_plans import filled, indexes, plan, rows_read, tables_scanned_whole  # noqa: F401
from tests.store_facts import START, closing, event, new_call, new_leg, record, request_id
from tests.waiting import until

ALL = Span(START - timedelta(days=1), START + timedelta(days=1), descending=True)


@pytest.fixture
async def accounts(database: Database) -> PgAccounts:
    administration = AccountAdministration(database)
    for name in ("account_1", "account_2"):
        await administration.create(name, country="91")
    return PgAccounts(database)


# -- tokens ------------------------------------------------------------------------------------------------------------


async def good(tokens: PgTokens, token: str) -> bool:
    try:
        await tokens.identify(token)
    except Unauthenticated:
        return False
    return True


async def test_a_token_is_its_accounts_and_has_its_scopes(database: Database, accounts: PgAccounts) -> None:
    tokens = PgTokens(database, accounts)
    issued = await tokens.issue("account_2", scopes=["read"], lifetime=60)
    identity = await tokens.identify(issued.token)
    assert (identity.account.account, identity.scopes) == ("account_2", {"read"})
    assert issued.token not in repr(issued)
    assert issued.expires_at - datetime.now(UTC) <= timedelta(seconds=60)
    async with database.acquire() as connection:
        row = await connection.fetchrow("SELECT tokens::text AS text FROM tokens")
    assert issued.token not in row["text"]
    for other in ("", "tlt_x", issued.token + "x", issued.token[:-1]):
        assert not await good(tokens, other)


@pytest.mark.parametrize("wrong", [{"scopes": []}, {"scopes": ["all"]}, {"lifetime": 0}, {"lifetime": 10**9}])
async def test_a_token_that_can_not_be(database: Database, accounts: PgAccounts, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidFields):
        await PgTokens(database, accounts).issue("account_1", **{"scopes": ["read"], "lifetime": 60, **wrong})


async def test_a_token_ends_with_its_time(database: Database, accounts: PgAccounts) -> None:
    tokens = PgTokens(database, accounts)
    issued = await tokens.issue("account_1", lifetime=60)
    assert await good(tokens, issued.token)
    async with database.acquire() as connection:
        await connection.execute(
            "UPDATE tokens SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h'"
        )
    tokens.heard("tokens")
    assert not await good(tokens, issued.token)


async def test_a_revoked_token_ends_at_once_at_every_engine(database: Database, accounts: PgAccounts) -> None:
    tokens, operator = PgTokens(database, accounts), PgTokens(database, accounts)
    first, second = [await tokens.issue("account_1", lifetime=60) for _ in range(2)]
    await database.listener.listening.wait()
    assert [await good(tokens, each.token) for each in (first, second)] == [True, True]
    await operator.revoke(first.id)

    async def ended() -> bool:
        return not await good(tokens, first.token)

    await until(ended)
    assert await good(tokens, second.token)
    with pytest.raises(NotFound):
        await operator.revoke(first.id)
    assert await operator.revoke_all("account_1") == 1
    revoked = {row.id: row.revoked_at is not None for row in await operator.all("account_1")}
    assert revoked == {first.id: True, second.id: True}
    assert await operator.all("account_2") == []


async def test_a_token_ends_with_the_secret_it_was_given_for(database: Database, accounts: PgAccounts) -> None:
    administration = AccountAdministration(database)
    auth = await administration.rotate("account_1")
    tokens = PgTokens(database, accounts)
    issued = await tokens.issue("account_1", lifetime=60, auth=auth)
    by_operator = await tokens.issue("account_1", lifetime=60)
    await administration.set_scopes("account_1", ["read"])
    tokens.heard("credentials")
    assert (await tokens.identify(issued.token)).scopes == {"read"}
    await administration.rotate("account_1")
    tokens.heard("credentials")
    assert not await good(tokens, issued.token)
    assert await good(tokens, by_operator.token)
    await administration.disable("account_1")
    accounts.heard("accounts")
    assert not await good(tokens, by_operator.token)


# -- pages -------------------------------------------------------------------------------------------------------------


async def test_pages_of_calls_hold_onto_a_call(database: Database, journal: PgJournal) -> None:
    book = PgCallBook(database)
    journal.append(*(new_call(n) for n in range(10, 20)), new_call(1, account="account_2"))
    journal.append(new_call(2, scheduled_at=START))
    await journal.committed()
    first = await book.page("account_1", ALL, limit=3)
    assert first == [request_id(n) for n in (19, 18, 17)]
    assert await book.count("account_1", ALL) == 10
    # Later ones, and one that was written down late: neither moves the page behind.
    journal.append(new_call(30), new_call(31), new_call(18, request_id="00000000ff"))
    await journal.committed()
    second = await book.page("account_1", ALL, limit=3, after=first[-1])
    assert second == [request_id(n) for n in (16, 15, 14)]
    assert await book.page("account_1", ALL, limit=3, after=second[0], back=True) == [
        "00000000ff", *first[1:],
    ]  # fmt: skip
    rising = replace(ALL, descending=False)
    assert await book.page("account_1", rising, limit=2) == [request_id(10), request_id(11)]
    assert await book.page("account_1", rising, limit=2, offset=4) == [request_id(14), request_id(15)]
    assert await book.page("account_1", rising, limit=2, after=request_id(12), back=True) == [
        request_id(10), request_id(11),
    ]  # fmt: skip
    for foreign in (request_id(1), "ffffffffff"):
        with pytest.raises(InvalidFields):
            await book.page("account_1", ALL, limit=3, after=foreign)


async def test_pages_of_calls_by_time_and_party(database: Database, journal: PgJournal) -> None:
    book = PgCallBook(database)
    journal.append(*(new_call(n) for n in range(5)), new_leg(3), new_call(6, params={"from": "101", "dialed": "102"}))
    await journal.committed()
    since = replace(ALL, since=START + timedelta(seconds=2), until=START + timedelta(seconds=4))
    assert await book.page("account_1", since, limit=9) == [request_id(3), request_id(2)]
    assert await book.count("account_1", since) == 2
    for extension, found in (("101", [6]), ("102", [6]), ("919979270001", [4, 3, 2, 1, 0]), ("103", [])):
        span = replace(ALL, extension=extension)
        assert await book.page("account_1", span, limit=9) == [request_id(n) for n in found]
        assert await book.count("account_1", span) == len(found)


async def test_calls_of_other_engines_are_counted(database: Database, journal: PgJournal) -> None:
    journal.append(
        new_call(1), new_call(2, engine="e2"), new_call(3, engine="e2"), new_call(4, engine="e2"), closing(4),
        new_call(5, engine="e3", flow="otp"), new_call(6, engine="e2", account="account_2"),
        new_call(7, engine="e2", campaign_id="CM1"),
    )  # fmt: skip
    await journal.committed()
    found = await PgCallBook(database).live_elsewhere("account_1", "e1")
    assert sorted(found) == [
        ("click_to_call", "outbound", False, 2), ("click_to_call", "outbound", True, 1), ("otp", "outbound", False, 1),
    ]  # fmt: skip


# -- devices -----------------------------------------------------------------------------------------------------------


def device(n: int, at: datetime = START, **changes: Any) -> Device:
    mac = f"00-00-00-00-00-{n:02X}"
    return replace(Device(mac, f"{100 + n}", mac, "10.0.0.7", f"sip:{100 + n}@10.0.0.7", at, at), **changes)


async def test_devices_are_kept_forgotten_and_come_back(database: Database, accounts: PgAccounts) -> None:
    devices, at = PgDevices(database), datetime.now(UTC)

    async def keep(number: int, registered: datetime, account: str = "account_1", **changes: Any) -> None:
        found = device(number, registered, **changes)
        await devices.keep(account, found, lifetime=120, expires_at=registered + timedelta(seconds=120))

    await keep(1, at - timedelta(seconds=60))
    await keep(2, at - timedelta(seconds=50))
    await keep(3, at, "account_2")
    span = Span(at - timedelta(days=1), at + timedelta(days=1), descending=False)
    assert [each.extension for each in await devices.page("account_1", span, limit=5)] == ["101", "102"]
    await keep(1, at, address="10.0.0.8")
    first = await devices.get("account_1", "101")
    assert first is not None
    assert (first.address, first.last_success) == ("10.0.0.8", at)
    assert await devices.get("account_1", "103") is None
    assert not await devices.forget("account_1", "00-00-00-00-00-03")
    assert await devices.forget("account_1", first.key)
    assert await devices.get("account_1", first.key) is None
    await keep(1, at)
    assert await devices.get("account_1", first.key) is None, "that registration was forgotten"
    later = datetime.now(UTC) + timedelta(seconds=1)
    await keep(1, later)
    found = await devices.get("account_1", first.key)
    assert found is not None
    assert found.last_success == later
    assert [each.extension for each in await devices.page("account_1", span, limit=5)] == ["102", "101"], "anew"
    assert await devices.count("account_1", span) == 2
    assert [each.extension for each in await devices.page("account_1", span, limit=1, after="00-00-00-00-00-02")] == [
        "101"
    ]
    known = await devices.contacts()
    assert known["account_1", first.key] == ("sip:101@10.0.0.7", 120, later + timedelta(seconds=120))


# -- the feed ----------------------------------------------------------------------------------------------------------


async def told(feed: PgFeed, after: int = 0, account: str | None = "account_1") -> list[tuple[str, Any]]:
    page = await feed.page(after, await feed.position(), account, 100)
    assert [each.id for each in page] == sorted({each.id for each in page})
    return [(each.type, each.data.get("request_id")) for each in page]


async def test_the_feed_tells_what_the_timelines_have(database: Database, journal: PgJournal) -> None:
    feed = PgFeed(database)
    assert await feed.position() == 0
    journal.append(
        new_call(1),
        event(1, 1, Kind.CALL_CREATED, None),
        new_leg(1),
        event(1, 2, Kind.LEG_CREATED),
        event(1, 3, Kind.LEG_RINGING),
        event(1, 4, Kind.LEG_DTMF),
        event(1, 5, Kind.LEG_ANSWERED),
        event(1, 6, Kind.CALL_HELD, None),
        event(1, 7, Kind.CALL_ENDED, None, {"end_reason": "completed"}),
        new_call(2, account="account_2"),
        event(2, 1, Kind.CALL_CREATED, None),
    )
    await journal.committed()
    one = request_id(1)
    types = ["call.created", "call.ringing", "call.answered", "call.held", "call.ended"]
    assert await told(feed) == [(type_, one) for type_ in types]
    assert len(await told(feed, account=None)) == 6
    page = await feed.page(0, await feed.position(), "account_1", 100)
    assert page[1].data["leg"]["number"] == "919979270001"
    assert page[1].timestamp == "2026-03-05T10:00:01.126Z"
    journal.append(closing(1, [record(1, hangup_by="callee", recording_name="x.wav")]))
    await journal.committed()
    end = (await feed.page(page[-2].id, await feed.position(), "account_1", 100))[0]
    assert (end.type, end.unfinished) == ("call.ended", False)
    assert {name: end.data[name] for name in ("end_reason", "dial_status", "recording_name", "billsec")} == {
        "end_reason": "completed", "dial_status": "ANSWER", "recording_name": "x.wav", "billsec": 7.26955,
    }  # fmt: skip


async def test_an_end_is_unfinished_until_its_records_are_there(database: Database, journal: PgJournal) -> None:
    feed = PgFeed(database)
    end = event(1, 1, Kind.CALL_ENDED, None, {"end_reason": "completed"})
    fresh = replace(end, event=replace(end.event, at=datetime.now(UTC) + timedelta(seconds=30)))
    journal.append(new_call(1), fresh)
    await journal.committed()
    assert [each.unfinished for each in await feed.page(0, await feed.position(), None, 9)] == [True]
    journal.append(closing(1))
    await journal.committed()
    assert [each.unfinished for each in await feed.page(0, await feed.position(), None, 9)] == [False]


async def test_rooms_and_campaigns_are_told_with_and_without_a_hook(database: Database, accounts: PgAccounts) -> None:
    hooks, feed = PgHooks(database), PgFeed(database)
    await hooks.publish("account_1", "campaign.started", "CM1", {"campaign_id": "CM1"})
    await hooks.publish("account_1", "webhook.test", "x", {})
    await hooks.add("WH0000000001", "account_1", "https://example.com/", ["campaign.*"], "whsec_AAAA")
    assert len(await hooks.publish("account_1", "campaign.completed", "CM1", {"campaign_id": "CM1"})) == 1
    page = await feed.page(0, await feed.position(), "account_1", 9)
    assert [(each.type, each.data) for each in page] == [
        ("campaign.started", {"campaign_id": "CM1"}), ("campaign.completed", {"campaign_id": "CM1"}),
    ]  # fmt: skip
    assert await told(feed, account="account_2") == []


async def test_a_rooms_event_log_is_told(dsn: str, database: Database, accounts: PgAccounts) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO rooms (id, account, name) VALUES ('ROOM1', 'account_2', 'x')")
    happened = 'SELECT room_happened(\'ROOM1\', $1, now(), NULL, \'{"from": "WEB", "connected_count": 2}\')'
    for kind in ("room.entered", "room.muted", "room.opened"):
        await connection.execute(happened, kind)
    await connection.close()
    feed = PgFeed(database)
    page = await feed.page(0, await feed.position(), "account_2", 9)
    assert [each.type for each in page] == ["room.entered", "room.muted", "room.opened"]
    assert (page[0].data["room_id"], page[0].data["action"], page[0].data["connected_count"]) == (
        "ROOM1",
        "ENTER_ROOM",
        2,
    )
    assert await told(feed) == []


async def test_a_campaigns_states_are_told(dsn: str, database: Database, accounts: PgAccounts) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO campaigns (id, account, name, type, list_id, list, caller_id, announcement, starts_at, ends_at, time_zone,"
        " calls_per_minute, max_retries, retry_seconds, retry_on)"
        " VALUES ('CM0123456789', 'account_1', 'x', 0, 'LS1', 1, '1', '{}', now(), now() + interval '1 day', 'UTC', 60, 0, 1, '{}')"
    )
    for state in ("running", "paused", "running", "completed"):
        await connection.execute("UPDATE campaigns SET state = $1", state)
    feed = PgFeed(database)
    # Whoever has a campaign in its hands waits for no journal: notes get their numbers from whoever reads.
    held = connection.transaction()
    await held.start()
    await connection.execute("SELECT pg_advisory_xact_lock(7382915401)")
    async with database.acquire() as other:
        await other.execute("UPDATE campaigns SET state = 'stopped'")
    await held.commit()
    await connection.close()
    assert [type_ for type_, _ in await told(feed)] == [
        f"campaign.{each}" for each in ("created", "started", "paused", "resumed", "completed", "stopped")
    ]
    assert [type_ for type_, _ in await told(feed)][-1] == "campaign.stopped", "and keep them"


async def test_ids_become_visible_in_their_order(dsn: str, database: Database) -> None:
    """Whoever draws ids holds the next one off until it has committed: a reader that has seen an id has seen all before."""
    slow, quick = [await asyncpg.connect(dsn) for _ in range(2)]
    insert = "INSERT INTO call_events (request_id, seq, at, kind) VALUES ($1, 1, now(), 'call.created') RETURNING id"
    transaction = slow.transaction()
    await transaction.start()
    first = await slow.fetchval(insert, request_id(1))
    second = asyncio.create_task(quick.fetchval(insert, request_id(2)))
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
    watcher = await asyncpg.connect(dsn)
    await until(lambda: watcher.fetchval(waiting))
    assert await PgFeed(database).position() == 0
    assert not second.done()
    await transaction.commit()
    assert await second > first
    for connection in (slow, quick, watcher):
        await connection.close()


async def test_listeners_hear_of_it_from_every_engine(dsn: str, database: Database, journal: PgJournal) -> None:
    """Live, without polling: the database notifies while somebody listens."""
    feed = Feed(PgFeed(database), "e1")
    database.listener.subscribe(feed.heard)
    await database.listener.listening.wait()
    numbers = itertools.count(1)
    async with feed.listen("account_1") as listener:
        for _ in range(3):
            n = next(numbers)
            journal.append(new_call(n, engine="e2"), event(n, 1, Kind.CALL_CREATED, None))
            await journal.committed()
            heard = await listener.next(20)
            assert heard is not None
            assert heard.data["request_id"] == request_id(n)
        async with database.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM feed_readers") == 1

    async def left() -> bool:
        async with database.acquire() as connection:
            return not await connection.fetchval("SELECT count(*) FROM feed_readers")

    await until(left)
    missed = [each.data["request_id"] async for each in feed.missed(listener, 0)]
    assert missed == [], "it came before anything happened"
    async with feed.listen("account_1") as again:
        assert [each.data["request_id"] async for each in feed.missed(again, 0)] == [request_id(n) for n in (1, 2, 3)]
    await feed.close()


async def test_plans(filled: asyncpg.Connection) -> None:  # noqa: F811
    day = START + timedelta(days=3)
    span = ("account_3", START - timedelta(days=1), START + timedelta(days=90), None)
    last = await filled.fetchval("SELECT max(id) FROM call_events")
    for name, args, index, most in (
        ("cc_earlier", (*span, day, "zz", 50, 0), "calls_account", 100),
        ("cc_later", (*span, day, "", 50, 0), "calls_account", 100),
        ("cc_position", ("account_3", f"{3:010x}"), "calls_pkey", 10),
        ("token", (bytes(32),), "tokens_hash", 10),
        ("feed_page", (last - 50, last, None, 500), "call_events_feed", 100),
    ):
        found = await plan(filled, name, *args)
        assert tables_scanned_whole(found) == set(), name
        assert any(index in used for used in indexes(found)) or name == "token", (name, indexes(found))
        assert rows_read(found) <= most, (name, rows_read(found))
    assert query("cc_count")
