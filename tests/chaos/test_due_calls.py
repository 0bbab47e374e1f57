"""``kill -9`` of the engine while due calls wait, are claimed, and are under way: none is lost, none is dialled twice."""

import asyncio

import pytest

from engine.testkit.client import CALLER_ID
from engine.testkit.numbers import BUSY, ending, plain
from engine.testkit.poll import eventually
from tests.acceptance.test_callback import fields, wall
from tests.acceptance.test_instant_calls import call, over, placed, read
from tests.chaos import truth

pytestmark = pytest.mark.usefixtures("no_leaks")


async def killed(stack):
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)


async def test_a_callback_outlives_the_engine(stack):
    body = fields(scheduled_at=wall(5))
    request_id = (await stack.api.post("/api/callback", body)).expect(200).response["request_id"]
    await killed(stack)
    call = await stack.api.wait_state(request_id, "talking", within=60)
    assert [leg["number"] for leg in call["legs"]] == [body["agent_number"], body["destination_number"]]
    (await stack.api.hang_up(request_id)).expect(200)
    await truth.all_hold(stack, [request_id])


async def test_instant_calls_in_flight_are_dialled_once(stack):
    wanted = [ending("2001") if n % 3 == 0 else ending(BUSY) if n % 3 == 1 else plain() for n in range(30)]
    shared = {"MaxRetries": 2, "MinutesBetweenRetries": 0}
    made = await placed(stack, *(call(stack, NumberToCall=number, CallerId=CALLER_ID) for number in wanted), **shared)

    async def under_way() -> bool:
        return "Calling" in [(await read(stack, each["Id"]))["Status"] for each in made[:3]]

    await eventually(under_way, within=60, what="an instant call under way", every=0.01)
    await killed(stack)
    found = await asyncio.gather(*(over(stack, each["Id"], within=200) for each in made))
    await truth.nothing_left(stack)
    for number, result in zip(wanted, found, strict=True):
        tries = 1 + result["Retries"]
        assert len(stack.calls_of(number)) <= tries <= 3, (number, result)
        if number.endswith(BUSY):
            assert (result["Status"], tries) == ("Busy", 3), result
        else:
            assert result["Status"] == "Answered", result
            await stack.callee(number)
            assert len(stack.calls_of(number)) == 1, (number, result)


async def test_what_was_claimed_by_a_killed_engine_is_dialled_by_the_next(stack):
    """Due within the moments that an engine looks ahead, so that the kill finds some of them in its hands."""
    bodies = [fields(agent_number=ending(BUSY), scheduled_at=wall(8)) for _ in range(10)]
    replies = await asyncio.gather(*(stack.api.post("/api/callback", each) for each in bodies))
    request_ids = [each.expect(200).response["request_id"] for each in replies]

    async def due() -> bool:
        return len(await stack.api.calls("scheduled")) < len(request_ids)

    await eventually(due, within=60, what="the first of the callbacks", every=0.005)
    await killed(stack)
    calls = await truth.all_hold(stack, request_ids)
    assert {each["end_reason"] for each in calls} <= {"busy", "engine_restart"}
    assert [each["end_reason"] for each in calls].count("busy") > 0
