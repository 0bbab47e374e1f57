"""modify_call as the document has it: by channel name, also with the blanks of its samples."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from engine.testkit.poll import eventually
from tests.acceptance.live_calls import LISTEN, Party, Scenarios, has, hear, none_of, talk

pytestmark = pytest.mark.asyncio(loop_scope="session")
scenario = Scenarios()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(stack):
    return await scenario.run(stack)


async def modify(api, channel, kind, to=None, status=200):
    body = {"channel": channel, "modify_type": kind, **({"transfer_to": to} if to is not None else {})}
    return (await api.post("/api/modify_call", body)).expect(status).response


async def channel(call, role):
    """The channel's name, from the list of live calls, with the blank that the document's samples have."""
    live = {each["request_id"]: each for each in await call.api.calls()}
    return f" {leg_of(live[call.request_id], role)['channel']}"


async def rows(call, count):
    async def look():
        found = await call.api.cdrs(call.request_id)
        return found if len(found) == count else None

    return await eventually(look, within=60, what=f"{count} CDRs", tell=lambda: call.api.story(call.request_id))


@scenario()
async def type_0_moves_the_peer_of_the_channel(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    answer = await modify(stack.api, await channel(call, "agent"), "0", f" {three.extension} ")
    assert answer == {"message": "blind transferred successfully", "success": "true"}
    await call.agent.call.over()
    target = Party(three, await three.next_call())
    await target.call.answered()
    await stack.api.wait_leg(call.request_id, "target", "up")
    at_customer, at_target = await hear(call.customer, target)
    assert has(at_customer, target.tone)
    assert has(at_target, call.customer.tone)
    await target.call.hang_up()
    first, second = await rows(call, 2)
    assert [row["dialed_number"] for row in (first, second)] == [two.extension, three.extension]
    assert second["billsec"] > LISTEN


@scenario()
async def type_0_to_an_external_number(stack, phones):
    one, two, _ = phones
    number = numbers.ending("3001")
    call = await talk(stack.api, one, two)
    await modify(stack.api, await channel(call, "customer"), 0, number)
    await call.customer.call.over()
    callee = await stack.callee(number, within=60)
    assert audio.tone_present(callee.samples, call.agent.tone, min_seconds=0.5)
    _, second = await rows(call, 2)
    assert (second["agent_number"], second["customer_number"], second["dialed_number"]) == (
        one.extension,
        number,
        number,
    )


@scenario()
async def type_1_lets_the_other_one_talk_to_the_target_first(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    answer = await modify(stack.api, await channel(call, "customer"), "1", three.extension)
    assert answer == {"message": "attended transferred successfully", "success": "true"}
    target = Party(three, await three.next_call())
    await target.call.answered()
    await stack.api.wait_leg(call.request_id, "target", "up")
    at_agent, at_customer, at_target = await hear(call.agent, call.customer, target)
    assert has(at_agent, target.tone)
    assert has(at_target, call.agent.tone)
    assert none_of(at_customer, call.agent.tone, target.tone)
    await call.agent.call.hang_up()
    await stack.api.wait_state(call.request_id, "talking")
    at_customer, at_target = await hear(call.customer, target)
    assert has(at_customer, target.tone)
    assert has(at_target, call.customer.tone)
    await call.customer.call.hang_up()
    await rows(call, 2)


@scenario()
async def type_3_records_both_and_type_2_hangs_up(stack, phones):
    one, two, _ = phones
    call = await talk(stack.api, one, two)
    answer = await modify(stack.api, await channel(call, "agent"), "3")
    name = answer.pop("recording_name")
    assert answer == {"message": "recording started successfully", "success": "true"}
    await asyncio.sleep(2)  # the length of the talk
    assert (await modify(stack.api, await channel(call, "agent"), "3"))["recording_name"] == name
    known = await channel(call, "customer")
    answer = await modify(stack.api, known, "2", "")
    assert answer == {"message": "hangup successfully", "success": "true"}
    await asyncio.gather(call.agent.call.over(), call.customer.call.over())
    (row,) = await rows(call, 1)
    assert row["recording_name"] == name
    recording = (await stack.api.recording(name)).expect(200)
    left, right = audio.decode(recording.body)
    assert audio.tone_present(left, call.agent.tone, min_seconds=0.5)
    assert audio.tone_present(right, call.customer.tone, min_seconds=0.5)
    await modify(stack.api, known, "2", status=404)


@scenario()
async def what_it_does_not_take(stack, phones):
    one, two, _ = phones
    call = await talk(stack.api, one, two)
    agent = await channel(call, "agent")
    assert "channel" in (await modify(stack.api, "", "0", two.extension, status=422))["errors"]
    assert "modify_type" in (await modify(stack.api, agent, "4", two.extension, status=422))["errors"]
    assert "transfer_to" in (await modify(stack.api, agent, "0", status=422))["errors"]
    assert "transfer_to" in (await modify(stack.api, agent, "0", "12", status=422))["errors"]
    assert "transfer_to" in (await modify(stack.api, agent, "0", one.extension, status=422))["errors"]
    assert (await modify(stack.api, agent, "1", "19005551234", status=403))["errors"]["rule"] == "premium"
    await modify(stack.api, "PJSIP/101-0000ffff", "2", status=404)
    await modify(stack.api2, agent, "2", status=404)
    await call.agent.call.hang_up()
    await rows(call, 1)


@pytest.mark.parametrize("name", scenario.all)
async def test_modify_call(outcomes, name):
    if outcomes[name] is not None:
        raise outcomes[name]
