"""One suite for the telephony port, run on the fake and on a real Asterisk with the carrier simulator."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from engine.errors import Clash, Gone, Refused, TelephonyError, UnsafeValue
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelDialing,
    ChannelEntered,
    ChannelGone,
    ChannelHangupRequested,
    ChannelLeft,
    ChannelProgress,
    ChannelRinging,
    ChannelUp,
    DtmfReceived,
    LinkRestored,
    PlaybackEnded,
    PlaybackStarted,
    RecordingEnded,
    RecordingStarted,
)
from engine.telephony.fake import FakeSwitch, by_number
from engine.testkit.asterisks import TRUNK, Asterisks, asterisks
from tests.contract.switches import Heard, Line

APP = "trunkline-contract"


@pytest.fixture(scope="module", params=["fake", "asterisk"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Asterisks | None]:
    """None stands for the fake."""
    if request.param == "fake":
        yield None
        return
    async with asterisks(APP) as both:
        yield both


@pytest.fixture
async def line(pair: Asterisks | None) -> AsyncIterator[Line]:
    heard = Heard()
    if pair is None:
        fake = FakeSwitch("asterisk", heard, callee=lambda end: by_number(end) if end.endswith(f"@{TRUNK}") else None)
        await fake.start()
        yield Line(fake, heard, TRUNK, real=False)
        await fake.stop()
        return
    switch = AriSwitch(pair.server, APP, heard)
    await switch.start()
    await heard.wait(LinkRestored)
    made = Line(switch, heard, TRUNK, real=True)
    yield made
    for channel in await switch.channels():
        await switch.hangup(channel.id)
    for bridge in await switch.bridges():
        await switch.destroy_bridge(bridge.id)
    await made.lists(bridges=0)
    await switch.stop()
    await pair.forgets(APP)


@pytest.fixture
def call() -> str:
    return f"tl-{secrets.token_hex(5)}-1"


async def test_answered_call_tells_each_fact_once_in_order(line: Line, call: str) -> None:
    made = await line.switch.create_channel(call, line.endpoint("15550001111"), caller_id="15168148111")
    assert made.id == call
    assert made.state == "Down"
    entered = await line.heard.wait(ChannelEntered, call)
    assert entered.channel.call_id
    assert entered.at.utcoffset() is not None
    await line.switch.dial(call, timeout=60)
    await line.heard.wait(ChannelUp, call)
    await line.switch.hangup(call)
    gone = await line.heard.wait(ChannelGone, call)
    assert (gone.cause, gone.sip_code) == (16, None)
    assert line.heard.of(ChannelHangupRequested, call)[0].ours
    first, *early, up, requested, left, ended = line.heard.kinds(call)
    # Asterisk tells of the dialling and of the ringing by two topics, and under load of the second one first.
    assert [first, *sorted(early), up, requested, left, ended] == [
        "ChannelEntered",
        "ChannelDialing",
        "ChannelRinging",
        "ChannelUp",
        "ChannelHangupRequested",
        "ChannelLeft",
        "ChannelGone",
    ]


@pytest.mark.parametrize(
    ("ending", "cause", "code"), [("0486", 17, 486), ("0404", 1, 404), ("0503", 34, 503), ("0603", 21, 603)]
)
async def test_refusal_has_cause_and_sip_code(line: Line, call: str, ending: str, cause: int, code: int) -> None:
    await line.dial(call, f"1555000{ending}")
    gone = await line.heard.wait(ChannelGone, call)
    assert (gone.cause, gone.sip_code) == (cause, code)
    assert not line.heard.of(ChannelHangupRequested, call)[0].ours
    assert not line.heard.of(ChannelUp, call)


async def test_ring_timeout_is_ours_and_no_answer(line: Line, call: str) -> None:
    await line.dial(call, "15550000000", timeout=3)
    await line.heard.wait(ChannelRinging, call)
    gone = await line.heard.wait(ChannelGone, call)
    assert gone.cause == 19
    assert line.heard.of(ChannelHangupRequested, call)[0].ours


async def test_cancel_while_ringing(line: Line, call: str) -> None:
    await line.dial(call, "15550000000")
    await line.heard.wait(ChannelRinging, call)
    await line.switch.hangup(call)
    gone = await line.heard.wait(ChannelGone, call)
    assert (gone.cause, gone.sip_code) == (16, None)


async def test_party_hangs_up(line: Line, call: str) -> None:
    await line.dial(call, "15550003000")
    await line.heard.wait(ChannelGone, call)
    request = line.heard.of(ChannelHangupRequested, call)[0]
    assert not request.ours
    assert request.cause in {None, 0, 16}


async def test_early_media_is_progress(line: Line, call: str) -> None:
    await line.dial(call, "15550006002")
    await line.heard.wait(ChannelProgress, call)
    await line.heard.wait(ChannelUp, call)
    assert len(line.heard.of(ChannelDialing, call)) == 1
    assert len(line.heard.of(ChannelProgress, call)) == 1


async def test_absolute_timeout_ends_the_channel(line: Line, call: str) -> None:
    await line.switch.create_channel(
        call, line.endpoint("15550001111"), caller_id="", variables={"TIMEOUT(absolute)": "4"}
    )
    await line.heard.wait(ChannelEntered, call)
    await line.switch.dial(call, timeout=60)
    await line.heard.wait(ChannelUp, call)
    gone = await line.heard.wait(ChannelGone, call)
    assert gone.cause == 16
    assert not line.heard.of(ChannelHangupRequested, call)


async def test_hangup_of_what_is_gone_is_no_error(line: Line, call: str) -> None:
    await line.switch.hangup(call)
    await line.switch.stop_play("tl-none")
    await line.switch.stop_record("tl-none")
    await line.switch.destroy_bridge("tl-none")
    await line.switch.delete_recording("tl-none")


async def test_an_id_that_lives_is_refused(line: Line, call: str) -> None:
    await line.dial(call, "15550000000")
    with pytest.raises(Clash):
        await line.switch.create_channel(call, line.endpoint("15550000000"), caller_id="")
    with pytest.raises(Clash):  # Asterisk looks ids up by their beginning here, and here alone
        await line.switch.create_channel(call[:-1], line.endpoint("15550000000"), caller_id="")
    with pytest.raises(Gone):
        await line.switch.answer(call[:-1])
    await line.switch.create_channel(f"{call}0", line.endpoint("15550000000"), caller_id="")


async def test_commands_to_a_channel_that_is_gone(line: Line, call: str) -> None:
    with pytest.raises(Gone):
        await line.switch.dial(call, timeout=5)
    with pytest.raises(Gone):
        await line.switch.answer(call)
    with pytest.raises(Gone):
        await line.switch.play(call, "tl-p", ["sound:beep"])
    with pytest.raises(Gone):
        await line.switch.bridge_add("tl-none", call)
    await line.switch.create_bridge(f"{call}.b")
    with pytest.raises(Gone):
        await line.switch.bridge_add(f"{call}.b", call)


async def test_unknown_endpoint_is_refused(line: Line, call: str) -> None:
    with pytest.raises(Refused):
        await line.switch.create_channel(call, "PJSIP/999", caller_id="")
    await line.lists()


@pytest.mark.parametrize("endpoint", ["Local/1@x", "PJSIP/1&PJSIP/2", "PJSIP/1,30,g", "PJSIP/${X}@t", "PJSIP/1@t\r\n"])
async def test_hostile_endpoint_never_leaves(line: Line, call: str, endpoint: str) -> None:
    with pytest.raises(UnsafeValue):
        await line.switch.create_channel(call, endpoint, caller_id="")


async def test_hostile_caller_id_never_leaves(line: Line, call: str) -> None:
    with pytest.raises(UnsafeValue):
        await line.switch.create_channel(call, line.endpoint("15550001111"), caller_id='1" <2>')


async def test_bridge_life(line: Line, call: str) -> None:
    other, bridge = f"{call[:-1]}2", f"{call}.b"
    await asyncio.gather(line.dial(call, "15550001111"), line.dial(other, "15550001112"))
    await line.heard.wait(ChannelUp, call)
    await line.heard.wait(ChannelUp, other)
    await line.switch.create_bridge(bridge)
    await line.switch.create_bridge(bridge)
    await line.switch.bridge_add(bridge, call, other)
    await line.heard.wait(BridgeEntered, call)
    await line.heard.wait(BridgeEntered, other)
    (info,) = await line.switch.bridges()
    assert (info.id, set(info.channels)) == (bridge, {call, other})
    await line.switch.bridge_remove(bridge, other)
    await line.heard.wait(BridgeLeft, other)
    await line.switch.hangup(call)
    await line.heard.wait(ChannelGone, call)
    order = line.heard.kinds(call)
    assert order[-4:] == ["ChannelHangupRequested", "BridgeLeft", "ChannelLeft", "ChannelGone"]
    await line.switch.destroy_bridge(bridge)
    await line.lists(other, bridges=0)


async def test_a_bridge_that_several_make_at_once_is_there_for_all_of_them(line: Line, call: str) -> None:
    for turn in range(20):
        bridge = f"{call}.b{turn}"
        await asyncio.gather(*(line.switch.create_bridge(bridge) for _ in range(4)))
        assert [each.id for each in await line.switch.bridges()] == [bridge]
        await line.switch.destroy_bridge(bridge)
        await line.lists(bridges=0)


async def test_early_bridge_carries_the_call_on(line: Line, call: str) -> None:
    """create, add to a bridge, dial: how the caller gets the carrier's early media."""
    bridge = f"{call}.b"
    await line.switch.create_channel(call, line.endpoint("15550006002"), caller_id="15168148111")
    await line.heard.wait(ChannelEntered, call)
    await line.switch.create_bridge(bridge)
    await line.switch.bridge_add(bridge, call)
    await line.heard.wait(BridgeEntered, call)
    await line.switch.dial(call, timeout=60)
    await line.heard.wait(ChannelUp, call)
    (info,) = await line.switch.bridges()
    assert info.channels == (call,)


async def test_playback_ends_by_itself(line: Line, call: str) -> None:
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.play(call, f"{call}.p", ["sound:beep", "digits:12"])
    await line.heard.wait(PlaybackStarted, f"{call}.p")
    ended = await line.heard.wait(PlaybackEnded, f"{call}.p")
    assert not ended.failed


async def test_tone_plays_until_it_is_stopped(line: Line, call: str) -> None:
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.play(call, f"{call}.p", ["tone:busy"])
    await line.heard.wait(PlaybackStarted, f"{call}.p")
    await line.switch.stop_play(f"{call}.p")
    await line.heard.wait(PlaybackEnded, f"{call}.p")


async def test_playback_ends_with_its_channel(line: Line, call: str) -> None:
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.play(call, f"{call}.p", ["tone:busy"])
    await line.heard.wait(PlaybackStarted, f"{call}.p")
    await line.switch.hangup(call)
    await line.heard.wait(ChannelGone, call)
    await line.heard.wait(PlaybackEnded, f"{call}.p")


async def test_play_to_a_bridge(line: Line, call: str) -> None:
    bridge = f"{call}.b"
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.create_bridge(bridge)
    await line.switch.bridge_add(bridge, call)
    await line.heard.wait(BridgeEntered, call)
    await line.switch.play(bridge, f"{call}.p", ["sound:beep"], bridge=True)
    await line.heard.wait(PlaybackEnded, f"{call}.p")


async def test_recording_by_snoop(line: Line, call: str, tmp_path: Path) -> None:
    snoop, name = f"{call}.snoop", f"{call}.rec"
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.snoop(call, snoop)
    entered = await line.heard.wait(ChannelEntered, snoop)
    assert entered.channel.state == "Up"
    await line.switch.record(snoop, name)
    await line.heard.wait(RecordingStarted, name)
    with pytest.raises(Clash):
        await line.switch.record(snoop, name)
    await line.switch.stop_record(name)
    ended = await line.heard.wait(RecordingEnded, name)
    assert not ended.failed
    assert await line.switch.fetch_recording(name, tmp_path / "kept.wav")
    assert (tmp_path / "kept.wav").read_bytes()[:4] == b"RIFF"
    await line.switch.delete_recording(name)
    assert not await line.switch.fetch_recording(name, tmp_path / "none.wav")
    assert not (tmp_path / "none.wav.part").exists()


async def test_snoop_and_its_recording_end_with_the_channel(line: Line, call: str, tmp_path: Path) -> None:
    snoop, name = f"{call}.snoop", f"{call}.rec"
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.snoop(call, snoop)
    await line.heard.wait(ChannelEntered, snoop)
    await line.switch.record(snoop, name)
    await line.heard.wait(RecordingStarted, name)
    await line.switch.hangup(call)
    await line.heard.wait(ChannelLeft, snoop)
    await line.heard.wait(RecordingEnded, name)
    await line.heard.wait(ChannelGone, call)
    assert not line.heard.of(ChannelGone, snoop)
    await line.lists()
    assert await line.switch.fetch_recording(name, tmp_path / "kept.wav")


async def test_keys_of_the_party(line: Line, call: str) -> None:
    await line.dial(call, "15550004275")
    await line.heard.wait(DtmfReceived, call, number=3)
    assert "".join(event.digit for event in line.heard.of(DtmfReceived, call)) == "275"


async def test_keys_are_heard_in_a_bridge(line: Line, call: str) -> None:
    other, bridge = f"{call[:-1]}2", f"{call}.b"
    await asyncio.gather(line.dial(call, "15550004275"), line.dial(other, "15550001112"))
    await line.heard.wait(ChannelUp, other)
    await line.switch.create_bridge(bridge)
    await line.switch.bridge_add(bridge, call, other)
    await line.heard.wait(DtmfReceived, call, number=3)


async def test_small_commands_are_taken(line: Line, call: str) -> None:
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.set_variable(call, "TRUNKLINE_STEP", "destination")
    assert await line.switch.get_variable(call, "TRUNKLINE_STEP") == "destination"
    assert await line.switch.get_variable(call, "TRUNKLINE_NONE") == ""
    assert await line.switch.get_variable("tl-none", "TRUNKLINE_STEP") == ""
    with pytest.raises(UnsafeValue):
        await line.switch.get_variable(call, "SHELL(id; ls)")
    await line.switch.ring(call)
    await line.switch.ring_stop(call)
    await line.switch.hold_music(call, on=True)
    await line.switch.hold_music(call, on=False)
    await line.switch.mute(call, "both", on=True)
    await line.switch.mute(call, "in", on=False)
    await line.switch.send_dtmf(call, "12#")
    (listed,) = await line.switch.channels()
    assert (listed.id, listed.state) == (call, "Up")


async def test_leave_for_the_dialplan(line: Line, call: str) -> None:
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.leave(call, "no-such-context")
    await line.heard.wait(ChannelLeft, call)


async def test_a_partys_live_sound(line: Line, call: str) -> None:
    ear, live, hall = f"{call}.ear", f"{call}.sound", f"{call}.hall"
    await line.dial(call, "15550001111")
    await line.heard.wait(ChannelUp, call)
    await line.switch.snoop(call, ear)
    await line.switch.create_bridge(hall, kind="mixing")
    key = await line.switch.sound_channel(live)
    assert not line.heard.of(ChannelEntered, live)
    pieces: list[bytes] = []

    async def listen() -> None:
        async with aclosing(line.switch.hear(key)) as sound:
            async for piece in sound:
                pieces.append(piece)
                if len(pieces) == 10:
                    return

    listening = asyncio.create_task(listen())
    await line.heard.wait(ChannelEntered, live)
    await line.heard.wait(ChannelEntered, ear)
    await line.switch.bridge_add(hall, ear, live)
    await asyncio.wait_for(listening, 60)
    assert {len(piece) for piece in pieces} == {160}
    await line.heard.wait(ChannelGone, live)
    await line.switch.hangup(call)
    await line.heard.wait(ChannelLeft, ear)


async def test_sound_of_no_channel(line: Line, call: str) -> None:
    with pytest.raises(TelephonyError):
        async with aclosing(line.switch.hear("9f0c5b1e-0000-0000-0000-000000000000")) as sound:
            await anext(sound)


async def test_live_sound_ends_with_its_channel(line: Line, call: str) -> None:
    key = await line.switch.sound_channel(f"{call}.sound")

    async def listen() -> list[bytes]:
        async with aclosing(line.switch.hear(key)) as sound:
            return [piece async for piece in sound]

    listening = asyncio.create_task(listen())
    await line.heard.wait(ChannelEntered, f"{call}.sound")
    await line.switch.hangup(f"{call}.sound")
    assert await asyncio.wait_for(listening, 60) == []
