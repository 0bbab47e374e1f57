"""Transfers that phones make by themselves, with REFER."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit.poll import eventually
from tests.acceptance.live_calls import (
    LISTEN,
    Party,
    Scenarios,
    has,
    hear,
    none_of,
    rings,
    talk,
    they_hear_each_other,
    until_heard,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
scenario = Scenarios()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(stack):
    return await scenario.run(stack)


@scenario()
async def a_blind_refer(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    assert await agent.call.refer("19005551234") == 202
    await eventually(lambda: _told(agent, 603), within=60, what="refusal", tell=lambda: _tell(stack, call, agent))
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)
    assert await agent.call.refer(three.extension) == 202
    target = Party(three, await three.next_call())
    await target.call.answered()
    await stack.api.wait_leg(call.request_id, "target", "up")
    at_customer, at_target = await hear(customer, target)
    assert has(at_customer, target.tone)
    assert has(at_target, customer.tone)
    await eventually(lambda: _told(agent, 200), within=60, what="success", tell=lambda: _tell(stack, call, agent))
    assert agent.call.notified[-1] == 200
    await agent.call.over()
    await target.call.hang_up()
    await stack.api.wait_ended(call.request_id)


async def _told(party, status):
    return status in party.call.notified


async def _tell(stack, call, party):
    return f"{party.call.notified}\n{await stack.api.story(call.request_id)}"


@scenario()
async def an_attended_refer_makes_one_of_two_calls(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    agent.call.hold()
    await stack.api.wait_leg(call.request_id, "agent", "held")
    (at_customer,) = await hear(customer)
    assert at_customer.any(), "no music"
    assert none_of(at_customer, agent.tone)
    second = await one.call(three.extension)
    target = Party(three, await three.next_call())
    await second.answered()
    at_agent, at_target = await hear(Party(one, second), target)
    assert has(at_agent, target.tone)
    assert has(at_target, agent.tone)
    assert await agent.call.refer_to(second) == 202
    await second.over()
    await agent.call.over()
    assert agent.call.notified[-1] == 200
    at_customer, at_target = await hear(customer, target)
    assert has(at_customer, target.tone)
    assert has(at_target, customer.tone)
    await target.call.hang_up()
    await customer.call.over()
    await stack.api.wait_ended(call.request_id)
    first, merged = await eventually(lambda: _rows(stack, call.request_id, 2), within=60, what="2 CDRs")
    assert (first["dialed_number"], merged["dialed_number"]) == (two.extension, three.extension)
    assert merged["billsec"] > LISTEN


@scenario()
async def an_attended_refer_while_the_target_rings_is_a_blind_one(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    agent.call.hold()
    await stack.api.wait_leg(call.request_id, "agent", "held")
    three.auto = None
    second = await one.call(three.extension)
    await three.next_call()
    await second.wait(180)
    assert await agent.call.refer_to(second) == 202
    await asyncio.gather(second.over(), agent.call.over())
    assert agent.call.notified[-1] == 200
    incoming = await three.next_call()
    await until_heard(customer, rings)
    incoming.accept()
    target = Party(three, incoming)
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(customer, target)
    await target.call.hang_up()
    await customer.call.over()
    await stack.api.wait_ended(call.request_id)
    first, moved = await eventually(lambda: _rows(stack, call.request_id, 2), within=60, what="2 CDRs")
    assert (first["dialed_number"], first["dial_status"]) == (two.extension, "ANSWER")
    assert (moved["dialed_number"], moved["dial_status"]) == (three.extension, "ANSWER")
    assert moved["billsec"] > LISTEN


async def _rows(stack, request_id, count):
    rows = await stack.api.cdrs(request_id)
    return rows if len(rows) == count else None


@pytest.mark.parametrize("name", scenario.all)
async def test_refer(outcomes, name):
    if outcomes[name] is not None:
        raise outcomes[name]
