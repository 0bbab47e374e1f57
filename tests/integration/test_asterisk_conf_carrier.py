"""The carrier simulator's callees (CONTRACT.md §4), each called by real SIP: causes, order, sound and what is kept."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from engine.embedded.carrier import Heard, early_tone_hz, place_inbound, results, tone_hz
from engine.testkit import audio
from engine.testkit.audio import Samples
from engine.testkit.poll import eventually
from tests.integration.asterisk_pair import APP, Ari, Pair, ari, running_pair


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    async with running_pair() as both:
        yield both


async def recorded(pair: Pair, client: Ari, channel: str) -> None:
    """Record what comes from the callee, by a snoop, as the engine does."""
    spy = f"snoop-{channel}"
    await client.request("POST", f"/channels/{channel}/snoop", spy="in", app=APP, snoopId=spy)
    await client.of("StasisStart", spy)
    await client.request("POST", f"/channels/{spy}/record", name=channel, format="wav")


async def said(pair: Pair, client: Ari, channel: str) -> Samples:
    await client.wait(lambda event: event["type"] == "RecordingFinished" and event["recording"]["name"] == channel)
    return audio.load(pair.ours.folders.spool / "recording" / f"{channel}.wav")[0]


async def until_said(pair: Pair, channel: str, seconds: float) -> None:
    """Until the recording is that long."""
    path = pair.ours.folders.spool / "recording" / f"{channel}.wav"

    async def long_enough() -> bool:
        return path.exists() and path.stat().st_size >= seconds * 16000

    await eventually(long_enough, within=seconds + 60, what=f"{seconds} s of sound from {channel}")


async def sound_of(pair: Pair, client: Ari, number: str, seconds: float) -> Samples:
    """What a callee says in its first seconds."""
    channel = f"leg-{number}"
    await client.leg(channel, number)
    await client.of("Up", channel)
    await recorded(pair, client, channel)
    await until_said(pair, channel, seconds)
    await client.end(channel)
    return await said(pair, client, channel)


def rang(kept: Heard) -> float:
    """Seconds by the callee's own clock: between two programs each of them may be late."""
    return (kept.answered_at or 0) - kept.started


def talked(kept: Heard) -> float:
    return kept.ended - (kept.answered_at or 0)


@pytest.mark.parametrize(
    ("digits", "status", "cause"),
    [("0486", 486, 17), ("0603", 603, 21), ("0404", 404, 1), ("0480", 480, 19), ("0503", 503, 34)],
)
async def test_refusals(pair: Pair, digits: str, status: int, cause: int) -> None:
    number, channel = f"91997927{digits}", f"leg-{digits}"
    async with ari(pair) as client:
        await client.leg(channel, number)
        ended = await client.of("ChannelDestroyed", channel)
        assert (ended["tech_cause"], ended["cause"]) == (status, cause)
        assert not {"Ringing", "Up"} & set(client.seen(channel))
    kept = await pair.heard(number)
    assert (kept.answered, kept.answered_at, kept.wav, kept.caller) == (False, None, None, "15168148111")


async def test_default_rings_answers_and_talks(pair: Pair) -> None:
    number = "919979270001"
    async with ari(pair) as client:
        sound = await sound_of(pair, client, number, 1.0)
        channel = f"leg-{number}"
        assert [kind for kind in client.seen(channel) if kind in ("Ringing", "Up")] == ["Ringing", "Up"]
        protocol_id = (await client.of("Up", channel))["channel"]["protocol_id"]
    assert audio.tone_present(sound, tone_hz(number), min_seconds=0.7)
    kept = await pair.heard(number)
    assert kept.answered
    assert 0.25 < rang(kept) < 10
    assert talked(kept) > 0
    assert (kept.tone_hz, kept.call_id, kept.caller) == (tone_hz(number), protocol_id, "15168148111")


async def test_what_a_callee_hears_is_kept_without_its_own_voice(pair: Pair) -> None:
    """Two callees bridged: each hears the other's tone, and while the second rings the first hears ringback."""
    first, second = "919979270021", "918000682001"
    async with ari(pair) as client:
        await client.leg("hear-1", first)
        await client.of("Up", "hear-1")
        await client.request("POST", "/bridges", type="mixing,dtmf_events", bridgeId="hear")
        await client.request("POST", "/bridges/hear/addChannel", channel="hear-1")
        params = {"endpoint": f"PJSIP/{second}@carrier", "app": APP, "channelId": "hear-2"}
        await client.request("POST", "/channels/create", body={"variables": {"CONNECTEDLINE(num)": "777"}}, **params)
        await client.of("StasisStart", "hear-2")
        await client.request("POST", "/bridges/hear/addChannel", channel="hear-2", inhibitConnectedLineUpdates="true")
        await client.request("POST", "/channels/hear-2/dial")
        await client.of("Up", "hear-2")
        await recorded(pair, client, "hear-2")
        await until_said(pair, "hear-2", 1.0)
        await client.request("POST", "/channels/hear-1/dtmf", dtmf="5#")
        await until_said(pair, "hear-2", 4.0)
        await client.end("hear-1")
        await client.end("hear-2")
        await client.request("DELETE", "/bridges/hear")
    one, two = await pair.heard(first), await pair.heard(second)
    assert one.wav
    assert two.wav
    heard_one, heard_two = audio.load(one.wav)[0], audio.load(two.wav)[0]
    assert audio.tone_present(heard_one, 440, 480, min_seconds=0.5, share=0.2), "ringback while the second rings"
    assert audio.tone_present(heard_one, tone_hz(second), min_seconds=1.0)
    assert not audio.tone_present(heard_one, tone_hz(first))
    assert audio.tone_present(heard_two, tone_hz(first), min_seconds=1.0)
    assert not audio.tone_present(heard_two, tone_hz(second))
    assert one.received_dtmf == "5#"
    assert two.caller == "777"
    assert abs(audio.duration(heard_two) - (two.ended - (two.answered_at or 0))) < 1.5, "in real time"


async def test_rings_for_ever_until_it_is_cancelled(pair: Pair) -> None:
    async with ari(pair) as client:
        await client.leg("for-ever", "919979270000")
        await client.of("Ringing", "for-ever")
        assert "tech_cause" not in await client.end("for-ever")
    kept = await pair.heard("919979270000")
    assert not kept.answered
    assert kept.ended - kept.started < 30


async def test_never_answers_a_packet(pair: Pair) -> None:
    async with ari(pair) as client:
        before = pair.front.dropped
        await client.leg("deaf", "919979270408")

        async def knocked() -> bool:
            return pair.front.dropped >= before + 3

        await eventually(knocked, within=30, what="second retransmission")
        assert not {"Ringing", "Up", "ChannelDestroyed"} & set(client.seen("deaf"))
        await client.end("deaf")
    assert not list(pair.results.glob("919979270408-*"))


@pytest.mark.long
async def test_never_answering_ends_with_sips_own_timeout(pair: Pair) -> None:
    async with ari(pair) as client:
        await client.leg("deaf-2", "919979270408")
        ended = await client.of("ChannelDestroyed", "deaf-2", within=40)
        assert (ended["tech_cause"], ended["cause"]) == (408, 18)


async def test_answers_after_so_many_seconds(pair: Pair) -> None:
    async with ari(pair) as client:
        await client.leg("late", "919979272002")
        await client.of("Ringing", "late")
        await client.of("Up", "late")
        await client.end("late")
    assert 1.9 < rang(await pair.heard("919979272002")) < 30


async def test_hangs_up_so_many_seconds_after_the_answer(pair: Pair) -> None:
    async with ari(pair) as client:
        await client.leg("short", "919979273001")
        up, ended = await client.of("Up", "short"), await client.of("ChannelDestroyed", "short")
        assert up["at"] <= ended["at"]
        assert ended["cause"] in (0, 16)
        assert "tech_cause" not in ended
    assert 0.9 < talked(await pair.heard("919979273001")) < 30


async def test_presses_keys_a_second_after_the_answer(pair: Pair) -> None:
    number = "919979274129"
    async with ari(pair) as client:
        await client.leg("keys", number)
        await client.of("Up", "keys")
        last = await client.wait(lambda event: event["type"] == "ChannelDtmfReceived" and event["digit"] == "9")
        assert client.keys("keys") == "129"
        await client.end("keys")
    kept = await pair.heard(number)
    assert kept.pressed == "129"
    assert last["at"] - (kept.answered_at or 0) > 1


async def test_machines_faxes_and_voices(pair: Pair) -> None:
    """All at the same time: the longest greets for eight seconds."""
    numbers = ("919979275001", "919979275002", "919979275004", "919979276001", "919979276004")
    async with ari(pair) as client:
        sounds = await asyncio.gather(
            *(
                sound_of(pair, client, number, seconds)
                for number, seconds in zip(numbers, (10, 10, 4, 1.5, 2.5), strict=True)
            )
        )
    beeping, plain, fax, silent, hello = sounds
    for machine in (beeping, plain):
        assert audio.speech_present(machine, min_seconds=2)
    assert audio.tone_seconds(beeping, 1000) == pytest.approx(0.5, abs=0.15)
    assert not audio.tone_present(plain, 1000)
    assert audio.is_silent(plain[-8000:]), "it listens"
    assert audio.is_silent(beeping[-4000:])
    assert audio.tone_present(fax, 2100, min_seconds=1.5)
    assert audio.is_silent(silent)
    assert audio.speech_present(hello, min_seconds=0.2)
    assert audio.is_silent(hello[-8000:])


async def test_the_second_call_while_it_rings_goes_to_voicemail(pair: Pair) -> None:
    number = "919979275003"
    async with ari(pair) as client:
        await client.leg("first", number)
        await client.of("Ringing", "first")
        await client.leg("second", number)
        await client.of("Up", "second")
        assert "Up" not in client.seen("first")
        await recorded(pair, client, "second")
        await until_said(pair, "second", 9.5)
        await client.end("second")
        voicemail = await said(pair, client, "second")
        await client.of("Up", "first")
        await client.end("first")
    await pair.heard(number, after=1)
    assert 9.9 < rang(await pair.heard(number)) < 60, "its owner takes it after ten seconds"
    assert audio.speech_present(voicemail, min_seconds=2)
    assert audio.tone_present(voicemail, 1000)


async def test_early_media_then_an_answer(pair: Pair) -> None:
    caller, number = "919979270031", "919979276002"
    async with ari(pair) as client:
        await client.leg("early-1", caller)
        await client.of("Up", "early-1")
        await client.request("POST", "/bridges", type="mixing,dtmf_events", bridgeId="early")
        await client.request("POST", "/bridges/early/addChannel", channel="early-1")
        params = {"endpoint": f"PJSIP/{number}@carrier", "app": APP, "channelId": "early-2"}
        await client.request("POST", "/channels/create", **params)
        await client.of("StasisStart", "early-2")
        await client.request("POST", "/bridges/early/addChannel", channel="early-2")
        await client.request("POST", "/channels/early-2/dial")
        await client.of("Up", "early-2")
        await recorded(pair, client, "early-2")
        await until_said(pair, "early-2", 1.0)
        assert "Ringing" not in client.seen("early-2"), "183 alone"
        await client.end("early-1")
        await client.end("early-2")
        await client.request("DELETE", "/bridges/early")
    wav = (await pair.heard(caller)).wav
    assert wav
    sound = audio.load(wav)[0]
    assert audio.tone_present(sound, early_tone_hz(number), min_seconds=1.5)
    assert audio.tone_present(sound, tone_hz(number), min_seconds=0.7)


async def test_echo(pair: Pair) -> None:
    async with ari(pair) as client:
        await client.leg("echo", "919979276003")
        await client.of("Up", "echo")
        await recorded(pair, client, "echo")
        await client.request("POST", "/channels/echo/play", media="sound:vm-intro")
        await until_said(pair, "echo", 2.5)
        await client.end("echo")
        sound = await said(pair, client, "echo")
    assert audio.speech_present(sound, min_seconds=0.8)


async def test_nothing_is_kept_while_recording_is_off(pair: Pair) -> None:
    switch = pair.results / "no-recording"
    switch.touch()
    try:
        async with ari(pair) as client:
            await client.leg("unkept", "919979273000")
            await client.of("ChannelDestroyed", "unkept")
            await client.leg("unkept-2", "919979273000")
            await client.of("ChannelDestroyed", "unkept-2")
        assert not list(pair.results.glob("919979273000-*"))
    finally:
        switch.unlink()


async def test_a_call_into_the_engine_that_is_refused_is_kept_too(pair: Pair) -> None:
    place_inbound(pair.carrier.folders, "15550004321", "15557000009")  # no engine: 503 after the announcement
    kept = await pair.heard("15550004321")
    assert not kept.answered
    assert kept.wav is None


async def test_calls_of_a_dead_asterisk_end_by_themselves(pair: Pair) -> None:
    """The far ends of a killed Asterisk get no BYE; 20 s without a packet end them. Here: the timer is set."""
    shown = await pair.carrier.console("pjsip show endpoint engine")
    assert any(
        line.split(":")[1].strip() == "20" for line in shown.splitlines() if line.strip().startswith("rtp_timeout ")
    )


def test_templates_have_no_machine_path() -> None:
    conf = Path(__file__).parents[2] / "engine" / "embedded" / "carrier_conf"
    assert all("/tmp" not in path.read_text() and "/root" not in path.read_text() for path in conf.glob("*.conf"))


@pytest.mark.long
async def test_a_silent_leg_lives_longer_than_the_far_ends_rtp_timeout(pair: Pair) -> None:
    """A leg that waits in Stasis sends no sound; comfort noise each 5 s tells the far end that it is there."""
    async with ari(pair) as client:
        await client.leg("silent", "919979270051")
        await client.of("Up", "silent")
        with pytest.raises(TimeoutError):
            await client.of("ChannelDestroyed", "silent", within=26)
        await client.end("silent")


@pytest.mark.long
async def test_far_ends_of_a_killed_asterisk_end_by_themselves() -> None:
    async with running_pair() as doomed:
        with contextlib.suppress(aiohttp.ClientError):  # the ARI link of the killed one
            async with ari(doomed) as client:
                await client.leg("orphan", "919979270061")
                await client.of("Up", "orphan")
                await doomed.ours.stop(signal.SIGKILL)

        async def kept() -> Heard | None:
            found = results(doomed.results, "919979270061")
            return found[0] if found else None

        far_end = await eventually(kept, within=40, what="end of the far end")
        assert 15 < far_end.ended - (far_end.answered_at or 0) < 35
