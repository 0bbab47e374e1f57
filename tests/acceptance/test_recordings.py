"""Recordings: each side on its own, found by its tone; served to its account alone, whole and in ranges."""

import asyncio

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from tests.acceptance.conversations import click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIDES = {"both": ("agent", "customer"), "on": ("agent", "customer"), "agent": ("agent",), "customer": ("customer",)}
"""``recording_option`` → what is in the channels, left first."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorded(stack):
    """A conversation of six seconds with each option, and with none."""
    options = [*SIDES, "off", None]
    fields = [{"recording_option": option} if option else {} for option in options]
    done = await asyncio.gather(
        *(click_to_call(stack.api, stack, customer=numbers.ending("3006"), **each) for each in fields)
    )
    return dict(zip(options, done, strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sound(stack, recorded):
    """Option → channels of its recording."""
    replies = await asyncio.gather(*(stack.api.recording(recorded[option].cdr["recording_name"]) for option in SIDES))
    return {option: audio.decode(reply.expect(200).body) for option, reply in zip(SIDES, replies, strict=True)}


@pytest.mark.parametrize("option", SIDES)
async def test_each_side_is_in_its_own_channel(recorded, sound, option):
    done, channels = recorded[option], sound[option]
    tones = {"agent": numbers.tone_hz(done.agent_number), "customer": numbers.tone_hz(done.customer_number)}
    assert len(channels) == len(SIDES[option]), "one channel for each side"
    for side, channel in zip(SIDES[option], channels, strict=True):
        other = "customer" if side == "agent" else "agent"
        assert audio.tone_present(channel, tones[side], min_seconds=2), f"{side} is not heard\n{done.story}"
        assert not audio.tone_present(channel, tones[other], min_seconds=0.2), f"{other} is in the {side}'s channel"


@pytest.mark.parametrize("option", SIDES)
async def test_it_is_as_long_as_the_conversation(recorded, sound, option):
    for channel in sound[option]:
        assert abs(audio.duration(channel) - recorded[option].cdr["billsec"]) < 3


async def test_both_sides_are_in_step(recorded, sound):
    """The tones of both begin together: they were recorded from the same moment."""
    for option in ("both", "on"):
        left, right = sound[option]
        assert len(left) == len(right)
        begins = [_first_sound(channel) for channel in (left, right)]
        assert abs(begins[0] - begins[1]) < 1.5, begins


@pytest.mark.parametrize("option", ["off", None])
async def test_without_the_option_nothing_is_recorded(stack, recorded, option):
    done = recorded[option]
    assert done.cdr["recording_name"] == ""
    assert done.call["recording_name"] is None
    assert "recording.started" not in [event["type"] for event in await stack.api.events(done.request_id)]


async def test_its_timeline_says_when_it_was_ready(stack, recorded, sound):
    for option in SIDES:
        kinds = [event["type"] for event in await stack.api.events(recorded[option].request_id)]
        assert kinds.count("recording.started") == kinds.count("recording.ready") == 1


async def test_ranges(stack, recorded, sound):
    path = f"/api/recordings/{recorded['both'].cdr['recording_name']}"
    whole = (await stack.api.get(path)).expect(200)
    assert whole.headers["Content-Type"] == "audio/wav"
    assert int(whole.headers["Content-Length"]) == len(whole.body)
    first = (await stack.api.get(path, {"Range": "bytes=0-43"})).expect(206)
    assert first.body == whole.body[:44]
    assert first.headers["Content-Range"] == f"bytes 0-43/{len(whole.body)}"
    assert (await stack.api.get(path, {"Range": "bytes=1000-"})).expect(206).body == whole.body[1000:]
    assert (await stack.api.get(path, {"Range": "bytes=-100"})).expect(206).body == whole.body[-100:]
    (await stack.api.get(path, {"Range": f"bytes={len(whole.body)}-"})).expect(416)


async def test_another_account_has_no_such_recording(stack, recorded, sound):
    name = recorded["both"].cdr["recording_name"]
    (await stack.api2.get(f"/api/recordings/{name}")).expect(404)
    (await stack.api.get(f"/api/recordings/{name}", {"auth": "wrong"})).expect(401)


async def test_recordings_that_are_not_there(stack):
    for name in ("0123456789.wav", "..%2f..%2fsecrets.json", "%2e%2e%2fengine.yaml", "a%00b"):
        assert (await stack.api.get(f"/api/recordings/{name}")).status in (400, 404)


async def test_a_call_nobody_answered_has_no_recording(stack, hasty):
    done = await click_to_call(hasty, stack, customer=numbers.ending(numbers.BUSY), recording_option="both")
    assert done.cdr["recording_name"] == ""


def _first_sound(channel):
    """Seconds until something is heard."""
    step = audio.WINDOW // 2
    places = (at for at in range(0, len(channel) - step, step) if not _quiet(channel[at : at + step]))
    return next(places, len(channel)) / audio.RATE


def _quiet(piece):
    return audio.level_dbfs(piece) < audio.SILENCE
