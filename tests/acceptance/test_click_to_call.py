"""Two parties talk: who is called when, what each of them hears, and how it ends."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import at
from tests.acceptance.conversations import agrees_with_cel, agrees_with_its_record, click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER_CALLER_ID = "15168148720"
ENDINGS = {"customer": ("callee", "peer"), "agent": ("peer", "callee"), "api": ("engine", "engine")}
"""Who hangs up → ``hangup_by`` of (customer, agent)."""


async def _end_by_api(stack, request_id):
    await stack.api.wait_state(request_id, "talking")
    await asyncio.sleep(3)  # the length of the talk, not a wait for anything
    (await stack.api.hang_up(request_id)).expect(200)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def talks(stack):
    """One conversation for each way to end it, all at the same time."""
    customer, agent, api = await asyncio.gather(
        click_to_call(stack.api, stack, customer=numbers.ending("3005")),
        click_to_call(stack.api, stack, agent=numbers.ending("3006")),
        click_to_call(stack.api, stack, then=lambda rid: _end_by_api(stack, rid), caller_id=OTHER_CALLER_ID),
    )
    return {"customer": customer, "agent": agent, "api": api}


@pytest.fixture(params=ENDINGS)
def ended_by(request):
    return request.param


@pytest.fixture
def talk(talks, ended_by):
    return talks[ended_by]


async def test_each_hears_the_other(talk):
    agent, customer = talk.agent.samples, talk.customer.samples
    assert audio.tone_present(agent, numbers.tone_hz(talk.customer_number), min_seconds=1), talk.story
    assert audio.tone_present(customer, numbers.tone_hz(talk.agent_number), min_seconds=1), talk.story
    assert not audio.tone_present(customer, numbers.tone_hz(talk.customer_number)), "echo of itself"


async def test_the_agent_hears_a_prompt_first_and_the_customer_hears_none(talk):
    tone = numbers.tone_hz(talk.customer_number)
    before = talk.agent.samples[: _tone_begins(talk.agent.samples, tone)]
    assert audio.level_dbfs(before) > -45, "nothing before the customer's tone"
    assert not audio.tone_present(before, 440, 480), "ringback instead of a prompt"
    samples = talk.customer.samples
    begins = _tone_begins(samples, numbers.tone_hz(talk.agent_number))
    assert begins < len(samples), talk.story
    assert audio.is_silent(samples[: max(begins - audio.WINDOW, 0)]), "the customer hears something before the agent"


async def test_the_destination_is_dialled_when_the_agent_has_answered(talk):
    agent, customer = talk.leg("agent"), talk.leg("customer")
    assert at(agent["answered_at"]) <= at(customer["created_at"])
    assert [leg["role"] for leg in talk.call["legs"]] == ["agent", "customer"]
    first, second = (talk.cel[leg["channel_id"]] for leg in talk.call["legs"])
    assert first.answered_at <= second.created_at


async def test_when_one_hangs_up_both_end(talk, ended_by):
    legs = (talk.leg("customer"), talk.leg("agent"))
    assert tuple(leg["hangup_by"] for leg in legs) == ENDINGS[ended_by], talk.story
    assert [leg["state"] for leg in legs] == ["ended", "ended"]
    assert talk.call["state"] == "ended"
    assert talk.call["end_reason"] == "completed"


async def test_its_record_says_that_the_destination_answered(talk):
    assert (talk.cdr["dial_status"], talk.cdr["call_status"]) == ("ANSWER", "ANSWERED")
    assert talk.cdr["dialed_number"] == talk.customer_number
    assert 1 < talk.cdr["billsec"] < talk.cdr["call_duration"]
    agrees_with_its_record(talk)


async def test_legs_agree_with_asterisk(talk):
    agrees_with_cel(talk)


async def test_both_are_shown_the_caller_id(talk, ended_by):
    shown = OTHER_CALLER_ID if ended_by == "api" else "15168148111"
    assert talk.agent.caller == shown
    assert talk.customer.caller == shown
    assert talk.cdr["caller_id"] == shown


async def test_the_timeline_goes_from_creation_to_end(stack, talk):
    events = await stack.api.events(talk.request_id)
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("call.created", "call.ended")
    assert kinds.count("call.ended") == kinds.count("call.bridged") == 1
    assert kinds.index("call.bridged") > max(place for place, kind in enumerate(kinds) if kind == "leg.answered")
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


async def test_ended_calls_cannot_be_ended_again(stack, talk):
    (await stack.api.hang_up(talk.request_id)).expect(409)


async def test_calls_of_another_account_are_not_there(stack, talk):
    for reply in (
        await stack.api2.get(f"/api/calls/{talk.request_id}"),
        await stack.api2.get(f"/api/calls/{talk.request_id}/events"),
        await stack.api2.hang_up(talk.request_id),
        await stack.api2.post("/api/get_cdr_by_request_id", {"request_id": talk.request_id}),
    ):
        reply.expect(404)


async def test_a_live_call_is_listed_until_it_ends(stack):
    request_id = await stack.api.click2call(numbers.plain(), numbers.ending("3005"))
    assert request_id in [call["request_id"] for call in await stack.api.calls("live")]
    talking = await stack.api.wait_state(request_id, "talking")
    assert talking["step"] is not None
    assert {leg["state"] for leg in talking["legs"]} == {"up"}
    assert talking["answered_at"] == talking["legs"][1]["answered_at"]
    await stack.api.wait_ended(request_id)
    assert request_id not in [call["request_id"] for call in await stack.api.calls("live")]
    assert request_id in [call["request_id"] for call in await stack.api.calls("ended")]


async def test_a_call_lasts_as_long_as_its_account_allows(stack, hasty):
    await stack.trunkline("accounts", "limits", "account_2", "max_duration=8")
    try:
        done = await click_to_call(hasty, stack)
    finally:
        await stack.trunkline("accounts", "limits", "account_2", "max_duration=30")
    assert done.call["end_reason"] == "timeout", done.story
    assert 7 < done.cdr["call_duration"] < 28
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("ANSWER", "ANSWERED")
    agrees_with_cel(done)


async def test_keys_pressed_by_one_reach_the_other_and_the_record(stack):
    done = await click_to_call(stack.api, stack, agent=numbers.ending("3009"), customer=numbers.ending("4159"))
    assert done.customer.kept.pressed == "159"
    assert done.agent.kept.received_dtmf == "159", done.story
    assert done.cdr["dtmf_inputs"] == "159"


async def test_many_calls_at_once_do_not_mix(stack):
    """Ten pairs: each hears its own partner, and nobody else."""
    pairs = await asyncio.gather(*(click_to_call(stack.api, stack, customer=numbers.ending("3005")) for _ in range(10)))
    for done in pairs:
        assert audio.tone_present(done.customer.samples, numbers.tone_hz(done.agent_number), min_seconds=1), done.story
        agrees_with_its_record(done)
        agrees_with_cel(done)


@pytest.mark.long
async def test_when_one_hangs_up_both_end_within_200_ms(stack):
    """By Asterisk's own record, over twenty calls."""
    done = await asyncio.gather(*(click_to_call(stack.api, stack, customer=numbers.ending("3001")) for _ in range(20)))
    apart = []
    for talk in done:
        first, second = (talk.cel[leg["channel_id"]].ended_at for leg in talk.call["legs"])
        apart.append(abs((first - second).total_seconds()))
    assert max(apart) < 0.2, sorted(apart)


def _tone_begins(samples, hz):
    """Sample at which a tone begins to sound."""
    step = audio.WINDOW
    for start in range(0, len(samples) - step, step):
        if audio.tone_present(samples[start : start + step], hz, min_seconds=0.1):
            return start
    return len(samples)
