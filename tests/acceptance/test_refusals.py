"""Parties that can't be reached: what the record says, and what the agent is told."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import seconds_between
from tests.acceptance.conversations import agrees_with_cel, agrees_with_its_record, click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTCOMES = {
    # ending: (dial_status, call_status, end_reason, sip_code)
    "0486": ("BUSY", "BUSY", "busy", 486),
    "0603": ("CHANUNAVAIL", "FAILED", "rejected", 603),
    "0404": ("CHANUNAVAIL", "FAILED", "failed", 404),
    "0480": ("NOANSWER", "NO ANSWER", "no_answer", 480),
    "0503": ("CONGESTION", "FAILED", "failed", 503),
    "0408": ("CHANUNAVAIL", "FAILED", "failed", None),
    "0000": ("NOANSWER", "NO ANSWER", "no_answer", None),
}
"""CONTRACT §3 for the callees of §4; the last two end by the account's ring timeout."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_destination(hasty, stack):
    """The agent answers; nobody is there."""
    done = await asyncio.gather(*(click_to_call(hasty, stack, customer=numbers.ending(each)) for each in OUTCOMES))
    return dict(zip(OUTCOMES, done, strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_agent(hasty, stack):
    """The agent is not there."""
    done = await asyncio.gather(*(click_to_call(hasty, stack, agent=numbers.ending(each)) for each in OUTCOMES))
    return dict(zip(OUTCOMES, done, strict=True))


@pytest.fixture(params=OUTCOMES)
def ending(request):
    return request.param


async def test_the_record_says_what_became_of_the_destination(by_destination, ending):
    done = by_destination[ending]
    said = (done.cdr["dial_status"], done.cdr["call_status"], done.call["end_reason"], done.leg("customer")["sip_code"])
    assert said == OUTCOMES[ending], done.story
    assert done.cdr["dialed_number"] == done.customer_number
    assert done.cdr["billsec"] == 0.0
    assert done.leg("agent")["answered_at"] is not None
    agrees_with_its_record(done)
    agrees_with_cel(done)


async def test_the_agent_is_told_why_nobody_is_there(by_destination, ending):
    done = by_destination[ending]
    assert audio.speech_present(done.agent.samples, min_seconds=0.5), done.story
    assert done.leg("agent")["hangup_by"] == "engine", done.story


async def test_what_the_agent_is_told_fits_the_reason(stack, by_destination):
    said = {}
    for ending in ("0486", "0000", "0404", "0503"):
        events = await stack.api2.events(by_destination[ending].request_id)
        said[ending] = [event["data"]["media"] for event in events if event["type"] == "play.started"][-1]
    assert len({str(media) for media in said.values()}) == 4, said


async def test_the_record_says_what_became_of_the_agent(by_agent, ending):
    done = by_agent[ending]
    said = (done.cdr["dial_status"], done.cdr["call_status"], done.call["end_reason"], done.leg("agent")["sip_code"])
    assert said == OUTCOMES[ending], done.story
    assert done.cdr["dialed_number"] == done.agent_number
    assert done.cdr["billsec"] == 0.0
    agrees_with_its_record(done)
    agrees_with_cel(done)


async def test_without_an_agent_the_destination_is_never_called(stack, by_agent, ending):
    done = by_agent[ending]
    assert [leg["role"] for leg in done.call["legs"]] == ["agent"]
    assert stack.calls_of(done.customer_number) == []
    assert done.cdr["customer_number"] == done.customer_number


async def test_one_who_rang_for_ever_was_rung_as_long_as_the_account_says(by_destination, by_agent):
    for leg, patience in ((by_destination["0000"].leg("customer"), 6), (by_agent["0000"].leg("agent"), 5)):
        assert leg["ringing_at"] is not None
        assert leg["hangup_by"] == "engine"
        assert leg["answered_at"] is None
        rang = seconds_between(leg["created_at"], leg["ended_at"])
        assert patience - 0.2 < rang < patience + 20, "30 and 45 s without the account's word"


async def test_a_packet_eater_did_not_ring(by_destination):
    leg = by_destination["0408"].leg("customer")
    assert leg["ringing_at"] is None
    assert leg["sip_code"] is None
