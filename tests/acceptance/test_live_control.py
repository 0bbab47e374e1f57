"""Commands into a live call: who hears what after each, and what is written down of it."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit.client import leg_of
from tests.acceptance.live_calls import TONES, has, hear, none_of, talk

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("no_leaks")]


@pytest_asyncio.fixture(loop_scope="session")
async def phones(stack):
    opened = [await stack.phone(extension, tone=tone) for extension, tone in TONES.items()]
    await asyncio.gather(*(phone.register() for phone in opened))
    yield opened
    await asyncio.gather(*(phone.close() for phone in opened))


async def test_hold_mute_and_hang_up_one_leg(stack, phones):
    one, two, *_ = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer

    held = await call.control("hold", "customer")
    assert held["call"]["state"] == "held"
    assert leg_of(held["call"], "customer")["state"] == "held"
    await call.control("hold", "customer", status=409)
    at_agent, at_customer = await hear(agent, customer)
    assert none_of(at_agent, customer.tone)
    assert none_of(at_customer, agent.tone)
    assert at_customer.any(), "no music"

    resumed = await call.control("resume", "customer")
    assert resumed["call"]["state"] == "talking"
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)

    await call.control("mute", "agent", direction="in")
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert none_of(at_customer, agent.tone)
    assert (await call.control("mute", "agent", direction="out"))["muted"] == "both"
    at_agent, at_customer = await hear(agent, customer)
    assert none_of(at_agent, customer.tone)
    assert none_of(at_customer, agent.tone)
    await call.control("unmute", "agent")
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)

    ended = await call.control("hangup", "customer")
    assert leg_of(ended["call"], "customer")["state"] == "ended"
    await asyncio.gather(agent.call.over(), customer.call.over())
    await stack.api.wait_ended(call.request_id)
    cdr = await stack.api.cdr(call.request_id)
    assert (cdr["dial_status"], cdr["call_status"]) == ("ANSWER", "ANSWERED")
    await call.control("hold", status=409)
