"""Conference rooms without a call: who may enter, which access a caller has, how wrong PINs are counted, what a timeline
says of a member."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from engine.calls.events import Event, Kind
from engine.calls.model import replay
from engine.calls.rooms import ADMIN, GUEST, Access, Room, by_pin, fitting, refused, same_number, without_pin
from engine.errors import Refused
from engine.flows.conference import flow
from engine.flows.conference.attempts import OF_CALLER, OF_ROOM, WINDOW, Attempts
from engine.flows.conference.stay import Stay
from engine.sessions.rooms import LiveRoom, LiveRooms
from engine.telephony.fake import FakeSwitch
from tests.waiting import until

T0 = datetime(2026, 11, 22, tzinfo=UTC)
LATER, BEFORE = T0 + timedelta(seconds=1), T0 - timedelta(seconds=1)


def access(name, **fields):
    held = Access(name, "8000", "", GUEST, "", None, None, 0, None, T0, T0)
    return replace(held, **fields)


def room(*accesses, **fields):
    held = Room("8000", "account_1", "x", "8000", (), True, False, "MANUAL", 0, 0, None, {}, T0, T0, accesses)
    return replace(held, **fields)


@pytest.mark.parametrize(
    ("fields", "level", "connected", "reason"),
    [
        ({}, GUEST, 100, None),
        ({"open": False}, GUEST, 0, "closed"),
        ({"open": False}, ADMIN, 0, "closed"),
        ({"date_expiration": BEFORE}, ADMIN, 0, "expired"),
        ({"date_expiration": LATER}, GUEST, 0, None),
        ({"locked": True}, GUEST, 0, "locked"),
        ({"locked": True}, ADMIN, 0, None),
        ({"max_connected": 2}, GUEST, 1, None),
        ({"max_connected": 2}, GUEST, 2, "full"),
        ({"max_connected": 2}, ADMIN, 7, None),
    ],
)
def test_who_may_enter(fields, level, connected, reason):
    assert refused(room(**fields), level, connected, T0) == reason


def test_the_most_particular_access_comes_first():
    general, called, own = access("a", pin="1"), access("b", number="155"), access("c", phone_number="919979270001")
    there = room(general, called, own)
    assert [each.id for each in fitting(there, "919979270001", "155", T0)] == ["c", "b", "a"]
    assert [each.id for each in fitting(there, "918000680002", "155", T0)] == ["b", "a"]
    assert [each.id for each in fitting(there, "918000680002", "", T0)] == ["a"]


def test_an_expired_access_is_none():
    assert fitting(room(access("a", date_expiration=BEFORE)), "x", "y", T0) == ()


def test_no_pin_is_asked_of_a_caller_who_has_an_access_of_its_own():
    ways = fitting(room(access("a", pin="1"), access("b", phone_number="919979270001")), "+919979270001", "", T0)
    assert without_pin(ways).id == "b"


def test_a_guest_without_pin_does_not_shut_out_whom_a_pin_is_for():
    ways = fitting(room(access("a"), access("b", phone_number="919979270001", pin="5")), "919979270001", "", T0)
    assert without_pin(ways) is None
    assert by_pin(ways, "5").id == "b"


def test_an_empty_pin_lets_nobody_in_by_pressing_nothing():
    assert by_pin((access("a"),), "") is None
    assert by_pin((access("a", pin="12"),), "1") is None


@pytest.mark.parametrize(
    ("held", "shown", "same"),
    [
        ("447890123456", "+447890123456", True),
        ("447890123456", "00447890123456", True),
        ("919979270001", "9979270001", True),
        ("919979270001", "919979270002", False),
        ("101", "101", True),
        ("101", "5101", False),
        ("447890123456", "anonymous", False),
    ],
)
def test_numbers_of_callers(held, shown, same):
    assert same_number(held, shown) is same


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_wrong_pins_are_counted_over_calls():
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(OF_CALLER):
        assert attempts.allowed("8000", "1") == 3
        attempts.wrong("8000", "1")
    assert attempts.allowed("8000", "1") == 0
    assert attempts.allowed("8000", "2") == 3
    assert attempts.allowed("8001", "1") == 3
    clock.now += WINDOW
    assert attempts.allowed("8000", "1") == 3


def test_a_right_pin_clears_the_caller():
    attempts = Attempts(Clock())
    for _ in range(OF_CALLER):
        attempts.wrong("8000", "1")
    attempts.right("8000", "1")
    assert attempts.allowed("8000", "1") == 3


def test_forged_numbers_get_one_try_when_the_room_is_guessed_at():
    attempts = Attempts(Clock())
    for n in range(OF_ROOM):
        attempts.wrong("8000", str(n))
    assert attempts.allowed("8000", "another") == 1


class Door:
    """As much of a conference as asks for a PIN; ``at_once``: what others do while it is pressed."""

    def __init__(self, monkeypatch, *pressed, at_once=lambda _: None):
        self.attempts, self.told, answers = Attempts(Clock()), [], iter(pressed)

        async def asked(*_):
            at_once(self.attempts)
            return SimpleNamespace(digits=next(answers), reason="done")

        async def played(*_):
            return None

        async def prompts(*_):
            return ("sound:x",)

        monkeypatch.setattr(flow, "gather", asked)
        monkeypatch.setattr(flow, "play_prompts", played)
        self.sounds, self.rooms = SimpleNamespace(prompts=prompts), SimpleNamespace(get=lambda _: None)
        call = SimpleNamespace(params={"from": "1"})
        self.session = SimpleNamespace(call=call, record=lambda kind, **_: self.told.append(kind))

    async def __call__(self):
        caller = SimpleNamespace(leg_id="x")
        return await flow.Visit(self, self.session, caller, room())._by_pin((access("a", pin="1234"),))


@pytest.mark.parametrize(
    ("pressed", "outcome"),
    [
        (["1234"], "a"),
        (["1", "2", "1234"], "a"),
        (["1", "2", "3", "1234"], "pin_invalid"),
        (["", "", "", "1234"], "pin_invalid"),
    ],
)
async def test_the_third_wrong_pin_is_the_last(monkeypatch, pressed, outcome):
    found = await Door(monkeypatch, *pressed)()
    assert getattr(found, "id", found) == outcome


async def test_who_has_guessed_too_often_is_not_asked(monkeypatch):
    door = Door(monkeypatch, "1234")
    for _ in range(OF_CALLER):
        door.attempts.wrong("8000", "1")
    assert await door() == "too_many_pins"
    assert door.told == [Kind.ROOM_REFUSED]


async def test_calls_that_guess_at_the_same_time_have_no_more_tries_than_one_after_the_other(monkeypatch):
    def others(attempts):
        for _ in range(OF_CALLER):
            attempts.wrong("8000", "1")

    assert await Door(monkeypatch, "1234", at_once=others)() == "too_many_pins"


@pytest.mark.parametrize("how", ["refused", "cancelled"])
async def test_a_recording_that_did_not_begin_is_none_and_the_next_one_can(how):
    recorded, waiting = [], asyncio.get_running_loop().create_future()
    switch = FakeSwitch("asterisk", lambda _: None)
    await switch.start()
    live = LiveRoom(room(), switch)
    rooms = LiveRooms({"asterisk": switch}, recorded.append)

    async def committed():
        if how == "cancelled":
            await waiting

    session = SimpleNamespace(
        call=SimpleNamespace(request_id="57362de4f0"), services=SimpleNamespace(now=lambda: T0), keep=lambda *_: None,
        committed=committed,
    )  # fmt: skip
    stay = Stay(rooms, None)
    switch.failures["record_bridge"] = Refused("500", status=500)
    began = asyncio.create_task(stay.record(live, SimpleNamespace(session=session)))
    if how == "cancelled":
        await until(lambda: live.recording is not None)
        began.cancel()
    with pytest.raises((Refused, asyncio.CancelledError)):
        await began
    await until(lambda: len(recorded) == 1)
    assert live.recording is None
    assert ("stop_record", (recorded[0].removesuffix(".wav"),)) in switch.requests
    await rooms.close()
    await switch.stop()


def test_a_timeline_tells_of_the_member():
    created = {"request_id": "57362de4f0", "account": "account_1", "flow": "conference", "direction": "inbound"}
    leg = {"leg_id": "x", "role": "caller", "number": "1", "endpoint": "e", "channel_id": "c"}
    entered = {"room": "8000", "member": "x", "level": ADMIN, "direction": "IN", "number": "1", "max_duration": 60,
               "began_at": BEFORE.isoformat()}  # fmt: skip
    events = [
        Event(Kind.CALL_CREATED, T0, data=created, seq=1),
        Event(Kind.LEG_CREATED, T0, 1, leg, 2),
        Event(Kind.LEG_ANSWERED, T0, 1, seq=3),
        Event(Kind.ROOM_ENTERED, T0, data=entered, seq=4),
    ]
    held = replay(events).room
    assert (held.room, held.level, held.began_at, held.joined_at, held.left_at) == ("8000", ADMIN, BEFORE, T0, None)
    assert not held.kicked
    events += [
        Event(Kind.ROOM_HANGUP, LATER, data={"from": "WEB"}, seq=5),
        Event(Kind.LEG_ENDED, LATER, 1, seq=6),
        Event(Kind.ROOM_LEFT, LATER, data={}, seq=7),
    ]
    held = replay(events).room
    assert (held.kicked, held.left_at) == (True, LATER)
