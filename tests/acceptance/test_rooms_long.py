"""Conference rooms in full size: fifty people who come and go, two hundred rooms of three."""

import asyncio
import itertools
import random
import time

import pytest
import pytest_asyncio

from engine.testkit.poll import eventually
from engine.testkit.running import Running
from engine.testkit.stack import Stack
from tests.acceptance import room_calls as rooms
from tests.bench.sip import FarEnd

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]

MUTE_ALL_WITHIN = 0.2


async def _bridge(stack, room):
    """Channels in the room's bridge, as Asterisk has them."""
    found = [each for each in await stack.ari.bridges() if each["id"] == f"room-{room}"]
    return set(found[0]["channels"]) if found else set()


async def _agree(stack, room, expected):
    """The list has exactly those, and they are who is in Asterisk's bridge."""

    async def look():
        listed = await rooms.members(stack.api, room)
        inside = {each["id"] for each in listed if each["status"] == "CONNECTED"}
        return inside == expected and len(await _bridge(stack, room)) == len(expected)

    async def tell():
        listed = await rooms.members(stack.api, room)
        return f"{len(listed)} listed, {len(expected)} expected, {len(await _bridge(stack, room))} in the bridge"

    await eventually(look, within=60, what="list", tell=tell)


async def _settled(stack, room, member):
    async def look():
        listed = await rooms.members(stack.api, room)
        return any(each["id"] == member and each["status"] == "CONNECTED" for each in listed)

    await eventually(look, within=30, what=f"member {member}", every=0.1)


async def test_fifty_come_and_go_and_are_muted_at_once(stack):
    api, chance = stack.api, random.Random(8000)
    room = (await rooms.make(api, media={}))["id"]
    path, inside = f"/api/rooms/{room}", {}

    async def come():
        _, made = await rooms.invite(api, room)
        await _settled(stack, room, made["member_id"])
        inside[made["member_id"]] = made["request_id"]

    async def go():
        member = chance.choice(sorted(inside))
        request_id = inside.pop(member)
        if chance.random() < 0.5:
            (await api.request("DELETE", f"{path}/members/{member}")).expect()
            assert member not in {each["id"] for each in await rooms.members(api, room)}
        else:
            (await api.hang_up(request_id)).expect()

    for _ in range(5):
        await asyncio.gather(*(come() for _ in range(10)))
    await _agree(stack, room, set(inside))
    for _ in range(30):
        moves = [go if inside and chance.random() < 0.5 else come for _ in range(4)]
        await asyncio.gather(*(move() for move in moves))
        await _agree(stack, room, set(inside))
    while len(inside) < 50:
        await come()
    while len(inside) > 50:
        await go()
    await _agree(stack, room, set(inside))
    took = []
    for muted in (True, False) * 5:
        began = time.perf_counter()
        changed = (await api.request("PATCH", f"{path}/members", body={"muted": muted})).expect().response["members"]
        took.append(time.perf_counter() - began)
        assert [each["muted"] for each in changed] == [muted] * 50
    (await api.request("DELETE", f"{path}/members")).expect()
    await rooms.empty(api, room)
    entered, left = [await rooms.events(api, room, action=each, limit=500) for each in ("ENTER_ROOM", "LEAVE_ROOM")]
    assert len(entered) == len(await rooms.left(api, room, len(entered)))
    assert max(took) < MUTE_ALL_WITHIN, took
    assert len(left) <= len(entered)


@pytest_asyncio.fixture(loop_scope="session")
async def quiet():
    """A stack whose network answers and sends no sound: six hundred simulated voices would take more of two processors than
    the rooms do."""
    far = FarEnd()
    far.start()
    running = Running.start({"TRUNK": f"127.0.0.1:{far.port}"})
    await running.ready()
    async with Stack(running.state) as stack:
        yield stack
    await running.stop()
    running.remove(keep_logs=False)
    await far.stop()


async def test_two_hundred_rooms_of_three(quiet):
    api, called = quiet.api, itertools.count(1)
    await quiet.trunkline("accounts", "limits", "account_1", "concurrent_calls=1000")
    made = [(await rooms.make(api, number=""))["id"] for _ in range(200)]

    async def fill(room):
        await asyncio.gather(*(rooms.invite(api, room, f"9198{next(called):08d}") for _ in range(3)))
        await rooms.connected(api, room, 3, within=60)

    for part in range(0, 200, 5):
        await asyncio.gather(*(fill(room) for room in made[part : part + 5]))
    bridges = {each["id"]: len(each["channels"]) for each in await quiet.ari.bridges()}
    assert bridges == {f"room-{room}": 3 for room in made}
    for room in made:
        assert len(await rooms.members(api, room)) == 3
    for part in range(0, 200, 10):
        await asyncio.gather(*(api.request("DELETE", f"/api/rooms/{room}") for room in made[part : part + 10]))

    async def over():
        return not await quiet.ari.bridges() and not await api.calls()

    await eventually(over, within=60, what="empty Asterisk")
