"""Call-backs: kept, changed, cancelled, and dialled when their time has come."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.testkit.client import CALLER_ID, at
from engine.testkit.numbers import BUSY, RINGS_FOR_EVER, ending, plain

pytestmark = pytest.mark.usefixtures("no_leaks")

KOLKATA = "Asia/Kolkata"


def wall(seconds: float, zone: str = KOLKATA) -> str:
    """What clocks of the zone show in so many seconds, rounded up."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds + 0.999)
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def fields(**changes):
    return {
        "agent_number": plain(),
        "caller_id": CALLER_ID,
        "destination_number": plain(),
        "recording_option": "off",
        "time_zone": KOLKATA,
        "scheduled_at": wall(3600),
    } | changes


async def made(stack, **changes):
    answer = (await stack.api.post("/api/callback", fields(**changes))).expect(200).response
    assert answer.keys() == {"request_id", "success"}
    assert answer["success"] == "true"
    return answer["request_id"]


async def patched(stack, request_id, status=200, **changes):
    return (await stack.api.request("PATCH", "/api/callback", body={"request_id": request_id, **changes})).expect(
        status
    )


async def deleted(stack, request_id, status=200):
    return (await stack.api.request("DELETE", "/api/callback", body={"request_id": request_id})).expect(status)


async def scheduled(stack):
    return {call["request_id"]: call for call in await stack.api.calls("scheduled")}


async def test_a_callback_is_dialled_at_its_time_and_not_before(stack):
    agent, customer = plain(), plain()
    when = wall(5)
    request_id = await made(stack, agent_number=agent, destination_number=customer, scheduled_at=when)
    waiting = (await scheduled(stack))[request_id]
    assert (waiting["state"], waiting["flow"], waiting["legs"]) == ("scheduled", "callback", [])
    call = await stack.api.wait_state(request_id, "talking")
    due = datetime.strptime(when, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(KOLKATA))
    assert at(call["legs"][0]["created_at"]) >= due
    assert request_id not in await scheduled(stack)
    assert b'trunkline_due_placed_total{kind="callback"}' in (await stack.api.get("/metrics")).body
    assert [leg["number"] for leg in call["legs"]] == [agent, customer]
    await deleted(stack, request_id, 409)
    await patched(stack, request_id, 409, agent_number=plain())
    (await stack.api.hang_up(request_id)).expect(200)
    ended = await stack.api.wait_ended(request_id)
    assert ended["end_reason"] == "completed"
    row = await stack.api.cdr(request_id)
    assert (row["destination_context"], row["call_direction"]) == ("callback", "outbound-api")
    assert (row["agent_number"], row["customer_number"], row["dial_status"]) == (agent, customer, "ANSWER")
    assert row["call_duration"] <= (at(ended["ended_at"]) - at(ended["legs"][0]["created_at"])).total_seconds() + 0.05
    await stack.trunkline("calls", "replay", request_id)


async def test_a_changed_callback_is_dialled_as_it_was_changed(stack):
    request_id = await made(stack)
    agent, customer = plain(), ending(BUSY)
    answer = await patched(
        stack, request_id, agent_number=agent, destination_number=customer, caller_id=CALLER_ID, recording_option="on",
        scheduled_at=wall(4),
    )  # fmt: skip
    assert answer.response == {
        "message": "callback data modified successfully",
        "request_id": request_id,
        "success": "true",
    }
    call = await stack.api.wait_ended(request_id)
    assert [leg["number"] for leg in call["legs"]] == [agent, customer]
    assert (await stack.api.cdr(request_id))["dial_status"] == "BUSY"


async def test_a_deleted_callback_is_cancelled(stack):
    agent = plain()
    request_id = await made(stack, agent_number=agent, scheduled_at=wall(60))
    answer = await deleted(stack, request_id)
    assert answer.response == {
        "message": "callback request deleted successfully",
        "request_id": request_id,
        "success": "true",
    }
    call = await stack.api.call(request_id)
    assert (call["state"], call["end_reason"], call["legs"]) == ("ended", "cancelled", [])
    assert await stack.api.cdrs(request_id) == []
    await deleted(stack, request_id, 409)
    await patched(stack, request_id, 409, scheduled_at=wall(60))


async def test_other_ways_to_cancel_one(stack):
    by_query, by_call, by_command = [await made(stack) for _ in range(3)]
    (await stack.api.request("DELETE", f"/api/callback?request_id={by_query}")).expect(200)
    (await stack.api.hang_up(by_call)).expect(200)
    assert "cancelled" in await stack.trunkline("calls", "hangup", by_command)
    await stack.trunkline("calls", "replay", by_command)
    for request_id in (by_query, by_call, by_command):
        assert (await stack.api.call(request_id))["end_reason"] == "cancelled"
        assert request_id not in await scheduled(stack)
    (await stack.api.hang_up(by_call)).expect(409)


async def test_one_that_is_being_dialled_can_not_be_changed_but_ended(stack):
    request_id = await made(stack, agent_number=ending(RINGS_FOR_EVER), scheduled_at=wall(4))
    await stack.api.wait_leg(request_id, "agent", "ringing")
    reply = await deleted(stack, request_id, 409)
    assert "being dialled" in reply.response["message"]
    await patched(stack, request_id, 409, scheduled_at=wall(60))
    (await stack.api.hang_up(request_id)).expect(200)
    assert (await stack.api.wait_ended(request_id))["end_reason"] == "cancelled"


async def test_an_idempotency_key_makes_one_callback(stack):
    body = fields()
    first = (await stack.api.post("/api/callback", body, **{"Idempotency-Key": "callback-once"})).expect(200)
    again = (await stack.api.post("/api/callback", body, **{"Idempotency-Key": "callback-once"})).expect(200)
    assert first.response == again.response
    other = {**body, "recording_option": "on"}
    (await stack.api.post("/api/callback", other, **{"Idempotency-Key": "callback-once"})).expect(409)
    lane = f"account/{stack.json['account']}"
    assert lane in [each["lane"] for each in json.loads(await stack.trunkline("due", "--json"))["lanes"]]
    await deleted(stack, first.response["request_id"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scheduled_at": "2020-01-01 10:00:00"}, "scheduled_at"),
        ({"scheduled_at": "2027-12-1810:00:00"}, "scheduled_at"),
        ({"scheduled_at": "2027-02-30 10:00:00"}, "scheduled_at"),
        ({"scheduled_at": "2027-03-28 02:30:00", "time_zone": "Europe/Berlin"}, "scheduled_at"),
        ({"scheduled_at": "2027-10-31 02:30:00", "time_zone": "Europe/Berlin"}, "scheduled_at"),
        ({"scheduled_at": "9999-12-31 23:59:59"}, "scheduled_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"agent_number": "12"}, "agent_number"),
        ({"recording_option": "maybe"}, "recording_option"),
        ({"unknown": "x"}, "unknown"),
    ],
)
async def test_what_can_not_be_kept(stack, changes, field):
    reply = (await stack.api.post("/api/callback", fields(**changes))).expect(422)
    assert list(reply.response["errors"]) == [field]


async def test_zones_by_old_names_and_numbers_of_the_account(stack):
    request_id = await made(
        stack, time_zone="US/Eastern", agent_number="9979270001", scheduled_at=wall(60, "US/Eastern")
    )
    (await stack.api.post("/api/callback", fields(caller_id="15550001111"))).expect(403)
    await deleted(stack, "0123456789", 404)
    (await stack.api2.request("DELETE", "/api/callback", body={"request_id": request_id})).expect(404)
    (await stack.api2.request("PATCH", "/api/callback", body={"request_id": request_id})).expect(404)
    await patched(stack, request_id, 422, scheduled_at="2020-01-01 00:00:00")
    await patched(stack, request_id)
    await deleted(stack, request_id)
