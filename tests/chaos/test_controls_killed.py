"""``kill -9`` of the engine while calls are held, consulted, transferred, parked: its successor knows, and goes on."""

import asyncio

import pytest

from engine.testkit.numbers import ending, plain
from engine.testkit.poll import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("no_leaks")]


async def control(stack, request_id, action, leg="", **fields):
    body = {"action": action, **({"leg": leg} if leg else {}), **fields}

    async def look():
        reply = await stack.api.post(f"/api/calls/{request_id}/control", body)
        return None if reply.status == 503 else reply.expect().response

    return await eventually(look, within=60, what=f"{action} done", tell=lambda: stack.api.story(request_id))


async def talking(stack):
    request_id = await stack.api.click2call(plain(), plain())
    await stack.api.wait_state(request_id, "talking")
    return request_id


async def transferring(stack, action, to):
    request_id = await talking(stack)
    await control(stack, request_id, action, "agent", to=to)
    return request_id


async def test_what_was_done_to_calls_outlives_the_engine(stack):
    held, parked, consulting, ringing, transferred = await asyncio.gather(
        talking(stack),
        talking(stack),
        transferring(stack, "attended_transfer", plain()),
        transferring(stack, "transfer", ending("2004")),
        transferring(stack, "transfer", plain()),
    )
    await control(stack, held, "hold", "customer")
    slot = (await control(stack, parked, "park", "customer"))["slot"]
    for request_id in (consulting, transferred):
        await stack.api.wait_leg(request_id, "target", "up")
    await stack.api.wait_state(transferred, "talking")
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)
    resumed = await control(stack, held, "resume", "customer")
    assert resumed["call"]["state"] == "talking"
    assert (await control(stack, consulting, "complete"))["call"]["state"] == "talking"
    await stack.api.wait_leg(ringing, "target", "up", within=60)
    assert slot not in ("", None)
    await control(stack, parked, "retrieve", to=plain())
    for request_id in (parked, ringing, transferred):
        await stack.api.wait_state(request_id, "talking", within=60)
    wanted = {held: 1, parked: 2, consulting: 2, ringing: 2, transferred: 2}
    for request_id, count in wanted.items():
        (await stack.api.hang_up(request_id)).expect()
        await stack.api.wait_ended(request_id)
        rows = await stack.api.cdrs(request_id)
        assert [row["dial_status"] for row in rows] == ["ANSWER"] * count, await stack.api.story(request_id)
        assert "lead to what is stored" in await stack.trunkline("calls", "replay", request_id)
