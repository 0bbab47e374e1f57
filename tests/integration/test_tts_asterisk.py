"""Asterisk plays what was spoken, and the party at the other end of a real SIP call hears speech."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.media.tts.espeak import EspeakEngine
from engine.media.tts.files import Folder
from engine.media.tts.port import Speech
from engine.media.tts.synthesizer import Synthesizer
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.events import ChannelGone, ChannelUp, LinkRestored, PlaybackEnded
from engine.testkit import audio, heard
from engine.testkit.asterisks import TRUNK, Asterisks, asterisks
from tests.contract.switches import Heard, Line

APP = "trunkline-speech"
PIECE = 1200
"""Samples: 0.15 s."""


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Asterisks]:
    async with asterisks(APP) as both:
        yield both


@pytest.fixture
async def line(pair: Asterisks) -> AsyncIterator[Line]:
    events = Heard()
    switch = AriSwitch(pair.server, APP, events)
    await switch.start()
    await events.wait(LinkRestored)
    made = Line(switch, events, TRUNK, real=True)
    yield made
    for channel in await switch.channels():
        await switch.hangup(channel.id)
    await made.lists()
    await switch.stop()
    await pair.forgets(APP)


@pytest.fixture
async def speaker(tmp_path: Path) -> AsyncIterator[Synthesizer]:
    folder = Folder(tmp_path / "state with space" / "tts", 50 << 20)
    one = Synthesizer(EspeakEngine(), folder, deadline=60.0, fallback="sound:please-try-call-later")
    await one.start()
    yield one
    await one.close()


async def played(line: Line, pair: Asterisks, number: str, media: str) -> audio.Samples:
    """What ``number`` heard of it."""
    call = f"tl-{number}-1"
    await line.dial(call, number)
    await line.heard.wait(ChannelUp, call)
    await line.switch.play(call, f"{call}.p1", [media])
    ended = await line.heard.wait(PlaybackEnded, f"{call}.p1", seconds=60)
    assert not ended.failed
    await line.switch.hangup(call)
    await line.heard.wait(ChannelGone, call)
    return (await heard.last_call(pair.results, number)).samples


def likeness(there: audio.Samples, here: audio.Samples) -> float:
    """1 when ``here`` is heard in ``there``, at whatever level; below 0.7 for unrelated speech. Its pieces are looked for
    one by one, and the third quartile counts: what a busy machine sent late or not at all is between them, one packet in
    five leaves 0.9."""
    import numpy as np

    loud = np.abs(here).max() / 10
    pieces = [here[at : at + PIECE] for at in range(0, len(here) - PIECE + 1, PIECE)]
    return float(np.quantile([heard_in(there, piece) for piece in pieces if np.abs(piece).max() > loud], 0.75))


def heard_in(there: audio.Samples, here: audio.Samples) -> float:
    import numpy as np

    size = 1 << (len(there) + len(here)).bit_length()
    crossed = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(here, size)), size)
    lags = np.abs(crossed)
    at = int(lags.argmax())
    beside = there[at : at + len(here)]
    return float(lags[at] / (np.linalg.norm(beside) * np.linalg.norm(here))) if len(beside) == len(here) else 0.0


async def test_a_callee_hears_the_words(pair: Asterisks, line: Line, speaker: Synthesizer) -> None:
    with await speaker.speak(Speech("Welcome to Trunkline. Press one for sales.", voice="Amy")) as spoken:
        assert spoken.path is not None
        said = audio.load(spoken.path)[0]
        there = await played(line, pair, "15551230001", spoken.media)
    assert audio.speech_present(there, min_seconds=1.5)
    assert likeness(there, said) > 0.9
    loud = there[audio.WINDOW :]
    assert audio.level_dbfs(loud) > -30


async def test_a_callee_hears_a_secret_that_is_gone_then(pair: Asterisks, line: Line, speaker: Synthesizer) -> None:
    with await speaker.speak_secret(Speech("1,, 9,, 8,, 7")) as spoken:
        assert spoken.path is not None
        said = audio.load(spoken.path)[0]
        there = await played(line, pair, "15551230002", spoken.media)
    assert likeness(there, said) > 0.9
    assert not spoken.path.exists()
    log = (pair.ours.folders.log / "messages.log").read_text()
    assert "1987" not in log


async def test_a_callee_hears_the_recorded_prompt_when_nobody_can_speak(
    pair: Asterisks, line: Line, speaker: Synthesizer
) -> None:
    speaker.engine = EspeakEngine(command=("/nowhere/espeak",))
    with await speaker.speak(Speech("Never said")) as spoken:
        assert spoken.fallback
        there = await played(line, pair, "15551230003", spoken.media)
    assert audio.speech_present(there, min_seconds=0.5)
