import pytest

from engine.calls.routing import Route
from engine.errors import Duplicate, InvalidFields, NotFound
from engine.store.accounts import PgAccounts
from engine.store.memory import MemoryRoutes
from engine.store.pool import Database
from engine.store.routes import PgRoutes
from tests.waiting import until

SEED = [{"account": "account_1", "auth": "a" * 32, "number": 1234, "country": "91", "caller_ids": []}]


def without_ids(routes: object) -> list[tuple[str, str, str, str, str | None]]:
    return [(r.direction, r.prefix, r.kind, r.target, r.account) for r in routes]  # type: ignore[attr-defined]


async def test_the_first_seed_leads_every_number_to_the_carrier(database: Database) -> None:
    await PgAccounts(database).seed(SEED)
    routes = PgRoutes(database)
    await routes.start()
    assert without_ids(routes.current()) == without_ids(MemoryRoutes().current())


async def test_routes_that_were_removed_are_not_seeded_again(database: Database) -> None:
    await PgAccounts(database).seed(SEED)
    routes = PgRoutes(database)
    await routes.start()
    await routes.remove(routes.current()[0].id)
    await PgAccounts(database).seed(SEED)
    assert await routes.list() == []


async def test_changes_are_heard(database: Database) -> None:
    routes, other = PgRoutes(database, poll=1000), PgRoutes(database)
    await routes.start()
    await routes.start()
    await database.listener.listening.wait()
    added = await other.add("outbound", "44", "trunk", "london")
    assert added == Route(added.id, "outbound", "44", "trunk", "london")
    await until(lambda: list(routes.current()) == [added])
    await other.remove(added.id)
    await until(lambda: list(routes.current()) == [])


async def test_the_clock_finds_what_was_not_heard(database: Database) -> None:
    routes = PgRoutes(database, poll=0.05)
    await routes.start()
    database.listener._subscribers.clear()
    added = await PgRoutes(database).add("inbound", "1555", "flow", "inbound")
    await until(lambda: list(routes.current()) == [added])


async def test_what_does_not_fit_is_refused(database: Database) -> None:
    routes = PgRoutes(database)
    await PgAccounts(database).seed(SEED)
    for wrong in (
        ("outbound", "4x", "trunk", "london"), ("outbound", "44", "flow", "inbound"), ("inbound", "44", "trunk", "a"),
        ("outbound", "44", "trunk", ""), ("outbound", "44", "trunk", "a/b"), ("sideways", "44", "trunk", "a"),
        ("outbound", "44", "trunk", "a", "nobody"),
    ):  # fmt: skip
        with pytest.raises(InvalidFields):
            await routes.add(*wrong)
    await routes.add("outbound", "44", "trunk", "a", "account_1")
    await routes.add("outbound", "44", "deny")
    with pytest.raises(Duplicate):
        await routes.add("outbound", "44", "trunk", "b")
    with pytest.raises(NotFound):
        await routes.remove(999)
