"""Accounts and credentials: in PostgreSQL and in the fake alike."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from engine.calls.account import SCOPES, Limits
from engine.errors import Duplicate, InvalidFields, NotFound, StoreAway
from engine.store.accounts import PgAccounts
from engine.store.administration import AccountAdministration
from engine.store.memory import MemoryAccounts
from engine.store.pool import Database
from engine.store.port import Accounts
from engine.testkit.database import DatabaseServer
from tests.waiting import until

SEED: list[dict[str, Any]] = [
    {"account": "account_1", "auth": "a" * 32, "number": 1234, "country": "91", "caller_ids": ["15168148111"]},
    {"account": "account_2", "auth": "b" * 32, "number": 1235, "country": "1", "caller_ids": []},
]


@pytest.fixture(params=["postgresql", "memory"])
def accounts(request: pytest.FixtureRequest) -> Accounts:
    if request.param == "memory":
        return MemoryAccounts()
    return PgAccounts(request.getfixturevalue("database"))


async def test_seeded_accounts_are_known_by_their_auth_alone(accounts: Accounts) -> None:
    await accounts.seed(SEED)
    identity = await accounts.identify("account_1", "a" * 32)
    assert identity is not None
    assert identity.scopes == frozenset(SCOPES)
    account = identity.account
    assert (account.account, account.number, account.country) == ("account_1", 1234, "91")
    assert account.caller_ids == frozenset({"15168148111"})
    assert account.limits == Limits()
    assert account.time_zone == ZoneInfo("UTC")
    assert await accounts.get("account_1") == account
    for name, auth in (("account_1", "b" * 32), ("account_2", "a" * 32), ("account_1", ""), ("account_3", "a" * 32),
                       ("", ""), ("account_1\0", "a" * 32), ("account_1", "a" * 32 + "\0"), ("\ud800", "\ud800")):  # fmt: skip
        assert await accounts.identify(name, auth) is None
    assert await accounts.get("account_3") is None


async def test_a_seed_leaves_what_is_there(accounts: Accounts) -> None:
    await accounts.seed(SEED)
    await accounts.seed([{**SEED[0], "auth": "c" * 32, "country": "44"}])
    assert await accounts.identify("account_1", "c" * 32) is None
    identity = await accounts.identify("account_1", "a" * 32)
    assert identity is not None
    assert identity.account.country == "91"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def administration(database: Database) -> AccountAdministration:
    return AccountAdministration(database)


async def test_an_account_is_made_with_an_auth_that_is_kept_nowhere(
    database: Database, administration: AccountAdministration, dsn: str
) -> None:
    auth = await administration.create("acme", country="49", time_zone="Europe/Berlin", caller_ids=["4930123456"])
    assert len(auth) == 32
    identity = await PgAccounts(database).identify("acme", auth)
    assert identity is not None
    assert identity.account.number == 1234
    assert identity.account.time_zone == ZoneInfo("Europe/Berlin")
    connection = await asyncpg.connect(dsn)
    kept = await connection.fetch("SELECT credentials::text AS row FROM credentials")
    await connection.close()
    assert not any(auth in row["row"] for row in kept)
    assert [account.account for account in await administration.list()] == ["acme"]
    await administration.create("next", country="1")
    assert (await administration.get("next")).number == 1235
    with pytest.raises(Duplicate):
        await administration.create("acme", country="49")
    with pytest.raises(Duplicate):
        await administration.create("third", country="49", number=1235)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("account", {"account": "a b"}), ("account", {"account": "x\n"}), ("country", {"country": "091"}),
        ("country", {"country": "x"}), ("number", {"number": 0}), ("time_zone", {"time_zone": "Mars/Base"}),
        ("time_zone", {"time_zone": "../../etc/passwd"}), ("caller_ids", {"caller_ids": ["+1516"]}),
        ("scopes", {"scopes": ["root"]}), ("scopes", {"scopes": []}),
    ],
)  # fmt: skip
async def test_a_bad_account_is_refused_by_field(
    administration: AccountAdministration, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidFields) as refusal:
        await administration.create(**{"account": "acme", "country": "91", **changes})
    assert list(refusal.value.fields) == [field]


async def test_changes_reach_an_engine_that_listens(database: Database, administration: AccountAdministration) -> None:
    accounts = PgAccounts(database)
    await accounts.start()
    await database.listener.listening.wait()
    old = await administration.create("acme", country="49")
    assert await accounts.identify("acme", old)

    new = await administration.rotate("acme", scopes=["read"])
    await until(lambda: is_none(accounts, old))
    identity = await accounts.identify("acme", new)
    assert identity is not None
    assert identity.scopes == {"read"}

    both = await administration.rotate("acme", keep=True)
    assert await accounts.identify("acme", both)
    assert await accounts.identify("acme", new)
    await administration.set_scopes("acme", ["read", "call"])
    await until(lambda: scopes_are(accounts, both, {"read", "call"}))

    await administration.add_caller_ids("acme", ["4930123456", "4930123457"])
    await administration.remove_caller_ids("acme", ["4930123457"])
    await until(lambda: caller_ids_are(accounts, {"4930123456"}))

    await administration.disable("acme")
    await until(lambda: is_none(accounts, both))
    await administration.enable("acme")
    await until(lambda: scopes_are(accounts, both, {"read", "call"}))


async def is_none(accounts: PgAccounts, auth: str) -> bool:
    return await accounts.identify("acme", auth) is None


async def scopes_are(accounts: PgAccounts, auth: str, scopes: set[str]) -> bool:
    identity = await accounts.identify("acme", auth)
    return identity is not None and identity.scopes == scopes


async def caller_ids_are(accounts: PgAccounts, numbers: set[str]) -> bool:
    account = await accounts.get("acme")
    return account is not None and account.caller_ids == numbers


async def test_a_new_auth_is_good_at_once_without_notification(
    database: Database, administration: AccountAdministration
) -> None:
    clock = Clock()
    accounts = PgAccounts(database, clock=clock)
    assert await accounts.identify("acme", "x") is None
    auth = await administration.create("acme", country="49")
    assert await accounts.identify("acme", auth)
    other = await administration.rotate("acme", keep=True)
    assert await accounts.identify("acme", other)


async def test_limits_are_changed_one_by_one(administration: AccountAdministration, database: Database) -> None:
    await administration.create("acme", country="49")
    assert await administration.set_limits("acme", concurrent_calls=3) == Limits(concurrent_calls=3)
    expected = Limits(concurrent_calls=3, allowed_prefixes=("49", "1"), connect_prompt=False)
    assert await administration.set_limits("acme", allowed_prefixes=["49", "1"], connect_prompt=False) == expected
    account = await PgAccounts(database).get("acme")
    assert account is not None
    assert account.limits == expected
    wrong = {"calls": 1, "agent_ring": 0, "max_duration": "60", "concurrent_calls": True, "open_ranges": "premium"}
    with pytest.raises(InvalidFields) as refusal:
        await administration.set_limits("acme", **wrong)
    assert set(refusal.value.fields) == set(wrong)


async def test_what_does_not_exist_is_not_found(administration: AccountAdministration) -> None:
    for work in (
        administration.get("nobody"), administration.rotate("nobody"), administration.disable("nobody"),
        administration.add_caller_ids("nobody", ["123"]), administration.remove_caller_ids("nobody", ["123"]),
        administration.set_limits("nobody", agent_ring=5), administration.set_scopes("nobody", ["read"]),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await work


async def told_all(database: Database) -> None:
    """Return when each change made before this has been heard of: notifications come in order."""
    heard: list[str | None] = []
    await database.listener.listening.wait()
    database.listener.subscribe(heard.append)
    async with database.acquire() as connection:
        await connection.execute("SELECT pg_notify('trunkline_changed', 'fence')")
    await until(lambda: "fence" in heard)


async def test_credentials_known_for_a_minute_outlast_postgresql(
    server: DatabaseServer, database: Database, administration: AccountAdministration
) -> None:
    auth = await administration.create("acme", country="49")
    clock = Clock()
    accounts = PgAccounts(database, clock=clock)
    await accounts.start()
    await told_all(database)
    assert await accounts.identify("acme", auth)
    server.stop()
    clock.now += 59
    assert await accounts.identify("acme", auth)
    assert await accounts.identify("acme", "wrong") is None
    with pytest.raises(StoreAway):
        await accounts.identify("another", auth)
    clock.now += 2
    with pytest.raises(StoreAway):
        await accounts.identify("acme", auth)
    server.start()
    assert await accounts.identify("acme", auth)


async def test_what_is_used_is_renewed_before_it_is_old(
    database: Database, administration: AccountAdministration
) -> None:
    auth = await administration.create("acme", country="49")
    clock = Clock()
    accounts = PgAccounts(database, clock=clock)
    assert await accounts.identify("acme", auth)
    clock.now += 20
    assert await accounts.identify("acme", auth)
    await until(lambda: accounts._known["acme"].since == clock.now)
