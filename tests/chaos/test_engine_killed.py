"""``kill -9`` of the engine at every point of a call: nobody is dialled twice, every call ends once, as Asterisk saw it."""

import asyncio
import signal

import pytest

from engine.testkit.audio import tone_present
from engine.testkit.numbers import RINGS_FOR_EVER, ending, plain, tone_hz
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack
from tests.chaos import truth

pytestmark = pytest.mark.usefixtures("no_leaks")


async def killed(stack: Stack) -> None:
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)


async def leg_is(stack: Stack, request_id: str, role: str, *states: str) -> None:
    await stack.api.wait_leg(request_id, role, *states)


POINTS = {
    "attempt committed": lambda stack, rid: leg_is(stack, rid, "agent", "created", "dialing", "ringing"),
    "originate sent": lambda stack, rid: leg_is(stack, rid, "agent", "dialing", "ringing"),
    "agent ringing": lambda stack, rid: leg_is(stack, rid, "agent", "ringing"),
    "agent answered": lambda stack, rid: leg_is(stack, rid, "agent", "up"),
    "destination ringing": lambda stack, rid: leg_is(stack, rid, "customer", "ringing"),
}


@pytest.mark.parametrize("point", POINTS)
async def test_a_call_that_was_not_bridged_goes_on_to_its_destination(stack, point):
    request_id = await stack.api.click2call(plain(), ending("2002"))
    await POINTS[point](stack, request_id)
    await killed(stack)
    await stack.api.wait_state(request_id, "talking")
    await stack.api.hang_up(request_id)
    (call,) = await truth.all_hold(stack, [request_id])
    assert [leg["role"] for leg in call["legs"]] == ["agent", "customer"]
    assert call["end_reason"] == "completed"


async def test_a_bridged_pair_keeps_talking_and_both_sides_are_recorded_to_the_end(stack):
    agent, customer = plain(), plain()
    request_id = await stack.api.click2call(agent, customer, recording_option="both")
    await stack.api.wait_state(request_id, "talking")
    await killed(stack)
    assert (await stack.api.call(request_id))["state"] == "talking"

    async def adopted() -> bool:
        return "call.adopted" in [event["type"] for event in await stack.api.events(request_id)]

    await eventually(adopted, within=60, what="adoption in the timeline")
    await stack.api.hang_up(request_id)
    (call,) = await truth.all_hold(stack, [request_id])
    heard = await stack.callee(agent)
    assert tone_present(heard.samples, tone_hz(customer), min_seconds=heard.talked * 0.5)
    recording = await stack.api.recording(call["recording_name"])
    assert recording.status == 200


async def test_a_party_that_hangs_up_while_no_engine_runs_ends_the_call(stack):
    request_id = await stack.api.click2call(plain(), ending("3005"))
    await stack.api.wait_state(request_id, "talking")
    customer = next(
        leg["channel_id"] for leg in (await stack.api.call(request_id))["legs"] if leg["role"] == "customer"
    )
    pid = stack.kill("engine", signal.SIGSTOP)
    await stack.ended_channels(customer)
    stack.kill("engine")
    await stack.wait_ready(but=pid)
    (call,) = await truth.all_hold(stack, [request_id])
    assert call["end_reason"] == "completed"


async def test_a_call_that_is_being_hung_up_ends_once(stack):
    request_id = await stack.api.click2call(plain(), ending("3005"))
    await stack.api.wait_state(request_id, "talking")
    await stack.api.hang_up(request_id)
    await killed(stack)
    await truth.all_hold(stack, [request_id])


async def test_a_ringing_call_can_still_be_cancelled_by_the_next_engine(stack):
    request_id = await stack.api.click2call(plain(), ending(RINGS_FOR_EVER))
    await stack.api.wait_leg(request_id, "customer", "ringing")
    await killed(stack)
    (await stack.api.hang_up(request_id)).expect(200)
    (call,) = await truth.all_hold(stack, [request_id])
    assert call["end_reason"] == "cancelled"


async def test_forty_calls_in_every_phase_and_one_kill(stack):
    """Calls begin every 50 ms, so that the kill finds some of them in each of the windows between two steps."""
    wanted = [ending("2001") if n % 3 else ending("3001") for n in range(40)]
    placed = []
    for number in wanted:
        placed.append(asyncio.create_task(stack.api.click2call(plain(), number)))
        await asyncio.sleep(0.05)
    request_ids = list(await asyncio.gather(*placed))
    await killed(stack)

    async def all_over() -> bool:
        live = {call["request_id"]: call for call in await stack.api.calls()}
        for request_id in set(live) & set(request_ids):
            if live[request_id]["state"] == "talking":
                await stack.api.hang_up(request_id)
        return not set(live) & set(request_ids)

    await eventually(all_over, within=120, what="end of all calls", every=0.2)
    calls = await truth.all_hold(stack, request_ids)
    assert {call["end_reason"] for call in calls} <= {"completed", "engine_restart"}
