"""CDRs as the cpaas document's samples show them, field by field and type by type; and how they are found."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import pytest_asyncio

from engine.testkit import numbers
from engine.testkit.client import CALLER_ID, at, new_key
from tests.acceptance.conversations import click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAMPLE = {"account_id": "ACvjfnvjnfs", "agent_number": "91800068XXXX", "answer": "Tue, 04 Jul 2023 05:31:42 GMT",
          "billsec": 8.55722, "call_date": "Tue, 04 Jul 2023 05:31:51 GMT", "call_direction": "outbound-api",
          "call_duration": 15.1364, "call_status": "ANSWERED", "caller_id": "15168148111",
          "customer_number": "91997927XXXX", "destination_context": "click2call", "dial_status": "ANSWER",
          "dialed_number": "91997927XXXX", "dtmf_inputs": "", "end": "Tue, 04 Jul 2023 05:31:51 GMT", "id": 328,
          "recording_name": "", "request_id": "91da7c083f", "uniqueid": "1688448695.804"}  # fmt: skip
"""Of "Get CDR By Request ID", as it stands there."""
HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
NEVER = "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(stack):
    """A conversation, and one that was refused; both calls by ten digits, which get the account's country."""
    return await asyncio.gather(
        click_to_call(stack.api, stack, agent=numbers.plain(), customer=numbers.ending("3001")),
        click_to_call(stack.api, stack, customer=numbers.ending(numbers.BUSY)),
    )


@pytest.fixture(params=["answered", "busy"])
def done(request, two):
    return two[0 if request.param == "answered" else 1]


async def test_the_answer_has_the_documents_envelope(stack, done):
    reply = await stack.api.post("/api/get_cdr_by_request_id", {"request_id": done.request_id})
    assert set(reply.json) == {"response"}
    assert set(reply.response) == {"message", "result", "success"}
    assert reply.response["message"] == "cdr found"
    assert reply.response["success"] == "true"
    assert reply.headers["Content-Type"].startswith("application/json")


async def test_every_field_has_the_samples_type(done):
    assert set(done.cdr) == set(SAMPLE)
    assert {key: type(value) for key, value in done.cdr.items()} == {key: type(value) for key, value in SAMPLE.items()}


async def test_dates_are_http_dates(done):
    for name in ("answer", "call_date", "end"):
        assert HTTP_DATE.fullmatch(done.cdr[name]), done.cdr[name]
        assert parsedate_to_datetime(done.cdr[name]).tzinfo is not None
    assert done.cdr["call_date"] == done.cdr["end"]


async def test_an_answered_one(two):
    cdr = two[0].cdr
    assert cdr["account_id"] == "account_1"
    assert cdr["agent_number"] == two[0].agent_number
    assert cdr["customer_number"] == cdr["dialed_number"] == two[0].customer_number
    assert (cdr["call_direction"], cdr["destination_context"]) == ("outbound-api", "click2call")
    assert (cdr["dial_status"], cdr["call_status"]) == ("ANSWER", "ANSWERED")
    assert cdr["answer"] != NEVER
    talked = two[0].cel[two[0].leg("customer")["channel_id"]]
    assert 0.9 < cdr["billsec"] < (talked.ended_at - talked.answered_at).total_seconds() + 0.1
    assert (
        cdr["billsec"] < cdr["call_duration"] < (talked.ended_at - at(two[0].call["created_at"])).total_seconds() + 0.1
    )


async def test_an_unanswered_one(two):
    cdr = two[1].cdr
    assert (cdr["dial_status"], cdr["call_status"]) == ("BUSY", "BUSY")
    assert cdr["answer"] == NEVER
    assert cdr["billsec"] == 0.0
    assert cdr["call_duration"] > 0


async def test_unknown_and_running(stack):
    (await stack.api.post("/api/get_cdr_by_request_id", {"request_id": "0123456789"})).expect(404)
    request_id = await stack.api.click2call(numbers.plain(), numbers.plain())
    reply = (await stack.api.post("/api/get_cdr_by_request_id", {"request_id": request_id})).expect(200)
    assert reply.response == {"message": "cdr not found", "result": [], "success": "true"}
    await stack.api.hang_up(request_id)
    await stack.api.wait_ended(request_id)


# -- by date -----------------------------------------------------------------------------------------------------------


async def _by_date(api, first, last, **more):
    body = {"start_call_date": first, "end_call_date": last, **more}
    return (await api.post("/api/get_cdr_by_date", body)).expect(200).response


async def test_by_date_covers_whole_days_and_both_ends(stack, two):
    yesterday, tomorrow = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-1, 1))
    rows = (await _by_date(stack.api, yesterday, tomorrow))["result"]
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids)
    assert {done.request_id for done in two} <= {row["request_id"] for row in rows}
    for done in two:
        assert next(row for row in rows if row["request_id"] == done.request_id) == done.cdr
        day = f"{parsedate_to_datetime(done.cdr['call_date']):%Y-%m-%d}"
        assert done.request_id in [row["request_id"] for row in (await _by_date(stack.api, day, day))["result"]]
    past = await _by_date(stack.api, "2023-06-13", "2023-06-17")
    assert past == {"message": "cdr not found", "result": [], "success": "true"}


async def test_count_and_offset_walk_through_all_of_them(stack, two):
    first, last = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-1, 1))
    everything = (await _by_date(stack.api, first, last))["result"]
    assert len(everything) >= 2
    pages = []
    for offset in range(len(everything)):
        page = (await _by_date(stack.api, first, last, record_count="1", offset=str(offset)))["result"]
        assert len(page) == 1
        pages += page
    assert pages == everything
    assert (await _by_date(stack.api, first, last, record_count=2, offset=0))["result"] == everything[:2]
    assert (await _by_date(stack.api, first, last, offset=len(everything)))["result"] == []


async def test_another_account_sees_none_of_them(stack, two):
    first, last = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-1, 1))
    rows = (await _by_date(stack.api2, first, last))["result"]
    assert not {done.request_id for done in two} & {row["request_id"] for row in rows}
    assert {row["account_id"] for row in rows} <= {"account_2"}


# -- asked twice -------------------------------------------------------------------------------------------------------


async def test_the_same_request_with_the_same_key_is_one_call(stack):
    agent, customer, key = numbers.plain(), numbers.plain(), new_key()
    body = {"agent_number": agent, "destination_number": customer, "caller_id": CALLER_ID}
    replies = await asyncio.gather(
        *(stack.api.post("/api/click2call", body, **{"Idempotency-Key": key}) for _ in range(3))
    )
    told = {reply.expect(200).response["request_id"] for reply in replies}
    assert len(told) == 1
    other = await stack.api.post("/api/click2call", {**body, "caller_id": "15168148720"}, **{"Idempotency-Key": key})
    assert other.expect(409).response["success"] == "false"
    foreign = await stack.api2.click2call(numbers.plain(), numbers.ending(numbers.BUSY), key=key)
    request_id = told.pop()
    assert foreign != request_id
    await stack.api.wait_state(request_id, "talking")
    await stack.api.hang_up(request_id)
    await asyncio.gather(stack.api.wait_ended(request_id), stack.api2.wait_ended(foreign))
    again = await stack.api.post("/api/click2call", body, **{"Idempotency-Key": key})
    assert again.expect(200).response["request_id"] == request_id
    await stack.callee(agent)
    await stack.callee(customer)
    assert len(stack.calls_of(agent)) == len(stack.calls_of(customer)) == 1


async def test_the_same_request_without_a_key_is_two_calls(stack):
    agent, customer = numbers.ending(numbers.BUSY), numbers.plain()
    first, second = [await stack.api.click2call(agent, customer) for _ in range(2)]
    assert first != second
    await asyncio.gather(stack.api.wait_ended(first), stack.api.wait_ended(second))
