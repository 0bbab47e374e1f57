"""Who is told of what happens in a room: web hooks and the live feed, in the same words."""

import pytest

from engine.testkit.poll import eventually
from tests.acceptance import room_calls as rooms
from tests.acceptance.test_webhooks import receiver, subscribe  # noqa: F401 - fixtures

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOLD = ["room.outbound_call", "room.outbound_call_status", "room.entered", "room.muted", "room.unmuted", "room.locked",
        "room.hangup", "room.left"]  # fmt: skip


async def test_hooks_hear_of_a_room_in_order(stack, receiver, subscribe):  # noqa: F811
    api = stack.api
    await subscribe("room.*")
    room = (await rooms.make(api))["id"]
    number, made = await rooms.invite(api, room, label="boss")
    (member,) = await rooms.connected(api, room, 1)
    path = f"/api/rooms/{room}"
    for muted in (True, False):
        (await api.request("PATCH", f"{path}/members/{member['id']}", body={"muted": muted})).expect()
    (await api.request("PATCH", path, body={"locked": True})).expect()
    (await api.request("DELETE", f"{path}/members/{member['id']}")).expect()

    async def look():
        found = [each for _, _, each, _ in receiver.got if each["data"].get("room_id") == room]
        return found if "room.left" in [each["type"] for each in found] else None

    found = await eventually(look, within=60, what="room.left")
    assert [each["type"] for each in found] == TOLD
    sequence = [each["data"]["sequence"] for each in found]
    assert sequence == sorted(sequence)
    entered = found[2]["data"]
    assert (entered["action"], entered["number"], entered["access_label"]) == ("ENTER_ROOM", number, "boss")
    assert (entered["request_id"], entered["member"], entered["connected_count"]) == (
        made["request_id"], made["member_id"], 1,
    )  # fmt: skip
    await rooms.empty(api, room)


async def test_the_log_has_what_was_done_to_a_member_by_its_call(stack):
    api = stack.api
    room = (await rooms.make(api))["id"]
    _, made = await rooms.invite(api, room)
    (member,) = await rooms.connected(api, room, 1)
    control = f"/api/calls/{made['request_id']}/control"
    for action, field, value in (("mute", "muted", True), ("hold", "paused", True), ("resume", "paused", False)):
        (await api.post(control, {"action": action, "leg": "member"})).expect()
        assert (await rooms.members(api, room))[0][field] is value
    (await api.request("PATCH", f"/api/rooms/{room}/members/{member['id']}", body={"muted": False})).expect()
    (await api.request("DELETE", f"/api/rooms/{room}/members")).expect()
    await rooms.empty(api, room)
    await rooms.logged(api, room, "LEAVE_ROOM")
    log = [(each["action"], each["from"]) for each in await rooms.events(api, room, limit=500)]
    done = [each for each in log if each[0] in ("MUTE", "UNMUTE", "PAUSE", "UNPAUSE")]
    assert sorted(done) == [("MUTE", "WEB"), ("PAUSE", "WEB"), ("UNMUTE", "WEB"), ("UNPAUSE", "WEB")]
    (told,) = await rooms.history(api, room)
    assert (told["muted"], told["paused"]) == (False, False)
