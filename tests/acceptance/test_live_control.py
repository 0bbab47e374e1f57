"""Commands into a live call: who hears what after each, and what is written down of it.

Each scenario has three phones of its own; three scenarios go on at a time.
"""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio
from engine.testkit.client import at, leg_of
from engine.testkit.poll import eventually
from tests.acceptance.live_calls import (
    LISTEN,
    Party,
    Scenarios,
    Talk,
    ends_with_speech,
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
async def hold_mute_and_hang_up_one_leg(stack, phones):
    one, two, _three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer

    both = [stack.api.post(f"/api/calls/{call.request_id}/control", {"action": "hold"}) for _ in range(2)]
    assert sorted(reply.status for reply in await asyncio.gather(*both)) == [200, 409]
    await call.control("resume")
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
    await they_hear_each_other(agent, customer)

    await call.control("mute", "agent", direction="in")
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert none_of(at_customer, agent.tone)
    assert (await call.control("mute", "agent", direction="out"))["muted"] == "both"
    at_agent, at_customer = await hear(agent, customer)
    assert none_of(at_agent, customer.tone)
    assert none_of(at_customer, agent.tone)
    await call.control("unmute", "agent")
    await they_hear_each_other(agent, customer)

    ended = await call.control("hangup", "customer")
    assert leg_of(ended["call"], "customer")["state"] == "ended"
    await asyncio.gather(agent.call.over(), customer.call.over())
    await stack.api.wait_ended(call.request_id)
    cdr = await stack.api.cdr(call.request_id)
    assert (cdr["dial_status"], cdr["call_status"]) == ("ANSWER", "ANSWERED")
    await call.control("hold", status=409)


# -- transfers ---------------------------------------------------------------------------------------------------------


def agrees(cdr, *, dialed, status="ANSWER", agent=None, customer=None):
    assert (cdr["dialed_number"], cdr["dial_status"]) == (dialed, status), cdr
    assert agent in (None, cdr["agent_number"])
    assert customer in (None, cdr["customer_number"])


async def records(stack, call, count):
    """The CDRs of a call that ends, ascending; each agrees with what Asterisk wrote of the party that it is about."""
    ended = await stack.api.wait_ended(call.request_id)
    rows = await eventually(
        lambda: _rows(stack, call.request_id, count), within=60, what=f"{count} CDRs", tell=lambda: story(stack, call)
    )
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert {row["request_id"] for row in rows} == {call.request_id}
    placed = [leg for leg in ended["legs"] if leg["channel"]]
    cel = dict(await stack.ended_channels(*(leg["channel_id"] for leg in placed)))
    for leg in placed:
        history = cel[leg["channel_id"]]
        assert (leg["answered_at"] is None) == (history.answered_at is None)
        assert abs((at(leg["ended_at"]) - history.ended_at).total_seconds()) < 1
    for row in rows[1:]:
        history = cel[row["uniqueid"]]
        talked = (history.ended_at - history.answered_at).total_seconds() if history.answered_at else 0.0
        assert row["billsec"] <= talked + 1, (row, history)
    return rows


async def _rows(stack, request_id, count):
    rows = await stack.api.cdrs(request_id)
    return rows if len(rows) == count else None


async def story(stack, call):
    return await stack.api.story(call.request_id)


async def joined(call, phone):
    """The phone's next call, once it talks in ``call``."""
    party = Party(phone, await phone.next_call())
    await party.call.answered()
    await call.api.wait_state(call.request_id, "talking")
    return party


@scenario()
async def a_blind_transfer_moves_the_peer(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two, recording_option="on")
    agent, customer = call.agent, call.customer
    three.auto = None
    moved = await call.control("transfer", "agent", to=three.extension)
    assert leg_of(moved["call"], "target")["leg_id"] == moved["leg_id"]
    await agent.call.over()
    incoming = await three.next_call()
    await until_heard(customer, rings)
    incoming.accept()
    await stack.api.wait_state(call.request_id, "talking")
    target = Party(three, incoming)
    await they_hear_each_other(customer, target)
    await customer.call.hang_up()
    await incoming.over()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension, agent=one.extension, customer=two.extension)
    agrees(second, dialed=three.extension, agent=three.extension, customer=two.extension)
    assert first["billsec"] > 0
    assert second["billsec"] > LISTEN
    assert first["recording_name"] != second["recording_name"]
    left, right = audio.decode((await stack.api.recording(second["recording_name"])).expect(200).body)
    assert audio.tone_present(left, target.tone)
    assert audio.tone_present(right, customer.tone)


@scenario()
async def a_blind_transfer_to_who_is_busy_tells_so(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    three.auto = 486
    await call.control("transfer", "agent", to=three.extension)
    await asyncio.gather(call.agent.call.over(), call.customer.call.over())
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, status="BUSY")
    assert (await call.now())["end_reason"] == "completed"


@scenario()
async def what_cannot_be_transferred_is_refused(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    assert "to" in (await call.control("transfer", "agent", to=one.extension, status=422))["errors"]
    assert "to" in (await call.control("transfer", "agent", to=two.extension, status=422))["errors"]
    assert "to" in (await call.control("transfer", "agent", status=422))["errors"]
    assert (await call.control("transfer", "agent", to="19005551234", status=403))["errors"]["rule"] == "premium"
    assert (await call.control("transfer", "agent", to="911", status=403))["errors"]["rule"] == "emergency"
    await call.control("complete", status=409)
    await call.control("transfer", "target", to=three.extension, status=404)
    reply = await stack.api2.post(f"/api/calls/{call.request_id}/control", {"action": "hold"})
    assert reply.status == 404
    await they_hear_each_other(call.agent, call.customer)
    await call.agent.call.hang_up()
    await records(stack, call, 1)


async def consult(stack, call, target, auto=0.1):
    """The agent consults ``target``; the three parties."""
    target.auto = auto
    await call.control("attended_transfer", "agent", to=target.extension)
    third = Party(target, await target.next_call())
    if auto is not None:
        await third.call.answered()
        await stack.api.wait_leg(call.request_id, "target", "up")
    return call.agent, call.customer, third


@scenario()
async def attended_transfer_swapped_and_completed(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer, target = await consult(stack, call, three)
    at_agent, at_customer, at_target = await hear(agent, customer, target)
    assert has(at_agent, target.tone)
    assert has(at_target, agent.tone)
    assert none_of(at_customer, agent.tone, target.tone)
    assert at_customer.any(), "no music"
    assert (await call.now())["state"] == "held"

    await call.control("swap")
    at_agent, at_customer, at_target = await hear(agent, customer, target)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)
    assert none_of(at_target, agent.tone, customer.tone)

    await call.control("complete")
    await agent.call.over()
    await they_hear_each_other(customer, target)
    assert (await call.now())["state"] == "talking"
    await target.call.hang_up()
    await customer.call.over()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension, agent=one.extension, customer=two.extension)
    agrees(second, dialed=three.extension, agent=three.extension, customer=two.extension)


@scenario("busy", "cancel", "star", "target hangs up")
async def attended_transfer_that_comes_back(stack, phones, how):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    if how == "busy":
        three.auto = 486
        begun = await call.control("attended_transfer", "agent", to=three.extension)
        assert begun["call"]["state"] == "held"
        await eventually(lambda: _failed(stack, call), within=60, what="a transfer that failed")
    else:
        *_, target = await consult(stack, call, three)
        if how == "cancel":
            await call.control("cancel")
        elif how == "star":
            agent.call.press("*")
        else:
            await target.call.hang_up()
        await target.call.over()
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(agent, customer)
    await customer.call.hang_up()
    await agent.call.over()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, status="BUSY" if how == "busy" else "ANSWER")


@scenario()
async def attended_transfer_whose_transferer_leaves_while_it_rings(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer, target = await consult(stack, call, three, auto=None)
    await until_heard(agent, rings)
    (at_customer,) = await hear(customer)
    assert not rings(at_customer), "it hears the target ring, and no music"
    await agent.call.hang_up()
    await eventually(lambda: _free(stack, call), within=60, what="transferee off hold")
    await until_heard(customer, rings)
    target.call.accept()
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(customer, target)
    await customer.call.hang_up()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension)


async def _failed(stack, call):
    return "call.transfer_failed" in [event["type"] for event in await stack.api.events(call.request_id)]


async def _free(stack, call):
    return leg_of(await stack.api.call(call.request_id), "customer")["state"] == "up"


@scenario("agent", "customer")
async def attended_transfer_ends_with_who_hangs_up(stack, phones, how):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer, target = await consult(stack, call, three)
    if how == "agent":
        await agent.call.hang_up()
        await stack.api.wait_state(call.request_id, "talking")
        await they_hear_each_other(customer, target)
        await target.call.hang_up()
    else:
        await customer.call.hang_up()
    await asyncio.gather(*(party.call.over() for party in (agent, customer, target)))
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension)


# -- park and retrieve -------------------------------------------------------------------------------------------------


@scenario()
async def park_and_retrieve_by_number(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    customer = call.customer
    parked = await call.control("park", "customer", slot=7)
    assert parked["slot"] == "7"
    assert leg_of(parked["call"], "customer")["state"] == "held"
    await call.agent.call.over()
    (at_customer,) = await hear(customer)
    assert at_customer.any(), "no music"
    await call.control("park", status=409)
    await call.control("resume", status=409)
    three.auto = 486
    await call.control("retrieve", to=three.extension)
    await eventually(lambda: _failed(stack, call), within=60, what="a retrieval that failed")
    three.auto = 0.1
    await call.control("retrieve", to=three.extension)
    await three.next_call()
    target = Party(three, await three.next_call())
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(customer, target)
    await call.control("retrieve", to=one.extension, status=409)
    await customer.call.hang_up()
    first, second, third = await records(stack, call, 3)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, status="BUSY")
    agrees(third, dialed=three.extension, customer=two.extension)


@scenario()
async def a_parked_party_is_transferred(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    customer = call.customer
    await call.control("park")
    await call.agent.call.over()
    await call.control("transfer", "customer", to=three.extension)
    target = await joined(call, three)
    await they_hear_each_other(customer, target)
    await call.control("park", "customer")
    await target.call.over()
    await call.control("retrieve")
    again = await three.next_call()
    await again.answered()
    await stack.api.wait_state(call.request_id, "talking")
    await customer.call.hang_up()
    first, second, third = await records(stack, call, 3)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, customer=two.extension)
    agrees(third, dialed=three.extension, customer=two.extension)


@scenario()
async def a_phone_parks_and_another_retrieves_by_code(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    agent.call.press("*70")
    await agent.call.over()
    assert ends_with_speech(agent.call.heard), "nobody said the slot"
    event = next(each for each in await stack.api.events(call.request_id) if each["type"] == "call.parked")
    out = await three.call(f"*71{event['data']['slot']}")
    await out.answered()
    target = Party(three, out)
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(customer, target)
    await out.hang_up()
    await customer.call.over()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, customer=two.extension)


# -- by keys -----------------------------------------------------------------------------------------------------------


@scenario("##{}#", "*2{}#")
async def a_phone_transfers_by_keys(stack, phones, how):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    agent.call.press(how.format(three.extension))
    target = Party(three, await three.next_call())
    await target.call.answered()
    if how.startswith("*2"):
        await they_hear_each_other(agent, target)
        await agent.call.hang_up()
    await agent.call.over()
    await stack.api.wait_state(call.request_id, "talking")
    await they_hear_each_other(customer, target)
    await customer.call.hang_up()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, customer=two.extension)


# -- supervisors, sound, menus ------------------------------------------------------------------------------------------


@scenario()
async def spy_whisper_barge(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    await call.control("whisper", status=422)
    await call.control("spy", "agent", to=three.extension)
    boss = Party(three, await three.next_call())
    await boss.call.answered()
    await eventually(lambda: _monitored(stack, call), within=60, what="a monitor")
    at_agent, at_customer, at_boss = await hear(agent, customer, boss)
    assert has(at_boss, agent.tone, customer.tone)
    assert has(at_agent, customer.tone)
    assert none_of(at_agent, boss.tone)
    assert none_of(at_customer, boss.tone)
    await call.control("whisper")
    at_agent, at_customer, at_boss = await hear(agent, customer, boss)
    assert has(at_boss, agent.tone, customer.tone)
    assert has(at_agent, customer.tone, boss.tone)
    assert none_of(at_customer, boss.tone)
    await call.control("barge")
    at_agent, at_customer, at_boss = await hear(agent, customer, boss)
    assert has(at_agent, customer.tone, boss.tone)
    assert has(at_customer, agent.tone, boss.tone)
    await boss.call.hang_up()
    await they_hear_each_other(agent, customer)
    await agent.call.hang_up()
    await customer.call.over()
    await records(stack, call, 1)


async def _monitored(stack, call):
    return "call.monitored" in [event["type"] for event in await stack.api.events(call.request_id)]


@scenario()
async def sound_into_a_call_and_its_recording(stack, phones):
    one, two, _three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    name = (await call.control("record_start"))["recording_name"]
    await call.control("record_pause")  # at once: what was answered is so
    await call.control("record_resume")
    await call.control("record_start", status=409)
    await hear()
    await call.control("record_pause")
    await call.control("record_pause", status=409)
    await hear()
    await call.control("record_resume")
    await hear()
    await call.control("record_stop")
    await call.control("say", "customer", text="One moment please, somebody will be with you")
    begun = len(agent.call.heard)
    await until_heard(customer, audio.speech_present)
    assert not audio.speech_present(agent.call.heard[begun:])
    await call.control("play", "agent", media="sound:no-such-sound")
    await call.control("play", media="sound:beep")
    await call.control("play", "agent", media="no-such-sound", status=422)
    await call.control("play", status=422)
    await call.control("dtmf", "customer", digits="12#")
    await eventually(lambda: _pressed(customer, "12#"), within=60, what="keys")
    assert agent.call.sound.pressed == ""
    await agent.call.hang_up()
    await customer.call.over()
    (row,) = await records(stack, call, 1)
    assert row["recording_name"] == name
    sound = audio.decode((await stack.api.recording(name)).expect(200).body)
    left, right = sound
    assert audio.tone_present(left, agent.tone, min_seconds=0.8)
    assert audio.tone_present(right, customer.tone, min_seconds=0.8)
    assert audio.tone_seconds(left, agent.tone) < audio.duration(left) - 0.5


async def _pressed(party, keys):
    return party.call.sound.pressed == keys


@scenario()
async def redirect_to_a_menu(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    await call.control("redirect", flow="ivr:nowhere", status=422)
    await call.control("redirect", "customer", flow="ivr:welcome")
    await agent.call.over()
    await until_heard(customer, audio.speech_present)
    await call.control("transfer", to=three.extension)
    target = await joined(call, three)
    await they_hear_each_other(customer, target)
    await customer.call.hang_up()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, customer=two.extension)


@scenario()
async def a_call_that_a_phone_made(stack, phones):
    one, two, three = phones
    out = await one.call(two.extension)
    caller, target = Party(one, out), Party(two, await two.next_call())
    await out.answered()
    request_id = await eventually(lambda: _calling(stack, one.extension), within=60, what="the phone's call")
    call = Talk(stack.api, request_id, caller, target)
    await stack.api.wait_state(request_id, "talking")
    name = (await call.control("record_start"))["recording_name"]
    await call.control("hold", "caller")
    at_caller, at_target = await hear(caller, target)
    assert at_caller.any(), "no music"
    assert none_of(at_caller, target.tone)
    assert none_of(at_target, caller.tone)
    await call.control("resume", "caller")
    await they_hear_each_other(caller, target)
    await call.control("spy", "caller", to=three.extension)
    boss = Party(three, await three.next_call())
    await boss.call.answered()
    await eventually(lambda: _monitored(stack, call), within=60, what="a monitor")
    (at_boss,) = await hear(boss)
    assert has(at_boss, caller.tone, target.tone)
    await boss.call.hang_up()
    await eventually(lambda: _unmonitored(call), within=60, what="the monitor's end")
    await call.control("transfer", "target", to=three.extension)
    await target.call.over()
    third = await joined(call, three)
    await they_hear_each_other(caller, third)
    await out.hang_up()
    first, second = await records(stack, call, 2)
    agrees(first, dialed=two.extension)
    agrees(second, dialed=three.extension, agent=three.extension, customer=one.extension)
    assert first["recording_name"] == name
    left, right = audio.decode((await stack.api.recording(name)).expect(200).body)
    assert audio.tone_present(left, caller.tone)
    assert audio.tone_present(right, target.tone)


async def _calling(stack, extension):
    live = await stack.api.calls()
    return next(
        (each["request_id"] for each in live if (leg_of(each, "caller") or {}).get("number") == extension), None
    )


async def _unmonitored(call):
    return (await call.leg("monitor"))["state"] == "ended"


@pytest.mark.parametrize("name", scenario.all)
async def test_live_control(outcomes, name):
    if outcomes[name] is not None:
        raise outcomes[name]
