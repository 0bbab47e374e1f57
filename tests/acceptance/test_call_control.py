"""The call-control API over real calls: phones and network numbers, each hears whom it should; devices; the live feed."""

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import Client
from engine.testkit.poll import eventually
from tests.acceptance.live_calls import TONES, Party, has, hear, none_of, registered
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Control:
    """The API as one account uses it."""

    api: Client
    number: int
    token: str

    async def ask(self, method, path, body=None, status=200):
        headers = {"Authorization": f"Bearer {self.token}"}
        return (await self.api.request(method, path, body=body, headers=headers)).expect(status).json

    @property
    def calls(self):
        return f"/cc/accounts/{self.number}/calls"

    @property
    def devices(self):
        return f"/registration/accounts/{self.number}/devices"

    async def create(self, source, to, kind="click2dial"):
        body = {"from": _party(source), "to": _party(to), "type": kind}
        return await self.ask("POST", self.calls, body, status=201)

    async def show(self, call):
        return await self.ask("GET", f"{self.calls}/{call['call_id']}")

    async def put(self, call, body, status=200):
        return await self.ask("PUT", f"{self.calls}/{call['call_id']}", body, status)

    async def put_leg(self, call, number, state):
        leg = next(leg for leg in (await self.show(call))["legs"] if str(leg["to"]) == number)
        return await self.ask("PUT", f"{self.calls}/{call['call_id']}/legs/{leg['leg_id']}", {"state": state})

    async def end(self, call):
        return await self.ask("DELETE", f"{self.calls}/{call['call_id']}")

    async def until(self, call, wanted, what, within=60.0):
        """The call as soon as ``wanted`` holds of it."""

        async def look():
            now = await self.show(call)
            return now if wanted(now) else None

        return await eventually(look, within=within, what=what)

    async def ended(self, call):
        return await self.until(call, lambda now: now["end_time"] is not None, "end of the call")


def _party(text):
    if text.startswith("*"):
        return {"destination": text, "type": "feature_code"}
    return {"destination": text if len(text) > 6 else int(text), "type": "pstn" if len(text) > 6 else "extension"}


async def token_of(stack, api):
    form = {"grant_type": "client_credentials", "client_id": api.account, "client_secret": api.auth}
    async with aiohttp.ClientSession() as session, session.post(f"{api.base}/oauth/token", data=form) as answer:
        assert answer.status == 200
        return (await answer.json())["access_token"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def control(stack):
    assert (stack.json["account_number"], stack.json["account_2"]["account_number"]) == (1234, 1235)
    return Control(stack.api, stack.json["account_number"], await token_of(stack, stack.api))


@pytest_asyncio.fixture(loop_scope="session")
async def phones(stack):
    async with registered(stack, "101", "102", "103") as opened:
        yield opened


async def both(control, agent, customer, kind="click2dial"):
    """Two phones that talk, by the API: the call and both parties, in the order in which they were called."""
    call = await control.create(agent.extension, customer.extension, kind)
    first, second = (agent, customer) if kind != "click2dialme" else (customer, agent)
    made = [await first.next_call(), await second.next_call()]
    await asyncio.gather(*(each.answered() for each in made))
    await control.until(call, lambda now: [leg["status"] for leg in now["legs"]] == ["on-call"] * 2, "both on call")
    return call, Party(first, made[0]), Party(second, made[1])


async def test_a_call_from_an_extension_to_a_number(control, stack, phones):
    number = numbers.ending("3002")
    call = await control.create("101", number)
    assert (call["from"], call["to"], call["status"], call["end_time"]) == (101, int(number), "ringing", None)
    incoming = await phones[0].next_call()
    await incoming.over()
    done = await control.ended(call)
    assert (done["status"], [leg["status"] for leg in done["legs"]]) == ("on-call", ["on-call"] * 2)
    assert [leg["to"] for leg in done["legs"]] == [101, int(number)]
    assert done["start_time"] <= done["end_time"] <= time.time() + 1
    assert audio.tone_present(incoming.heard, numbers.tone_hz(number), min_seconds=1)
    callee = await stack.callee(number)
    assert audio.tone_present(callee.samples, TONES[0], min_seconds=1)
    assert callee.caller == "15168148111"


async def test_who_does_not_answer_says_why(control, phones):
    phones[1].auto = 486
    busy, missing = await control.create("101", numbers.ending("0486")), await control.create("102", "103")
    for call, status in ((busy, "busy"), (missing, "busy")):
        assert (await control.ended(call))["status"] == status


async def test_click2dialme_calls_to_first(control, phones):
    call, first, second = await both(control, phones[0], phones[1], "click2dialme")
    assert (first.phone.extension, second.phone.extension) == ("102", "101")
    assert (call["from"], call["to"]) == (101, 102)
    await control.end(call)
    await asyncio.gather(first.call.over(), second.call.over())


async def test_a_leg_is_held_with_music_and_comes_back(control, phones):
    call, agent, customer = await both(control, phones[0], phones[1])
    told = await control.put_leg(call, "102", "held")
    assert (told["call_state"], told["destination"]) == ("held", "101")
    at_agent, at_customer = await hear(agent, customer)
    assert none_of(at_agent, customer.tone)
    assert not audio.is_silent(at_customer), "no music"
    assert none_of(at_customer, agent.tone)
    assert (await control.put_leg(call, "102", "held"))["call_state"] == "held", "again: nothing changes"
    told = await control.put_leg(call, "102", "active")
    assert told["call_state"] == "active"
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)
    await control.end(call)
    await asyncio.gather(agent.call.over(), customer.call.over())


async def test_to_transfers(control, phones):
    call, agent, customer = await both(control, phones[0], phones[1])
    for closed in ("19005551234", "112"):
        assert (await control.put(call, {"to": _party(closed)}, 403))["error"]["code"] == 403
    body = {"from": _party("101"), "state": "active", "to": _party("103")}
    told = await control.put(call, body)
    assert (told["call_state"], told["destination"]) == ("active", "103")
    target = Party(phones[2], await phones[2].next_call())
    await target.call.answered()
    await agent.call.over()
    await control.until(call, lambda now: now["legs"][-1]["status"] == "on-call", "the target on call")
    at_customer, at_target = await hear(customer, target)
    assert has(at_customer, target.tone)
    assert has(at_target, customer.tone)
    await control.end(call)
    await asyncio.gather(customer.call.over(), target.call.over())


async def test_parked_waits_with_music_and_comes_back(control, phones):
    call, agent, customer = await both(control, phones[0], phones[1])
    told = await control.put(call, {"state": "parked"})
    assert (told["call_state"], told["destination"]) == ("parked", "102")
    await agent.call.over()
    (at_customer,) = await hear(customer)
    assert none_of(at_customer, agent.tone)
    assert not audio.is_silent(at_customer), "no music"
    told = await control.put(call, {"state": "active"})
    assert (told["call_state"], told["destination"]) == ("active", "102")
    back = Party(phones[0], await phones[0].next_call())
    await back.call.answered()
    await control.until(call, lambda now: now["legs"][-1]["status"] == "on-call", "the agent back")
    at_customer, at_agent = await hear(customer, back)
    assert has(at_customer, back.tone)
    assert has(at_agent, customer.tone)
    await control.end(call)
    await asyncio.gather(customer.call.over(), back.call.over())


async def test_who_is_called_alone_meets_what_a_code_leads_to(control, phones, stack):
    call = await control.create("*43", "101", "odr")
    incoming = Party(phones[0], await phones[0].next_call())
    await incoming.call.answered()
    await control.until(call, lambda now: now["status"] == "on-call", "the call answered")
    (echo,) = await hear(incoming)
    assert has(echo, incoming.tone), "one hears oneself"
    await incoming.call.hang_up()
    assert (await control.ended(call))["from"] == "*43"
    menu = stack.json["numbers"]["ivr"]
    call = await control.ask(
        "POST", control.calls, {"from": {"destination": menu, "type": "feature_code"}, "to": _party("101"), "type": "odr"}, 201
    )  # fmt: skip
    incoming = await phones[0].next_call()
    await incoming.answered()

    async def greeted():
        return audio.speech_present(incoming.heard) or None

    await eventually(greeted, within=60, what="the menu's greeting")
    await control.end(call)
    await incoming.over()


async def test_a_leg_that_is_ended_takes_its_conversation_with_it(control, phones):
    call, agent, customer = await both(control, phones[0], phones[1])
    leg = (await control.show(call))["legs"][1]
    told = await control.ask("DELETE", f"{control.calls}/{call['call_id']}/legs/{leg['leg_id']}")
    assert (told["call_state"], told["destination"], told["leg_id"]) == ("ended", "101", leg["leg_id"])
    await asyncio.gather(agent.call.over(), customer.call.over())
    await control.ended(call)
    for method, body in (("PUT", {"state": "parked"}), ("DELETE", None)):
        await control.ask(method, f"{control.calls}/{call['call_id']}", body, 409)


async def test_pages_hold_still_while_calls_come_and_go(control):
    ends = [numbers.ending("0486") for _ in range(6)]
    made = [await control.create("104", number) for number in ends]
    await asyncio.gather(*(control.ended(call) for call in made))
    since = min(call["start_time"] for call in made)
    known = {call["call_id"] for call in made}
    seen, uri = [], f"{control.calls}?page_size=2&order=desc&start_time={since}"
    later = []
    while uri:
        page = await control.ask("GET", uri)
        seen += [call["call_id"] for call in page["calls"]]
        later.append(await control.create("104", numbers.ending("0486")))
        uri = page["next_page_uri"]
    assert len(seen) == len(set(seen))
    assert known <= set(seen)
    await asyncio.gather(*(control.ended(call) for call in later))


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_tokens_of_operators_and_their_ends(control, stack):
    made = json.loads(await stack.trunkline("tokens", "create", "account_1", "--json", "--scopes", "read"))
    reader = Control(stack.api, 1234, made["token"])
    assert (await reader.ask("GET", reader.calls))["current_page"] == 1
    assert (await reader.ask("POST", reader.calls, {}, status=403))["error"]["code"] == 403
    assert made["token"] not in await stack.trunkline("tokens", "list")
    await stack.trunkline("tokens", "revoke", made["id"])

    async def ended():
        headers = {"Authorization": f"Bearer {made['token']}"}
        return (await stack.api.request("GET", reader.calls, headers=headers)).status == 401 or None

    await eventually(ended, within=60, what="the token's end")
    brief = json.loads(await stack.trunkline("tokens", "create", "account_1", "--json", "--hours", "0.0003"))

    async def expired():
        headers = {"Authorization": f"Bearer {brief['token']}"}
        return (await stack.api.request("GET", reader.calls, headers=headers)).status == 401 or None

    await eventually(expired, within=60, what="the token's time to be over")


async def test_a_token_of_another_account_finds_nothing(control, stack, phones):
    call, agent, customer = await both(control, phones[0], phones[1])
    other = Control(stack.api2, 1235, await token_of(stack, stack.api2))
    leg = (await control.show(call))["legs"][0]["leg_id"]
    for number in (1234, 1235):
        path = f"/cc/accounts/{number}/calls/{call['call_id']}"
        for method, uri in (("GET", path), ("PUT", path), ("DELETE", path), ("GET", f"{path}/legs"),
                            ("GET", f"{path}/legs/{leg}"), ("PUT", f"{path}/legs/{leg}"), ("DELETE", f"{path}/legs/{leg}")):  # fmt: skip
            await other.ask(method, uri, status=404)
    assert call["call_id"] not in json.dumps(await other.ask("GET", other.calls))
    assert (await control.show(call))["end_time"] is None
    await control.end(call)
    await asyncio.gather(agent.call.over(), customer.call.over())


# -- devices -----------------------------------------------------------------------------------------------------------


async def test_devices_are_known_forgotten_and_come_back(control, stack):
    agent = "Yealink SIP-T46S 66.85.0.5 805ec0aabb01"
    async with await stack.phone("105", user_agent=agent) as phone:
        before = int(time.time())
        await phone.register()
        path = f"{control.devices}/80-5E-C0-AA-BB-01"

        async def known(status=200):
            headers = {"Authorization": f"Bearer {control.token}"}
            reply = await control.api.request("GET", path, headers=headers)
            return reply if reply.status == status else None

        found = (await eventually(known, within=60, what="the device")).json
        assert (found["device_ip"], found["mac_address"]) == ("127.0.0.1", "80-5E-C0-AA-BB-01")
        assert before <= found["last_success"] == found["last_request"] <= time.time() + 1
        assert found["registration"] == {"last_success": found["last_success"]}
        listed = await control.ask("GET", f"{control.devices}?after={before}")
        assert found in listed["devices"]
        call = await control.ask(
            "POST", control.calls, {"from": {"destination": "80:5e:c0:aa:bb:01", "type": "device"}, "to": _party("106")}, 201
        )  # fmt: skip
        incoming = await phone.next_call()
        assert (await control.ended(call))["from"] == 105
        await incoming.over()
        await control.ask("DELETE", path)
        assert await known(404)
        await phone.unregister()
        second = int(time.time())
        await until(lambda: time.time() > second + 1)  # registration times are whole seconds
        await phone.register()
        await eventually(known, within=60, what="the device again")


# -- the live feed and the statistics ----------------------------------------------------------------------------------


async def test_the_feed_tells_of_a_call_and_is_taken_up_again(control, stack, phones):
    headers = {"account": stack.api.account, "auth": stack.api.auth}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session:
        async with session.ws_connect(f"{stack.api.base}/api/events?types=call.*") as socket:
            call, agent, customer = await both(control, phones[0], phones[1])
            counts = (await stack.api.get("/api/get_live_call_statistics")).expect().response["result"]
            assert counts["live_calls_c2c"] == 1
            await control.end(call)
            await asyncio.gather(agent.call.over(), customer.call.over())
            told = [await socket.receive_json()]
            while told[-1]["type"] != "call.ended":
                told.append(await socket.receive_json())
        types = ["call.created", "call.ringing", "call.answered", "call.ringing", "call.answered", "call.bridged"]
        assert [each["type"] for each in told if each["type"] != "call.unbridged"] == [*types, "call.ended"]
        assert (told[-1]["data"]["end_reason"], told[-1]["data"]["dial_status"]) == ("completed", "ANSWER")
        resumed = {"Last-Event-ID": str(told[1]["id"])}
        async with session.get(f"{stack.api.base}/api/events?types=call.*", headers=resumed) as stream:
            again = []
            while len(again) < len(told) - 2:
                line = (await stream.content.readline()).decode()
                again += [int(line[4:])] if line.startswith("id: ") else []
        assert again[1:] == [each["id"] for each in told[2:]][: len(again) - 1]
    after = ("tail", "--after", str(told[1]["id"]), "--account", "account_1", "--types", "call.*", "--count", "2")
    lines = [json.loads(line) for line in (await stack.trunkline(*after, "--json")).splitlines()]
    assert [each["id"] for each in lines] == [each["id"] for each in told[2:4]]
    shown = (await stack.trunkline(*after)).splitlines()
    assert [line.split()[:4:3] for line in shown] == [[str(each["id"]), each["type"]] for each in told[2:4]]
    counts = (await stack.api.get("/api/get_live_call_statistics")).expect().response["result"]
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("address", ["%00", "80-5E-C0-AA-BB-01%00", "101%0a", "%ff", "x"])
async def test_what_no_device_can_be_called_is_unknown(control, address):
    for method in ("GET", "DELETE"):
        await control.ask(method, f"{control.devices}/{address}", status=404)
