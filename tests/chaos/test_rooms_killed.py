"""``kill -9`` of the engine while people are in a conference room: they stay, and so does what was done to them."""

import asyncio
import signal

import pytest

from engine.testkit import audio, numbers
from tests.acceptance import room_calls as rooms

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio(loop_scope="session")]

A, B = 890.0, 1180.0


async def test_members_stay_and_the_room_goes_on(stack):
    api = stack.api
    room = await rooms.make(api, recording="AUTO", limits={"max_connected": 4})
    path = f"/api/rooms/{room['id']}"
    called, leaver = numbers.plain(), numbers.plain()
    (first, one), (second, two) = await asyncio.gather(
        rooms.enter(stack, "101", room, tone=A), rooms.enter(stack, "102", room, tone=B, pin="22")
    )
    try:
        await rooms.invite(api, room["id"], called, label="boss", level="ADMIN")
        _, left = await rooms.invite(api, room["id"], leaver)
        before = {each["number"]: each for each in await rooms.connected(api, room["id"], 4)}
        channel = (await api.call(left["request_id"]))["legs"][0]["channel_id"]
        (await api.request("PATCH", f"{path}/members/{before['101']['id']}", body={"muted": True})).expect()
        (await api.request("PATCH", f"{path}/members/{before[called]['id']}", body={"paused": True})).expect()
        recording = (await rooms.logged(api, room["id"], "RECORDING_STARTED"))["data"]["recording_name"]

        pid = stack.kill("engine", signal.SIGKILL)
        await rooms.hear(one, B, since=rooms.mark(one)[0], without=[numbers.tone_hz(called)])
        await stack.ari.hang_up(channel)
        await stack.wait_ready(but=pid)

        after = {each["number"]: each for each in await rooms.connected(api, room["id"], 3)}
        kept = ("id", "level", "joined_at", "direction", "access_label", "request_id")
        assert {number: {name: each[name] for name in kept} for number, each in after.items()} == {
            number: {name: each[name] for name in kept} for number, each in before.items() if number != leaver
        }
        assert list(after) == [number for number in before if number != leaver]
        assert [after[number]["muted"] for number in ("101", "102", called)] == [True, False, False]
        assert [after[number]["paused"] for number in ("101", "102", called)] == [False, False, True]
        assert (await api.get(path)).response["room"]["live"]["recording_name"] == recording
        await rooms.silence_of(two, A)
        (await api.request("PATCH", f"{path}/members/{after['101']['id']}", body={"muted": False})).expect()
        (await api.request("PATCH", f"{path}/members/{after[called]['id']}", body={"paused": False})).expect()
        await asyncio.gather(
            rooms.hear(two, A, numbers.tone_hz(called), since=rooms.mark(two)[0]),
            rooms.hear(one, B, numbers.tone_hz(called), since=rooms.mark(one)[0]),
        )
        await rooms.logged(api, room["id"], "LEAVE_ROOM", number=leaver)
        entered = await rooms.events(api, room["id"], action="ENTER_ROOM")
        assert len(entered) == 4
        assert [each["data"]["number"] for each in await rooms.events(api, room["id"], action="LEAVE_ROOM")] == [leaver]
    finally:
        await rooms.close(first, second)
        await api.request("DELETE", f"{path}/members")
        await rooms.empty(api, room["id"])
    told = await rooms.left(api, room["id"], 4)
    assert {each["number"] for each in told} == {"101", "102", called, leaver}
    (recorded,) = audio.decode((await api.recording(recording, 20)).expect().body)
    assert audio.tone_present(recorded, A, B, share=0.1)
