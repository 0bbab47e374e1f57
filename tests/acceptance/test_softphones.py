"""Phones that register: they call each other, the network and are called from it, all through the engine."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from engine.testkit.phone import Phone
from engine.testkit.poll import eventually
from tests.acceptance.conversations import Finished, agrees_with_cel

pytestmark = pytest.mark.asyncio(loop_scope="session")

TONES = {"101": 620.0, "102": 930.0}
TALK = 2.0
"""Seconds that callees talk whose sound is looked at afterwards."""


async def heard(call, hz):
    """The phone has heard a good while of the tone."""

    async def look():
        return audio.tone_present(call.heard, hz, min_seconds=0.8)

    await eventually(look, within=60, what=f"{hz} Hz at the phone")


@pytest_asyncio.fixture(loop_scope="session")
async def phones(stack):
    one, two = [await stack.phone(extension, tone=tone) for extension, tone in TONES.items()]
    async with one, two:
        await asyncio.gather(one.register(), two.register())
        yield one, two


@pytest_asyncio.fixture(loop_scope="session")
async def call_of(stack):
    """``await call_of(number)``: the call that began in this test, whose caller has the number."""

    async def known():
        return [*await stack.api.calls("live"), *await stack.api.calls("ended")]

    before = {call["request_id"] for call in await known()}

    async def find(caller):
        async def look():
            fresh = [call for call in await known() if call["request_id"] not in before]
            return next((call for call in fresh if (leg_of(call, "caller") or {}).get("number") == caller), None)

        return await eventually(look, within=60, what=f"call from {caller}")

    return find


async def _ended(stack, request_id):
    call = await stack.api.wait_ended(request_id)
    cel = dict(await stack.ended_channels(*(leg["channel_id"] for leg in call["legs"] if leg["channel"])))
    return Finished("", "", request_id, call, await stack.api.cdr(request_id), cel=cel)


@pytest.mark.parametrize("who", ["caller", "target"])
async def test_two_phones_talk_until_one_hangs_up(stack, phones, call_of, who):
    one, two = phones
    out = await one.call("102")
    incoming = await two.next_call()
    assert incoming.number == "101"
    await out.answered()
    call = await call_of("101")
    await asyncio.gather(heard(out, TONES["102"]), heard(incoming, TONES["101"]))
    await (out if who == "caller" else incoming).hang_up()
    await asyncio.gather(out.over(), incoming.over())
    assert 180 in out.statuses
    assert audio.tone_present(out.heard, TONES["102"], min_seconds=0.8)
    assert audio.tone_present(incoming.heard, TONES["101"], min_seconds=0.8)
    done = await _ended(stack, call["request_id"])
    legs = (done.leg("caller"), done.leg("target"))
    assert tuple(leg["hangup_by"] for leg in legs) == (("caller", "peer") if who == "caller" else ("peer", "callee"))
    assert done.call["end_reason"] == "completed"
    assert (done.cdr["dial_status"], done.cdr["dialed_number"]) == ("ANSWER", "102")
    assert done.cdr["destination_context"] == "local_call"
    agrees_with_cel(done)


async def test_a_busy_phone_makes_the_caller_hear_busy(stack, phones, call_of):
    one, two = phones
    two.auto = 486
    out = await one.call("102")
    assert await out.over() == 486
    done = await _ended(stack, (await call_of("101"))["request_id"])
    assert (done.cdr["dial_status"], done.call["end_reason"]) == ("BUSY", "busy")
    agrees_with_cel(done)


async def test_a_phone_that_is_not_registered_cannot_be_called(stack, phones, call_of):
    one, _ = phones
    out = await one.call("105")
    assert await out.over() >= 400
    done = await _ended(stack, (await call_of("101"))["request_id"])
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("CHANUNAVAIL", "FAILED")


async def test_a_caller_who_gives_up_takes_the_ringing_away(stack, phones, call_of):
    one, two = phones
    two.auto = None
    out = await one.call("102")
    incoming = await two.next_call()
    await out.wait(180)
    call = await call_of("101")
    await out.hang_up()
    assert out.status == 487
    assert await incoming.over() == 487
    done = await _ended(stack, call["request_id"])
    assert (done.cdr["dial_status"], done.call["end_reason"]) == ("CANCEL", "cancelled")
    assert done.leg("caller")["hangup_by"] == "caller"
    agrees_with_cel(done)


async def test_a_phone_calls_the_network(stack, phones, call_of):
    one, _ = phones
    number = numbers.plain()
    out = await one.call(f"+{number}")
    await out.answered()
    call = await call_of("101")
    await heard(out, numbers.tone_hz(number))
    await asyncio.sleep(TALK)  # the length of the talk
    await out.hang_up()
    callee = await stack.callee(number)
    assert audio.tone_present(out.heard, numbers.tone_hz(number), min_seconds=0.8)
    assert audio.tone_present(callee.samples, TONES["101"], min_seconds=0.8)
    assert callee.caller in ("15168148111", "15168148720")
    done = await _ended(stack, call["request_id"])
    assert (done.cdr["dial_status"], done.cdr["dialed_number"]) == ("ANSWER", number)
    agrees_with_cel(done)


async def test_a_premium_number_is_refused_and_the_phone_is_told(stack, phones, call_of):
    one, _ = phones
    out = await one.call("19005551234")
    await out.over()
    assert audio.speech_present(out.heard)
    done = await _ended(stack, (await call_of("101"))["request_id"])
    assert done.call["end_reason"] == "gate"
    assert (done.cdr["dial_status"], done.cdr["call_status"]) == ("CANCEL", "FAILED")
    assert stack.calls_of("19005551234") == []


async def test_a_phone_is_the_agent_of_a_click_to_call(stack, phones):
    one, _ = phones
    customer = numbers.ending("3005")

    request_id = await stack.api.click2call("101", customer)
    incoming = await one.next_call()
    assert incoming.number == "15168148111"
    await stack.api.wait_ended(request_id)
    await incoming.over()
    assert audio.tone_present(incoming.heard, numbers.tone_hz(customer), min_seconds=1)
    callee = await stack.callee(customer)
    assert audio.tone_present(callee.samples, TONES["101"], min_seconds=1)


async def test_a_wrong_password_neither_registers_nor_calls(stack):
    async with await Phone.open(stack.json["asterisk"]["sip"], "101", "wrong") as thief:
        with pytest.raises(AssertionError, match="401"):
            await thief.register()
        out = await thief.call("102")
        assert await out.over() == 401


# -- from the network --------------------------------------------------------------------------------------------------


async def test_a_caller_to_a_number_nobody_has_is_told_so(stack, call_of):
    caller = numbers.plain()
    stack.dial_in("15550009999", caller)
    call = await call_of(caller)
    assert call["direction"] == "inbound"
    callee = await stack.callee(caller)
    assert audio.speech_present(callee.samples, min_seconds=1)
    done = await _ended(stack, call["request_id"])
    assert done.cdr["call_direction"] == "inbound"
    agrees_with_cel(done)


async def test_a_routed_number_rings_a_phone(stack, phones, call_of):
    one, _ = phones
    called = "15550001010"
    await stack.trunkline("routes", "add", "--inbound", called, "extension", "101")

    async def led():
        caller = numbers.plain()
        stack.dial_in(called, caller)
        call = await call_of(caller)
        if call["flow"] == "unknown_number":
            await stack.api.wait_ended(call["request_id"])
            return None
        return caller

    caller = await eventually(led, within=60, what="a call led by the route, which the engine hears of a moment later")
    incoming = await one.next_call()
    assert incoming.number == caller
    await incoming.answered()
    await heard(incoming, numbers.tone_hz(caller))
    await asyncio.sleep(TALK)  # the length of the talk
    await incoming.hang_up()
    callee = await stack.callee(caller)
    assert audio.tone_present(callee.samples, TONES["101"], min_seconds=0.8)
    assert audio.tone_present(incoming.heard, numbers.tone_hz(caller), min_seconds=0.8)
    done = await _ended(stack, (await call_of(caller))["request_id"])
    assert (done.cdr["call_direction"], done.cdr["dial_status"]) == ("inbound", "ANSWER")
    assert done.cdr["customer_number"] == caller
    agrees_with_cel(done)
