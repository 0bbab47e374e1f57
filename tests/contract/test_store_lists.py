"""Lists of contacts, on a real PostgreSQL."""

import pytest

from engine.dialer.contacts.port import Contact
from engine.errors import Duplicate
from engine.store.accounts import PgAccounts
from engine.store.lists import PgLists

SEED = [
    {"account": name, "auth": name[-1] * 32, "number": int(name[-1]), "country": "91", "caller_ids": []}
    for name in ("account_1", "account_2")
]
LISTS = {False: "LS0123456789", True: "DN0123456789"}


@pytest.fixture(params=[False, True], ids=["contacts", "do not dial"])
async def kind(request):
    return request.param


@pytest.fixture
async def lists(database, kind):
    await PgAccounts(database).seed(SEED)
    found = PgLists(database)
    await found.create(LISTS[kind], "account_1", "mine", do_not_dial=kind)
    return found


async def numbers(database, kind):
    async with database.acquire() as connection:
        table, order = ("dnd_numbers", "number") if kind else ("contacts", "id")
        return [row["number"] for row in await connection.fetch(f"SELECT number FROM {table} ORDER BY {order}")]


async def pieces(kind, *rows, breaks=None):
    for number in rows:
        yield f"{number}\tname{'' if kind else chr(9) + '{}'}\n".encode()
    if breaks:
        raise breaks


async def test_names_are_unique_in_an_account(lists, kind):
    with pytest.raises(Duplicate):
        await lists.create("LS9999999999" if not kind else "DN9999999999", "account_1", "mine", do_not_dial=kind)
    await lists.create("LS9999999999" if not kind else "DN9999999999", "account_2", "mine", do_not_dial=kind)


async def test_added_in_order_and_once(lists, kind, database):
    contacts = [Contact("300", "c"), Contact("100", "a"), Contact("300", "again"), Contact("200")]
    assert await lists.add("account_1", LISTS[kind], contacts, do_not_dial=kind) == 3
    assert await lists.add("account_1", LISTS[kind], [Contact("050"), Contact("100")], do_not_dial=kind) == 1
    expected = ["300", "100", "200", "050"]
    assert await numbers(database, kind) == (sorted(expected) if kind else expected)
    assert (await lists.get("account_1", LISTS[kind], do_not_dial=kind)).contacts == 4


async def test_foreign_and_unknown_are_none(lists, kind):
    assert await lists.add("account_2", LISTS[kind], [Contact("100")], do_not_dial=kind) is None
    assert await lists.get("account_2", LISTS[kind], do_not_dial=kind) is None
    assert await lists.load("account_2", LISTS[kind], pieces(kind, "100"), do_not_dial=kind) is None


async def test_loaded_in_order_and_once(lists, kind, database):
    assert await lists.load("account_1", LISTS[kind], pieces(kind, "300", "100", "300"), do_not_dial=kind) == 2
    assert await lists.load("account_1", LISTS[kind], pieces(kind, "200", "100"), do_not_dial=kind) == 1
    assert await lists.add("account_1", LISTS[kind], [Contact("050")], do_not_dial=kind) == 1
    expected = ["300", "100", "200", "050"]
    assert await numbers(database, kind) == (sorted(expected) if kind else expected)
    assert (await lists.get("account_1", LISTS[kind], do_not_dial=kind)).contacts == 4


async def test_all_or_none(lists, kind, database):
    with pytest.raises(LookupError):
        await lists.load("account_1", LISTS[kind], pieces(kind, "300", breaks=LookupError()), do_not_dial=kind)
    assert await numbers(database, kind) == []
