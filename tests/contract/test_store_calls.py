"""What the journal writes is what the reads find: in PostgreSQL and in the fake alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.calls.events import Kind
from engine.errors import StoreAway
from engine.store.calls import PgCalls
from engine.store.memory import Memory, MemoryCalls, MemoryJournal
from engine.store.port import Calls, Journal
from tests.store_facts import START, closing, event, new_call, new_leg, record, recording, request_id


@pytest.fixture(params=["postgresql", "memory"])
def store(request: pytest.FixtureRequest) -> tuple[Journal, Calls]:
    if request.param == "memory":
        memory = Memory()
        return MemoryJournal(memory), MemoryCalls(memory)
    return request.getfixturevalue("journal"), PgCalls(request.getfixturevalue("database"))


Store = tuple[Journal, Calls]


async def written(store: Store, *records: Any) -> Calls:
    store[0].append(*records)
    await store[0].committed()
    return store[1]


async def test_a_call_is_live_with_its_timeline_until_it_is_closed(store: Store) -> None:
    created = event(1, 1, Kind.CALL_CREATED, None, {"flow": "click_to_call"})
    calls = await written(store, new_call(1), created, new_leg(1), event(1, 2, Kind.LEG_CREATED, 1, {"n": 1}))
    assert await calls.live("e1") == [(new_call(1), [created.event, event(1, 2, Kind.LEG_CREATED, 1, {"n": 1}).event])]
    assert await calls.live("e2") == []
    assert await calls.is_live([request_id(1), request_id(2)]) == {request_id(1)}
    await written(store, closing(1))
    assert await calls.live("e1") == []
    assert await calls.is_live([request_id(1)]) == set()


async def test_live_calls_are_given_oldest_first(store: Store) -> None:
    calls = await written(store, new_call(3), new_call(1), new_call(2, engine="e2"), new_call(4))
    assert [call.request_id for call, _ in await calls.live("e1")] == [request_id(n) for n in (1, 3, 4)]


async def test_a_scheduled_call_is_live_from_its_first_leg(store: Store) -> None:
    calls = await written(store, new_call(1, scheduled_at=START + timedelta(hours=1)))
    assert await calls.listed(None, states=["scheduled"], limit=9, before=None) == [request_id(1)]
    assert await calls.live("e1") == []
    await written(store, new_leg(1))
    assert [call.scheduled_at for call, _ in await calls.live("e1")] == [START + timedelta(hours=1)]
    assert await calls.listed(None, states=["scheduled"], limit=9, before=None) == []
    assert await calls.listed(None, states=["live"], limit=9, before=None) == [request_id(1)]


async def test_a_timeline_is_for_its_own_account(store: Store) -> None:
    calls = await written(store, new_call(1), event(1, 2), event(1, 1))
    expected = [event(1, 1).event, event(1, 2).event]
    assert await calls.events(request_id(1)) == expected
    assert await calls.events(request_id(1), "account_1") == expected
    assert await calls.events(request_id(1), "account_2") is None
    assert await calls.events(request_id(7)) is None


async def test_a_call_without_events_has_an_empty_timeline(store: Store) -> None:
    calls = await written(store, new_call(1))
    assert await calls.events(request_id(1)) == []


async def test_the_cdr_comes_with_the_end_and_keeps_every_field(store: Store) -> None:
    calls = await written(store, new_call(1), new_leg(1), new_leg(1, 2, "customer"))
    assert await calls.cdr_by_request("account_1", request_id(1)) == []
    await written(store, closing(1))
    found = await calls.cdr_by_request("account_1", request_id(1))
    assert found is not None
    assert [replace(row, id=0) for row in found] == [record(1)]
    assert found[0].id > 0
    assert await calls.cdr_by_request("account_2", request_id(1)) is None
    assert await calls.cdr_by_request("account_1", request_id(9)) is None


async def test_nulls_of_a_cdr_stay_nulls(store: Store) -> None:
    bare = record(
        1, call_status=None, dial_status="DND", started_at=None, answered_at=None, ended_at=None, call_duration=None,
        billsec=None, sip_code=None, q850=None, hangup_by=None, is_dnd=True, list_id="LS50f6ec70b7",
        campaign_id="CM39139118b8", result="done", reconciled=True,
    )  # fmt: skip
    calls = await written(store, new_call(1), closing(1, [bare]))
    found = await calls.cdr_by_request("account_1", request_id(1))
    assert found is not None
    assert [replace(row, id=0) for row in found] == [bare]


async def test_everything_written_again_changes_nothing(store: Store) -> None:
    facts = (new_call(1), new_leg(1), event(1, 1), event(1, 2), recording(1), closing(1))
    calls = await written(store, *facts)
    before = await calls.events(request_id(1)), await calls.cdr_by_request("account_1", request_id(1))
    await written(store, *facts)
    await written(store, *facts, *facts)
    assert before == (await calls.events(request_id(1)), await calls.cdr_by_request("account_1", request_id(1)))
    assert await calls.live("e1") == []


async def test_a_second_closing_adds_nothing_even_in_the_same_batch(store: Store) -> None:
    other = closing(1, [record(1, end_reason="failed", call_date=START + timedelta(hours=1))], end_reason="failed")
    calls = await written(store, new_call(1), closing(1), other)
    await written(store, other)
    found = await calls.cdr_by_request("account_1", request_id(1))
    assert found is not None
    assert [row.end_reason for row in found] == ["completed"]


async def test_ids_of_cdrs_ascend_in_the_order_of_closing(store: Store) -> None:
    order = [5, 2, 9, 1, 7]
    calls = await written(store, *(new_call(n) for n in order), *(closing(n) for n in order))
    await written(store, new_call(3), closing(3, [record(3, 1), record(3, 0)]))
    day = datetime(2026, 3, 5, tzinfo=UTC)
    found = await calls.cdr_by_date("account_1", day, day + timedelta(days=1), count=100, offset=0)
    assert [row.request_id for row in found] == [request_id(n) for n in (*order, 3, 3)]
    ids = [row.id for row in found]
    assert ids == sorted(set(ids))


async def test_cdrs_by_date_take_the_start_and_leave_the_end(store: Store) -> None:
    calls = await written(store, *(new_call(n) for n in range(4)), *(closing(n) for n in range(4)))
    await written(store, new_call(10, account="account_2"), closing(10, [record(10, account_id="account_2")]))
    start, end = record(1).call_date, record(3).call_date
    found = await calls.cdr_by_date("account_1", start, end, count=100, offset=0)
    assert [row.request_id for row in found] == [request_id(1), request_id(2)]
    page = await calls.cdr_by_date("account_1", START, START + timedelta(days=1), count=2, offset=1)
    assert [row.request_id for row in page] == [request_id(1), request_id(2)]


async def test_pages_of_calls_go_newest_first_without_gap_or_repeat(store: Store) -> None:
    same = START + timedelta(days=1)
    facts = [new_call(n, created_at=same if n > 3 else START + timedelta(seconds=n)) for n in range(8)]
    calls = await written(store, *facts, new_call(20, account="account_2"), closing(2), closing(5))
    for account, states, expected in (
        ("account_1", ["live"], (7, 6, 4, 3, 1, 0)),
        ("account_1", ["ended"], (5, 2)),
        ("account_1", ["live", "ended"], (7, 6, 5, 4, 3, 2, 1, 0)),
        (None, ["live"], (7, 6, 4, 20, 3, 1, 0)),
        (None, ["ended"], (5, 2)),
    ):
        seen: list[str] = []
        while page := await calls.listed(account, states=states, limit=2, before=seen[-1] if seen else None):
            seen += page
        assert seen == [request_id(n) for n in expected]


async def test_an_unknown_cursor_has_no_page(store: Store) -> None:
    calls = await written(store, new_call(1))
    for states in (["live"], ["live", "ended"]):
        assert await calls.listed("account_1", states=states, limit=5, before=request_id(99)) == []


async def test_the_latest_row_of_a_recording_wins(store: Store) -> None:
    ready = recording(1, "ready", duration=7.5, size=1234, sha256="ab" * 32)
    calls = await written(store, new_call(1), recording(1))
    assert await calls.open_recordings("e1") == []
    await written(store, closing(1))
    assert await calls.open_recordings("e1") == [recording(1)]
    assert await calls.open_recordings("e2") == []
    await written(store, recording(1), ready)
    assert await calls.open_recordings("e1") == []
    assert await calls.recording("account_1", recording(1).name) == ready
    assert await calls.recording(None, recording(1).name) == ready
    assert await calls.recording("account_2", recording(1).name) is None
    assert await calls.recording("account_1", "another.wav") is None


async def test_request_ids_are_ten_hex_digits_and_never_twice(store: Store) -> None:
    seen = [await store[1].next_request_id() for _ in range(2500)]
    assert len(set(seen)) == 2500
    assert all(len(found) == 10 and int(found, 16) >= 0 for found in seen)


async def test_an_idempotency_key_belongs_to_the_first(store: Store) -> None:
    calls = store[1]
    assert await calls.claim_key("account_1", "k", "print", {"request_id": "a"}) is None
    held = await calls.claim_key("account_1", "k", "other", {"request_id": "b"})
    assert held is not None
    assert (held.fingerprint, held.answer) == ("print", {"request_id": "a"})
    assert await calls.claim_key("account_2", "k", "other", {}) is None
    await calls.release_key("account_1", "k", {"request_id": "b"})
    assert await calls.claim_key("account_1", "k", "other", {}) is not None, "it was released by who did not have it"
    await calls.release_key("account_1", "k", {"request_id": "a"})
    assert await calls.claim_key("account_1", "k", "other", {}) is None


async def test_a_record_of_a_call_that_is_not_there_stops_nobody(store: Store) -> None:
    calls = await written(store, new_call(1), new_leg(7), closing(8), event(1, 1), closing(1))
    assert await calls.events(request_id(1)) == [event(1, 1).event]
    assert len(await calls.cdr_by_request("account_1", request_id(1)) or []) == 1


async def test_what_jsonb_can_not_hold_is_replaced_and_the_rest_is_kept(store: Store) -> None:
    data = {"text": "grüße \U0001f600 \\u0000", "list": [1, None, True, {"deep": 1.5}]}
    calls = await written(store, new_call(1), event(1, 1, Kind.CALL_STEP, None, data))
    found = await calls.events(request_id(1))
    assert found is not None
    assert found[0].data == data


async def test_a_journal_that_refuses_leaves_no_new_call_behind() -> None:
    memory = Memory()
    journal = MemoryJournal(memory)
    journal.append(new_call(1))
    await journal.committed()
    journal.refuses = True
    journal.append(new_call(2), new_leg(2), event(1, 1))
    with pytest.raises(StoreAway):
        await journal.committed()
    journal.refuses = False
    await journal.committed()
    assert set(memory.calls) == {request_id(1)}
    assert memory.calls[request_id(1)].timeline == [event(1, 1).event]
