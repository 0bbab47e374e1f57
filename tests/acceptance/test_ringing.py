"""While the destination rings: what the agent hears, and what happens when somebody has had enough."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import seconds_between
from tests.acceptance.conversations import agrees_with_cel, agrees_with_its_record, click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

RINGBACK = (440, 480)
"""Hertz, of the United States."""


async def _delete_when(stack, request_id, role, state):
    await stack.api.wait_leg(request_id, role, state)
    (await stack.api.hang_up(request_id)).expect(200)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rung(stack):
    """One call for each thing that can happen, all at the same time."""
    ringing = numbers.RINGS_FOR_EVER
    api = stack.api
    calls = {
        "agent_leaves": click_to_call(api, stack, agent=numbers.ending("3005"), customer=numbers.ending(ringing)),
        "deleted": click_to_call(
            api,
            stack,
            customer=numbers.ending(ringing),
            then=lambda rid: _delete_when(stack, rid, "customer", "ringing"),
        ),
        "deleted_early": click_to_call(
            api, stack, agent=numbers.ending(ringing), then=lambda rid: _delete_when(stack, rid, "agent", "ringing")
        ),
        "early_media": click_to_call(
            api, stack, agent=numbers.ending("3012"), customer=numbers.ending(numbers.EARLY_MEDIA)
        ),
        "slow": click_to_call(api, stack, agent=numbers.ending("3012"), customer=numbers.ending("2006")),
    }
    return dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))


async def test_the_agent_hears_ringback_until_the_answer(rung):
    done = rung["slow"]
    heard = done.agent.samples
    assert audio.tone_present(heard, *RINGBACK, min_seconds=1), done.story
    talking = seconds_between(done.leg("agent")["answered_at"], done.leg("customer")["answered_at"])
    ringing, talk = heard[: int((talking - 1) * 8000)], heard[int((talking + 1.5) * 8000) :]
    assert not audio.tone_present(ringing, numbers.tone_hz(done.customer_number))
    assert audio.tone_present(talk, numbers.tone_hz(done.customer_number), min_seconds=1)
    assert not audio.tone_present(talk, *RINGBACK), "ringback goes on under the talk"


async def test_the_agent_hears_the_prompt_before_the_ringback(rung):
    heard = rung["slow"].agent.samples
    assert audio.speech_present(heard[: 2 * 8000])


async def test_the_agent_hears_the_carriers_early_media_and_then_no_ringback(rung):
    done = rung["early_media"]
    heard = done.agent.samples
    assert audio.tone_present(heard, numbers.early_tone_hz(done.customer_number), min_seconds=0.2), done.story
    assert not audio.tone_present(heard, *RINGBACK, min_seconds=0.3), done.story
    assert audio.tone_present(heard, numbers.tone_hz(done.customer_number), min_seconds=1)
    assert done.cdr["dial_status"] == "ANSWER"


async def test_an_agent_who_hangs_up_takes_the_destinations_ringing_away(rung):
    done = rung["agent_leaves"]
    agent, customer = done.leg("agent"), done.leg("customer")
    assert agent["hangup_by"] == "callee"
    assert customer["answered_at"] is None
    assert customer["ringing_at"] is not None
    assert done.customer.kept.answered is False
    assert abs(seconds_between(agent["ended_at"], customer["ended_at"])) < 20, done.story  # it would ring for 45
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("CANCEL", "NO ANSWER")
    assert done.call["end_reason"] == "cancelled"


async def test_a_deleted_call_stops_ringing(rung):
    done = rung["deleted"]
    assert done.leg("customer")["hangup_by"] == "engine"
    assert done.customer.kept.answered is False
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("CANCEL", "NO ANSWER")
    assert done.call["end_reason"] == "cancelled"


async def test_a_call_deleted_while_the_agent_rings_never_calls_the_destination(stack, rung):
    done = rung["deleted_early"]
    assert [leg["role"] for leg in done.call["legs"]] == ["agent"]
    assert stack.calls_of(done.customer_number) == []
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("CANCEL", "NO ANSWER")
    assert done.call["end_reason"] == "cancelled"
    assert done.cdr["dialed_number"] == done.agent_number


@pytest.mark.parametrize("name", ["agent_leaves", "deleted", "deleted_early", "early_media", "slow"])
async def test_records_agree(rung, name):
    agrees_with_its_record(rung[name])
    agrees_with_cel(rung[name])


async def test_a_call_deleted_at_once_leaves_nothing_ringing(stack):
    """At whatever moment of its beginning: each of these meets another one."""

    async def begin_and_end(pause):
        agent = numbers.ending(numbers.RINGS_FOR_EVER)
        request_id = await stack.api.click2call(agent, numbers.plain())
        await asyncio.sleep(pause)  # moments differ; none is waited for
        (await stack.api.hang_up(request_id)).expect(200)
        return await stack.api.wait_ended(request_id)

    ended = await asyncio.gather(*(begin_and_end(0.001 * pause) for pause in range(12)))
    assert {call["end_reason"] for call in ended} == {"cancelled"}
    assert not any(call["reconciled"] for call in ended)
    await stack.ari.quiet()
