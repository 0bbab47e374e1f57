"""Conference rooms over real SIP: who comes in and how, who hears whom, what is done to them, what is written down."""

import asyncio
import contextlib

import pytest

from engine.testkit import audio, numbers
from engine.testkit.poll import eventually
from tests.acceptance import room_calls as rooms
from tests.acceptance.menu_calls import begun

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B, C = 890.0, 1180.0, 1700.0
TALK = 2.0
"""Seconds that a conversation of callees lasts whose sound is looked at afterwards."""


@contextlib.asynccontextmanager
async def three(stack, room):
    """Three phones in a room, the third an admin, each with a tone of its own: (phone, call) each."""
    parties = await asyncio.gather(
        rooms.enter(stack, "101", room, tone=A),
        rooms.enter(stack, "102", room, tone=B),
        rooms.enter(stack, "103", room, tone=C, pin="22"),
    )
    try:
        await rooms.connected(stack.api, room["id"], 3)
        yield parties
    finally:
        await rooms.close(*(phone for phone, _ in parties))
        await rooms.empty(stack.api, room["id"])


async def test_everybody_hears_everybody_but_himself_and_commands_reach_them(stack):
    room = await rooms.make(stack.api)
    path = f"/api/rooms/{room['id']}/members"
    async with three(stack, room) as ((_, first), (_, second), (_, third)):
        await asyncio.gather(
            rooms.hear(first, B, C, since=rooms.mark(first)[0], without=[A]),
            rooms.hear(second, A, C, since=rooms.mark(second)[0], without=[B]),
            rooms.hear(third, A, B, since=rooms.mark(third)[0], without=[C]),
        )
        found = {each["number"]: each for each in await rooms.connected(stack.api, room["id"], 3)}
        assert {number: each["level"] for number, each in found.items()} == {
            "101": "GUEST", "102": "GUEST", "103": "ADMIN",
        }  # fmt: skip
        for each in found.values():
            wanted = {"id", "number", "level", "status", "muted", "paused", "talking", "joined_at"}
            assert wanted <= each.keys()
        await _talking(stack, room, True)

        # muted: nobody hears him, he hears the others
        one = f"{path}/{found['101']['id']}"
        changed = (await stack.api.request("PATCH", one, body={"muted": True})).expect().response["member"]
        assert (changed["muted"], changed["paused"], changed["talking"]) == (True, False, False)
        await asyncio.gather(rooms.silence_of(second, A), rooms.silence_of(third, A))
        await rooms.hear(first, B, C, since=rooms.mark(first)[0], without=[A])
        (await stack.api.request("PATCH", one, body={"muted": False})).expect()
        await rooms.hear(second, A, since=rooms.mark(second)[0])

        # paused: out of the room
        two = f"{path}/{found['102']['id']}"
        (await stack.api.request("PATCH", two, body={"paused": True})).expect()
        await asyncio.gather(
            rooms.silence_of(first, B), rooms.silence_of(second, A), rooms.silence_of(second, C)
        )  # fmt: skip
        listed = {each["number"]: each for each in await rooms.members(stack.api, room["id"])}
        assert (listed["102"]["paused"], listed["102"]["status"]) == (True, "CONNECTED")
        (await stack.api.request("PATCH", two, body={"paused": "false"})).expect()
        await asyncio.gather(
            rooms.hear(first, B, since=rooms.mark(first)[0]), rooms.hear(second, A, C, since=rooms.mark(second)[0])
        )  # fmt: skip

        # all at once
        muted = (await stack.api.request("PATCH", path, body={"muted": True})).expect().response["members"]
        assert [each["muted"] for each in muted] == [True] * 3
        await asyncio.gather(*(rooms.silence_of(call, tone) for call, tone in ((first, B), (second, C), (third, A))))
        await _talking(stack, room, False)

        # and out
        (await stack.api.request("DELETE", one)).expect()
        await first.over()
        assert {each["number"] for each in await rooms.members(stack.api, room["id"])} == {"102", "103"}
        (await stack.api.request("DELETE", one)).expect(404)
        (await stack.api.request("PATCH", one, body={"muted": True})).expect(404)
        (await stack.api.request("DELETE", path)).expect()
        await rooms.empty(stack.api, room["id"])
    await _history_is_told(stack, room, found)


async def _talking(stack, room, wanted):
    async def look():
        return all(each["talking"] is wanted for each in await rooms.members(stack.api, room["id"]))

    async def tell():
        return str(await rooms.members(stack.api, room["id"]))

    await eventually(look, within=60, what=f"talking {wanted}", tell=tell)


async def _history_is_told(stack, room, found):
    api = stack.api
    happened = await rooms.actions(api, room["id"])
    counts = {action: happened.count(action) for action in set(happened)}
    assert counts == {"INBOUND_CALL": 3, "ENTER_ROOM": 3, "MUTE": 4, "UNMUTE": 1, "PAUSE": 1, "UNPAUSE": 1, "HANGUP": 3,
                      "LEAVE_ROOM": 3}  # fmt: skip
    entered = await rooms.events(api, room["id"], action="ENTER_ROOM")
    assert [each["connected_count"] for each in entered] == [1, 2, 3]
    kicked = await rooms.events(api, room["id"], action="HANGUP")
    assert {each["from"] for each in kicked} == {"WEB"}
    told = {each["number"]: each for each in await rooms.left(api, room["id"], 3)}
    assert {number: each["level"] for number, each in told.items()} == {"101": "GUEST", "102": "GUEST", "103": "ADMIN"}
    assert told["101"]["id"] == found["101"]["id"]
    assert told["101"]["last_status"] == "DISCONNECTING"
    assert told["103"]["muted"] is True
    only = await rooms.events(api, room["id"], member_id=found["102"]["id"])
    assert {each["connected_hash"] for each in only} == {found["102"]["id"]}


async def dial_in(stack, room, *keys, hangup_after=0, called=None):
    """The network calls the room's number and presses keys; (caller, request id)."""
    caller = numbers.plain()
    script = [(0.6, each) for each in keys]
    stack.dial_in(called or stack.json["numbers"]["room"], caller, script=script, hangup_after=hangup_after)
    return caller, (await begun(stack, caller))["request_id"]


async def test_the_stacks_own_room_takes_a_guest_and_an_admin_by_pin(stack):
    (guest, first), (admin, second) = await asyncio.gather(
        dial_in(stack, "8000", "9999#", "1234#"), dial_in(stack, "8000", "4321#")
    )
    found = {each["number"]: each for each in await rooms.connected(stack.api, "8000", 2)}
    assert {number: each["level"] for number, each in found.items()} == {guest: "GUEST", admin: "ADMIN"}
    assert found[guest]["request_id"] == first
    wrong = await rooms.logged(stack.api, "8000", "PIN_INVALID", request_id=first)
    assert wrong["data"]["digits"] == 4
    await _talking(stack, {"id": "8000"}, True)
    await asyncio.sleep(TALK)
    await stack.api.hang_up(first)
    await rooms.connected(stack.api, "8000", 1)
    await stack.api.hang_up(second)
    await asyncio.gather(*(stack.api.wait_ended(each) for each in (first, second)))
    assert audio.tone_present((await stack.callee(guest)).samples, numbers.tone_hz(admin), share=0.12)
    assert audio.tone_present((await stack.callee(admin)).samples, numbers.tone_hz(guest), share=0.12)
    cdr = await stack.api.cdr(first)
    assert (cdr["dial_status"], cdr["destination_context"], cdr["call_direction"]) == ("ANSWER", "inbound", "inbound")


async def test_the_third_wrong_pin_ends_the_call(stack):
    before = len(await rooms.events(stack.api, "8000", action="PIN_INVALID", limit=500))
    _, request_id = await dial_in(stack, "8000", "1111#", "2222#", "3333#", "1234#")
    call = await stack.api.wait_ended(request_id, 60)
    assert call["result"] == "pin_invalid", await stack.api.story(request_id)
    await rooms.logged(stack.api, "8000", "HANGUP", request_id=request_id)
    wrong = (await rooms.events(stack.api, "8000", action="PIN_INVALID", limit=500))[before:]
    mine = [each for each in wrong if each["data"]["request_id"] == request_id]
    assert len(mine) == 3
    assert "1111" not in str(mine)
    assert [each["number"] for each in await rooms.members(stack.api, "8000")] == []
    assert call["legs"][0]["hangup_by"] == "engine"


async def test_a_closed_an_expired_a_locked_and_a_full_room(stack):
    api = stack.api
    past = "2020-01-31 18:00:00"
    shut, over, locked, full = await asyncio.gather(
        rooms.make(api, numbers=["15557000201"], open=False),
        rooms.make(api, numbers=["15557000202"], limits={"date_expiration": past}),
        rooms.make(api, numbers=["15557000203"], locked=True),
        rooms.make(api, numbers=["15557000204"], limits={"max_connected": 1}),
    )
    _, first = await dial_in(stack, full, "11#", called="15557000204")
    await rooms.connected(api, full["id"], 1)
    tried = {
        "closed": (shut, "15557000201", ()),
        "expired": (over, "15557000202", ()),
        "locked": (locked, "15557000203", ("11#",)),
        "full": (full, "15557000204", ("11#",)),
    }
    calls = await asyncio.gather(*(dial_in(stack, room, *keys, called=number) for room, number, keys in tried.values()))
    ended = await asyncio.gather(*(api.wait_ended(request_id, 60) for _, request_id in calls))
    assert [call["result"] for call in ended] == list(tried), [await api.story(each[1]) for each in calls]
    for reason, (room, _, _) in tried.items():
        assert await rooms.logged(api, room["id"], "REFUSED", reason=reason)
    # whom the room calls is not kept out by a lock
    _, invited = await rooms.invite(api, locked["id"])
    await rooms.connected(api, locked["id"], 1)
    (await api.hang_up(invited["request_id"])).expect()
    await rooms.empty(api, locked["id"])
    # an admin passes both
    admins = await asyncio.gather(
        dial_in(stack, full, "22#", called="15557000204"), dial_in(stack, locked, "22#", called="15557000203")
    )
    await asyncio.gather(rooms.connected(api, full["id"], 2), rooms.connected(api, locked["id"], 1))
    # a room that is closed now keeps who is in it
    (await api.request("PATCH", f"/api/rooms/{locked['id']}", body={"open": False})).expect()
    (await api.post(f"/api/rooms/{locked['id']}/calls", {"number": numbers.plain()})).expect(409)
    (await api.post(f"/api/rooms/{full['id']}/calls", {"number": numbers.plain()})).expect(409)
    assert len(await rooms.members(api, locked["id"])) == 1
    # and one that is deleted lets them go
    (await api.request("DELETE", f"/api/rooms/{locked['id']}")).expect()
    assert (await api.wait_ended(admins[1][1]))["result"] == "deleted"
    (await api.get(f"/api/rooms/{locked['id']}/events")).expect(404)
    for request_id in (first, admins[0][1]):
        await api.hang_up(request_id)
    await rooms.empty(api, full["id"])


async def test_an_access_for_one_caller_asks_for_no_pin_and_ends_in_time(stack):
    api, caller = stack.api, numbers.plain()
    own = {"phone_number": caller, "max_duration": 1, "label": "own", "level": "ADMIN"}
    room = await rooms.make(api, numbers=["15557000205"], accesses=[{"pin": "11"}, own])
    stack.dial_in("15557000205", caller)
    call = await api.wait_ended((await begun(stack, caller))["request_id"], 30)
    assert call["result"] == "max_duration", await api.story(call["request_id"])
    (told,) = await rooms.left(api, room["id"], 1)
    assert (told["room_access_label"], told["level"], told["direction"]) == ("own", "ADMIN", "IN")
    assert told["called"] == "15557000205"
    asked = [each for each in await api.events(call["request_id"]) if each["type"] == "play.started"]
    assert "sound:conf-getpin" not in str(asked)


async def test_a_room_calls_out_and_lets_in_whoever_confirms(stack):
    api = stack.api
    room = await rooms.make(api, media={"out_welcome": "TTS||Welcome."})
    path = room["id"]
    (yes, made), (no, declined), (never, _), (busy, refused), (direct, _) = await asyncio.gather(
        rooms.invite(api, path, numbers.ending("4001"), confirm=True, level="ADMIN", label="boss"),
        rooms.invite(api, path, numbers.ending("4222"), confirm=True),
        rooms.invite(api, path, numbers.ending("3002"), confirm="true"),
        rooms.invite(api, path, numbers.ending("0486")),
        rooms.invite(api, path),
    )
    found = {each["number"]: each for each in await rooms.connected(api, path, 2)}
    assert set(found) == {yes, direct}
    assert (found[yes]["level"], found[yes]["id"]) == ("ADMIN", made["member_id"])
    assert (found[yes]["direction"], found[yes]["access_label"]) == ("OUT", "boss")
    assert await rooms.logged(api, path, "OUTBOUND_CALL_STATUS", status="BUSY", number=busy)
    assert await rooms.logged(api, path, "OUTBOUND_CALL_STATUS", status="ANSWER", number=no)
    ended = await asyncio.gather(api.wait_ended(declined["request_id"]), api.wait_ended(refused["request_id"]))
    assert [call["result"] for call in ended] == ["not_confirmed", "not_reached"]
    assert (await api.cdr(refused["request_id"]))["dial_status"] == "BUSY"
    await _hung_up(stack, api, path, never)
    await asyncio.sleep(TALK)
    await asyncio.gather(*(rooms.logged(api, path, "ENTER_ROOM", number=each) for each in (yes, direct)))
    entered = await rooms.events(api, path, action="ENTER_ROOM")
    assert {each["data"]["number"] for each in entered} == {yes, direct}
    (await api.request("DELETE", f"/api/rooms/{path}/members")).expect()
    await rooms.empty(api, path)
    heard = {number: (await stack.callee(number)).samples for number in (yes, direct, no)}
    assert audio.tone_present(heard[yes], numbers.tone_hz(direct), share=0.12)
    assert audio.tone_present(heard[direct], numbers.tone_hz(yes), share=0.12)
    assert not audio.tone_present(heard[no], numbers.tone_hz(yes), share=0.12)


async def _hung_up(stack, api, room, number):
    """Who was asked and hung up was never in the room."""

    async def look():
        return not [each for each in await rooms.members(api, room) if each["number"] == number]

    await eventually(look, within=60, what=f"{number} gone")


async def test_announcements_recording_and_the_time_limit(stack):
    api = stack.api
    room = await rooms.make(api, recording="AUTO", media={"alone": "TTS||You are the first."})
    path = room["id"]
    first, second = numbers.plain(), numbers.plain()
    await rooms.invite(api, path, first)
    await rooms.connected(api, path, 1)
    await rooms.invite(api, path, second)
    await rooms.connected(api, path, 2)
    (await api.post(f"/api/rooms/{path}/announce", {"text": "This is an announcement to all of you."})).expect()
    await rooms.logged(api, path, "ANNOUNCED")
    await asyncio.sleep(TALK)
    name = (await rooms.logged(api, path, "RECORDING_STARTED"))["data"]["recording_name"]
    assert (await api.get(f"/api/rooms/{path}")).response["room"]["live"]["recording_name"] == name
    (await api.post(f"/api/rooms/{path}/recording", None)).expect(409)
    stopped = (await api.request("DELETE", f"/api/rooms/{path}/recording")).expect().response
    assert stopped["recording_name"] == name
    (await api.request("DELETE", f"/api/rooms/{path}/recording")).expect(409)
    recorded = audio.decode((await api.recording(name, 25)).expect().body)
    assert len(recorded) == 1
    assert await rooms.logged(api, path, "RECORDING_READY", recording_name=name)
    (await api.request("PATCH", f"/api/rooms/{path}", body={"limits": {"max_duration": 1}})).expect()
    await rooms.empty(api, path)
    for number, other in ((first, second), (second, first)):
        heard = (await stack.callee(number)).samples
        assert audio.tone_present(heard, numbers.tone_hz(other), share=0.12)
    left = await rooms.left(api, path, 2)
    assert {each["number"] for each in left} == {first, second}
    await rooms.logged(api, path, "HANGUP", number=first)
    await rooms.logged(api, path, "HANGUP", number=second)
    results = {each["data"].get("result") for each in await rooms.events(api, path, action="HANGUP")}
    assert results == {"max_duration"}
    both = [numbers.tone_hz(each) for each in (first, second)]
    assert audio.tone_present(recorded[0], *both, share=0.12)
