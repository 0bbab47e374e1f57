"""``kill -9`` of the engine: tokens, devices, the live feed and the statistics are afterwards what they would have been."""

import json
import time
from urllib.parse import urlencode

import aiohttp
import pytest

from engine.testkit.numbers import plain
from engine.testkit.poll import eventually
from tests.chaos import truth

pytestmark = pytest.mark.usefixtures("no_leaks")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def feed(stack, request_id, after, last):
    """What is told of the call behind the id ``after``, until the first event of type ``last``: ids and sequences."""
    headers = {"account": stack.api.account, "auth": stack.api.auth, "Last-Event-ID": str(after)}
    found = []
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session,
        session.get(f"{stack.api.base}/api/events?types=call.*") as stream,
    ):
        number = 0
        async for raw in stream.content:
            line = raw.decode().strip()
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                told = json.loads(line[6:])
                if told["data"]["request_id"] == request_id:
                    found.append((number, told["data"]["sequence"]))
                    if told["type"] == last:
                        return found
    raise AssertionError(f"the stream ended after {found}")


async def counted(stack):
    reply = await stack.api.get("/api/get_live_call_statistics")
    return reply.expect().response["result"]["live_calls_c2c"]


async def test_what_is_known_survives_the_engine(stack):
    form = {"grant_type": "client_credentials", "client_id": stack.api.account, "client_secret": stack.api.auth}
    reply = await stack.api.request("POST", "/oauth/token", body=urlencode(form).encode(), headers=FORM)
    bearer = {"Authorization": f"Bearer {reply.expect().json['access_token']}"}
    path = "/registration/accounts/1234/devices/80-5E-C0-AA-BB-02"
    async with await stack.phone("107", user_agent="Yealink SIP-T46S 805ec0aabb02") as phone:
        await phone.register()

        async def known(since=0):
            reply = await stack.api.request("GET", path, headers=bearer)
            return reply.status == 200 and reply.json["last_success"] >= since

        await eventually(known, within=60, what="the device")
        request_id = await stack.api.click2call(plain(), plain())
        await stack.api.wait_state(request_id, "talking")
        before = await feed(stack, request_id, 0, "call.bridged")

        pid = stack.kill("engine")
        again = int(time.time())
        await phone.register()
        await stack.wait_ready(but=pid)
        assert await counted(stack) == 1

        async def renewed():
            return await known(again)

        await eventually(renewed, within=60, what="the registration that no engine saw")

    await stack.api.hang_up(request_id)
    await truth.all_hold(stack, [request_id])
    told = [*before, *await feed(stack, request_id, before[-1][0], "call.ended")]
    assert told == sorted(set(told)), "in order, each once"
    timeline = await stack.api.events(request_id)
    assert (told[0][1], told[-1][1]) == (1, timeline[-1]["sequence"])
    assert await counted(stack) == 0
    assert json.loads(await stack.trunkline("tokens", "list", "--json"))
