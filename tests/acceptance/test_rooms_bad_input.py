"""Conference rooms and what strangers send: foreign rooms on every route, fields that are wrong, numbers that are taken."""

import asyncio

import pytest

from engine.api.table import ROUTES
from engine.testkit import numbers
from engine.testkit.client import new_key
from tests.acceptance import room_calls as rooms

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODIES = {
    "/api/rooms/{room_id}": {"name": "mine"},
    "/api/rooms/{room_id}/accesses": {"pin": "99"},
    "/api/rooms/{room_id}/accesses/{access_id}": {"pin": "99"},
    "/api/rooms/{room_id}/members": {"muted": True},
    "/api/rooms/{room_id}/members/{member_id}": {"muted": True},
    "/api/rooms/{room_id}/calls": {"number": "919979270001"},
    "/api/rooms/{room_id}/announce": {"text": "Hello."},
}
OF_ROOMS = [route for route in ROUTES if "{room_id}" in route.path]


@pytest.fixture(scope="module")
def known(stack):
    return {}


async def _room(stack, known):
    if not known:
        known.update(await rooms.make(stack.api, numbers=["15557000301"]))
    return known


@pytest.mark.parametrize("route", OF_ROOMS, ids=lambda route: f"{route.method} {route.path}")
async def test_a_foreign_room_is_unknown_on_every_route(stack, known, route):
    room = await _room(stack, known)
    path = route.path.replace("{access_id}", room["accesses"][0]["id"]).replace("{member_id}", "x")
    body = BODIES[route.path] if route.body is not None else None
    for key in (room["id"], room["number"], "RM0000000000", "%00", "0" * 64):
        reply = await stack.api2.request(route.method, path.replace("{room_id}", key), body=body)
        assert reply.status == 404, (key, reply.status, reply.body)
    assert len(OF_ROOMS) >= 17


async def test_an_unknown_member_and_access_are_404(stack, known):
    path = f"/api/rooms/{(await _room(stack, known))['id']}"
    for method, part, body in (
        ("GET", "members/x", None), ("PATCH", "members/x", {"muted": True}), ("DELETE", "members/x", None),
        ("GET", "accesses/x", None), ("PATCH", "accesses/x", {"pin": "5"}), ("DELETE", "accesses/x", None),
    ):  # fmt: skip
        (await stack.api.request(method, f"{path}/{part}", body=body)).expect(404)


async def test_nobody_is_there_to_be_spoken_to(stack, known):
    path = f"/api/rooms/{(await _room(stack, known))['id']}"
    (await stack.api.post(f"{path}/announce", {"text": "Hello."})).expect(409)
    (await stack.api.request("POST", f"{path}/recording")).expect(409)
    (await stack.api.request("DELETE", f"{path}/recording")).expect(409)
    assert (await stack.api.request("PATCH", f"{path}/members", body={"muted": True})).expect().response[
        "members"
    ] == []
    assert (await stack.api.request("DELETE", f"{path}/members")).expect().response["removed"] == 0


WRONG_ROOMS = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 129}, "name"),
    ({"name": "a\u0007b"}, "name"),
    ({"name": "x", "number": "12"}, "number"),
    ({"name": "x", "number": "80a1"}, "number"),
    ({"name": "x", "number": "101"}, "number"),
    ({"name": "x", "number": "911"}, "number"),
    ({"name": "x", "numbers": "15557000399"}, "numbers"),
    ({"name": "x", "numbers": ["8005"]}, "numbers"),
    ({"name": "x", "open": "perhaps"}, "open"),
    ({"name": "x", "recording": "SOMETIMES"}, "recording"),
    ({"name": "x", "limits": {"max_connected": -1}}, "limits"),
    ({"name": "x", "limits": {"max_duration": "long"}}, "limits"),
    ({"name": "x", "limits": {"date_expiration": "tomorrow"}}, "limits"),
    ({"name": "x", "limits": {"date_expiration": "0001-01-01 00:00:00"}}, "limits"),
    ({"name": "x", "limits": {"most": 1}}, "limits"),
    ({"name": "x", "limits": []}, "limits"),
    ({"name": "x", "media": {"welcome": "no such sound"}}, "media"),
    ({"name": "x", "media": {"welcome": "TTS|nothing"}}, "media"),
    ({"name": "x", "media": {"welcome": "TTS|Nobody|Hello."}}, "media"),
    ({"name": "x", "media": {"jingle": "x"}}, "media"),
    ({"name": "x", "accesses": [{"pin": "123456789"}]}, "accesses"),
    ({"name": "x", "accesses": [{"pin": "12a4"}]}, "accesses"),
    ({"name": "x", "accesses": [{"level": "BOSS"}]}, "accesses"),
    ({"name": "x", "accesses": {"pin": "1"}}, "accesses"),
    ({"name": "x", "colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("body", "field"), WRONG_ROOMS, ids=lambda each: str(each)[:60])
async def test_a_room_with_a_wrong_field(stack, body, field):
    reply = (await stack.api.post("/api/rooms", body)).expect(422)
    assert list(reply.response["errors"]) == [field]


@pytest.mark.parametrize(
    ("part", "body", "field"),
    [
        ("accesses", {"pin": 123456789}, "pin"),
        ("accesses", {"phone_number": "12"}, "phone_number"),
        ("accesses", {"number": "15557000999"}, "number"),
        ("accesses", {"date_expiration": "2027-13-01"}, "date_expiration"),
        ("accesses", {"date_expiration": "0001-01-01T00:00:00Z"}, "date_expiration"),
        ("accesses", {"date_expiration": "9999-12-31T23:59:59.999999Z"}, "date_expiration"),
        ("accesses", {"max_duration": -5}, "max_duration"),
        ("calls", {}, "number"),
        ("calls", {"number": "++1"}, "number"),
        ("calls", {"access_id": "RA0000000000"}, "access_id"),
        ("calls", {"number": "919979270001", "level": "KING"}, "level"),
        ("calls", {"number": "919979270001", "confirm": "x"}, "confirm"),
        ("announce", {}, "media"),
        ("announce", {"media": "x", "text": "y"}, "media"),
        ("announce", {"media": "no such sound"}, "media"),
        ("announce", {"text": "hello", "voice": "Nobody"}, "text"),
    ],
)
async def test_wrong_fields_of_what_is_in_a_room(stack, known, part, body, field):
    path = f"/api/rooms/{(await _room(stack, known))['id']}/{part}"
    reply = (await stack.api.post(path, body)).expect(422)
    assert list(reply.response["errors"]) == [field]


async def test_members_are_changed_by_something(stack, known):
    path = f"/api/rooms/{(await _room(stack, known))['id']}/members"
    reply = (await stack.api.request("PATCH", path, body={})).expect(422)
    assert set(reply.response["errors"]) == {"muted", "paused"}
    (await stack.api.request("PATCH", path, body={"muted": "loud"})).expect(422)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "action=DANCE", "cursor=-1", "colour=red"])
async def test_wrong_questions_to_the_log(stack, known, query):
    path = f"/api/rooms/{(await _room(stack, known))['id']}/events"
    (await stack.api.get(f"{path}?{query}")).expect(422)


async def test_a_wrong_cursor_of_the_history(stack, known):
    path = f"/api/rooms/{(await _room(stack, known))['id']}/history"
    for cursor in ("x", "2027-01-01_x", "_", "2027-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59_x"):
        (await stack.api.get(f"{path}?cursor={cursor}")).expect(422)


async def test_numbers_and_pins_that_are_taken(stack, known):
    room = await _room(stack, known)
    api = stack.api
    taken = [
        {"name": "x", "number": room["number"]},
        {"name": "x", "numbers": ["15557000301"]},
        {"name": "x", "numbers": ["15557000002"]},
        {"name": "x", "accesses": [{"pin": "7"}, {"pin": "7"}]},
    ]
    for body in taken:
        (await api.post("/api/rooms", body)).expect(409)
    (await stack.api2.post("/api/rooms", {"name": "x", "numbers": ["15557000301"]})).expect(409)
    (await api.post(f"/api/rooms/{room['id']}/accesses", {"pin": "11"})).expect(409)
    # what phones dial is the account's own
    other = (
        (await stack.api2.post("/api/rooms", {"name": "theirs", "number": room["number"]})).expect().response["room"]
    )
    assert other["id"] != room["id"]
    assert (await stack.api2.get(f"/api/rooms/{room['number']}")).expect().response["room"]["id"] == other["id"]
    (await stack.api2.request("DELETE", f"/api/rooms/{other['id']}")).expect()
    (await stack.api2.get(f"/api/rooms/{other['id']}")).expect(404)


async def test_one_key_makes_one_room_and_one_call(stack, known):
    key = new_key()
    made = [await stack.api.post("/api/rooms", {"name": "once"}, **{"Idempotency-Key": key}) for _ in range(2)]
    assert len({reply.expect().response["id"] for reply in made}) == 1
    (await stack.api.post("/api/rooms", {"name": "twice"}, **{"Idempotency-Key": key})).expect(409)
    path = f"/api/rooms/{made[0].response['id']}"
    key, body = new_key(), {"number": numbers.ending("0486")}
    calls = await asyncio.gather(
        *(stack.api.post(f"{path}/calls", body, **{"Idempotency-Key": key}) for _ in range(3))
    )  # fmt: skip
    (request_id,) = {reply.expect().response["request_id"] for reply in calls}
    await stack.api.wait_ended(request_id)
    (await stack.api.request("DELETE", path)).expect()


async def test_the_gate_stands_before_calls_out(stack, known):
    path = f"/api/rooms/{(await _room(stack, known))['id']}/calls"
    for body, rule in (
        ({"number": "19005551234"}, "premium"),
        ({"number": "919979270001", "caller_id": "15550001111"}, "caller_id"),
        ({"number": "911"}, "emergency"),
    ):
        assert (await stack.api.post(path, body)).expect(403).response["errors"] == {"rule": rule}


async def test_what_is_changed_stays_changed_and_the_rest_as_it_was(stack):
    room = await rooms.make(stack.api, limits={"max_connected": 3}, media={"welcome": "TTS||Hello."})
    path = f"/api/rooms/{room['id']}"
    body = {"limits": {"max_duration": 60, "date_expiration": "2030-01-31 18:00:00"}, "media": {"alone": "TTS||Alone."}}
    changed = (await stack.api.request("PATCH", path, body=body)).expect().response["room"]
    assert changed["limits"] == {
        "max_connected": 3, "max_duration": 60, "date_expiration": "2030-01-31T18:00:00.000Z",
    }  # fmt: skip
    assert (changed["media"]["welcome"], changed["media"]["alone"]) == ("TTS||Hello.", "TTS||Alone.")
    body = {"limits": {"date_expiration": ""}, "media": {"welcome": 0}, "number": "", "locked": "true"}
    changed = (await stack.api.request("PATCH", path, body=body)).expect().response["room"]
    assert changed["limits"]["date_expiration"] is None
    assert (changed["media"]["welcome"], changed["number"], changed["locked"]) == (None, None, True)
    assert [each["pin"] for each in changed["accesses"]] == ["11", "22"]
    access = (await stack.api.post(f"{path}/accesses", {"phone_number": "+447890123456"})).expect().response["access"]
    assert (access["phone_number"], access["pin"], access["level"]) == ("447890123456", "", "GUEST")
    one = f"{path}/accesses/{access['id']}"
    moved = (await stack.api.request("PATCH", one, body={"phone_number": "", "pin": "33"})).expect().response["access"]
    assert (moved["phone_number"], moved["pin"]) == (None, "33")
    (await stack.api.request("DELETE", one)).expect()
    (await stack.api.get(one)).expect(404)
    assert await rooms.actions(stack.api, room["id"]) == ["LOCKED"]
    (await stack.api.request("DELETE", path)).expect()


async def test_operators_do_it_by_command(stack):
    import json

    made = json.loads(
        await stack.trunkline("rooms", "add", "account_1", "by hand", "--number", "7999", "--pin", "5", "--json")
    )  # fmt: skip
    assert (made["account"], made["number"], [each["pin"] for each in made["accesses"]]) == ("account_1", "7999", ["5"])
    locked = json.loads(await stack.trunkline("rooms", "lock", "7999", "--json"))
    assert locked["locked"] is True
    assert "LOCKED" in await stack.trunkline("rooms", "events", made["id"])
    assert json.loads(await stack.trunkline("rooms", "members", made["id"], "--json")) == []
    assert (await stack.api.get("/api/rooms/7999")).expect().response["room"]["locked"] is True
    assert "by hand" in await stack.trunkline("rooms", "list", "--account", "account_1")
    await stack.trunkline("rooms", "let-in", made["id"], "--level", "ADMIN", "--pin", "6")
    await stack.trunkline("rooms", "remove", made["id"])
    (await stack.api.get(f"/api/rooms/{made['id']}")).expect(404)


async def test_changes_that_come_together_are_all_made(stack):
    room = await rooms.make(stack.api)
    path, access = f"/api/rooms/{room['id']}", f"/api/rooms/{room['id']}/accesses/{room['accesses'][0]['id']}"
    changes = [{"name": "together"}, {"open": False}, {"locked": True}, {"recording": "OFF"},
               {"limits": {"max_connected": 3}}, {"limits": {"max_duration": 60}}, {"media": {"alone": "TTS||Hello."}}]  # fmt: skip
    of_access = [{"label": "both"}, {"level": "ADMIN"}, {"pin": "4711"}, {"max_duration": 5}]
    done = await asyncio.gather(
        *(stack.api.request("PATCH", path, body=body) for body in changes),
        *(stack.api.request("PATCH", access, body=body) for body in of_access),
    )
    assert [reply.status for reply in done] == [200] * 11
    now = (await stack.api.get(path)).expect().response["room"]
    assert (now["name"], now["open"], now["locked"], now["recording"]) == ("together", False, True, "OFF")
    assert (now["limits"]["max_connected"], now["limits"]["max_duration"]) == (3, 60)
    assert now["media"]["alone"] == "TTS||Hello."
    changed = (await stack.api.get(access)).expect().response["access"]
    assert {name: changed[name] for each in of_access for name in each} == {
        name: value for each in of_access for name, value in each.items()
    }
