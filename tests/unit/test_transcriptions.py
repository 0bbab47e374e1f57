"""Jobs of transcripts, their process, and the recognisers' edges."""

import asyncio
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.config import Stt, parse
from engine.errors import ConfigError, StoreAway
from engine.media import worker
from engine.media.stt import recognise
from engine.media.stt.jobs import TRIES, Transcriptions
from engine.media.stt.phrases import RATE, phrases
from engine.media.stt.port import CannotTranscribe, Segment, Transcription, TranscriptionFailed
from engine.media.stt.process import ProcessRecogniser
from tests.unit.media_fakes import FakeTranscripts, transcript
from tests.waiting import until

SAID = Transcription("fake", "en-US", 2.0, (Segment("agent", 0.1, 0.9, "hello"),))


class Recogniser:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []

    async def transcribe(self, recording, speakers):
        self.asked.append((recording, tuple(speakers)))
        outcome = self.outcomes.pop(0) if self.outcomes else SAID
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def jobs(tmp_path):
    def make(*rows, outcomes=()):
        for row in rows:
            (tmp_path / row.account).mkdir(exist_ok=True)
            (tmp_path / row.account / row.recording).write_bytes(b"sound")
        return Transcriptions(FakeTranscripts(*rows), Recogniser(*outcomes), tmp_path, "e1")

    return make


async def finish(jobs):
    """Run it until nothing is to be done."""
    task = asyncio.create_task(jobs.run())
    await until(lambda: all(row.state in ("ready", "failed") for row in jobs.table.rows.values()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_that_is_due_is_made(jobs):
    made = jobs(transcript())
    await finish(made)
    assert made.table.rows["57362de4f0"].text == "agent: hello"
    ((recording, speakers),) = made.recogniser.asked
    assert (recording, speakers) == (made.folder / "account_1/57362de4f0.wav", ("agent", "customer"))
    assert recording.exists()


async def test_a_recording_that_nobody_wanted_goes_also_when_it_failed(jobs):
    rows = [transcript("0000000001", kept=False), transcript("0000000002", kept=False)]
    made = jobs(*rows, outcomes=[SAID, CannotTranscribe("no")])
    await finish(made)
    assert [row.state for row in made.table.rows.values()] == ["ready", "failed"]
    assert all(row.discarded for row in made.table.rows.values())
    assert not [path for path in made.folder.rglob("*") if path.is_file()]


async def test_a_bad_try_is_tried_again_and_then_given_up(jobs):
    made = jobs(transcript(), outcomes=[TranscriptionFailed("died")] * TRIES)
    await finish(made)
    row = made.table.rows["57362de4f0"]
    assert (row.state, row.attempts, row.error) == ("failed", TRIES, "died")
    assert len(made.recogniser.asked) == TRIES


async def test_one_that_ends_the_engine_each_time_is_given_up(jobs):
    made = jobs(transcript(attempts=TRIES))
    await finish(made)
    assert made.table.rows["57362de4f0"].state == "failed"
    assert made.recogniser.asked == []


async def test_a_restart_takes_up_what_ran_and_deletes_what_was_to_go(jobs):
    made = jobs(transcript("0000000001", state="running"), transcript("0000000002", state="ready", kept=False))
    await made.recover()
    await finish(made)
    assert made.table.rows["0000000001"].state == "ready"
    assert made.table.rows["0000000002"].discarded
    assert not (made.folder / "account_1/0000000002.wav").exists()


async def test_an_outage_of_the_database_ends_nothing(jobs, monkeypatch):
    monkeypatch.setattr("engine.media.stt.jobs.AWAY", 0.01)
    made = jobs(transcript(), outcomes=[ValueError("a bug")])
    claim, away = made.table.claim, [StoreAway("away"), StoreAway("away")]

    async def sometimes(engine, seconds):
        if away:
            raise away.pop()
        return await claim(engine, seconds)

    made.table.claim = sometimes
    task = asyncio.create_task(made.run())
    await until(lambda: made.table.rows["57362de4f0"].state == "ready")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_news_wakes_it(jobs):
    made = jobs()
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    row = transcript()
    (made.folder / "account_1").mkdir()
    made.table.rows[row.request_id] = row
    made.table.due.append(row.request_id)
    made.heard("accounts")
    made.heard("transcripts")
    await until(lambda: made.table.rows[row.request_id].state == "ready")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# -- the process ----------------------------------------------------------------------------------------------------


def stereo(path, seconds=1.0, channels=2, rate=RATE):
    quiet = np.zeros((int(seconds * rate), channels), np.int16)
    soundfile.write(path, quiet, rate)
    return path


async def test_silence_has_no_words(tmp_path):
    made = await ProcessRecogniser(Stt()).transcribe(stereo(tmp_path / "a.wav"), ("agent", "customer"))
    assert (made.recogniser, made.duration, made.segments, made.text) == ("pocketsphinx", 1.0, (), "")


@pytest.mark.parametrize("how", ["missing", "rubbish", "mono", "fast"])
async def test_a_recording_that_is_none(tmp_path, how):
    path = tmp_path / "a.wav"
    {
        "missing": lambda: None,
        "rubbish": lambda: path.write_bytes(b"rubbish"),
        "mono": lambda: stereo(path, channels=1),
        "fast": lambda: stereo(path, rate=16_000),
    }[how]()
    with pytest.raises(CannotTranscribe):
        await ProcessRecogniser(Stt()).transcribe(path, ("agent", "customer"))


async def test_what_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.media.stt.process._AT_LEAST", 0.05)
    with pytest.raises(CannotTranscribe, match="took longer"):
        await ProcessRecogniser(Stt(patience=0.001)).transcribe(stereo(tmp_path / "a.wav"), ("agent", "customer"))
    await until(lambda: not children())


async def test_cancelled_it_leaves_no_process(tmp_path):
    task = asyncio.create_task(ProcessRecogniser(Stt()).transcribe(stereo(tmp_path / "a.wav"), ("agent", "customer")))
    await until(children)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children()


def children():
    """Command lines of workers of ours."""
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            line = Path(f"/proc/{pid}/cmdline")
            if line.exists() and b"engine.media.child" in line.read_bytes():
                found.append(pid)
    return found


async def test_a_worker_that_dies(tmp_path):
    with pytest.raises(worker.WorkerFailed):
        await worker.run("unknown", {"nice": 0}, deadline=60)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"language": "fr-FR"}, "English alone"),
        ({"model": "/nowhere"}, "no pocketsphinx model"),
        ({"engine": "faster-whisper", "model": "/nowhere"}, "faster-whisper"),
    ],
)
async def test_what_is_not_installed_is_said_clearly(tmp_path, settings, reason):
    with pytest.raises(CannotTranscribe, match=reason):
        await ProcessRecogniser(Stt(**settings)).transcribe(stereo(tmp_path / "a.wav"), ("agent", "customer"))


def test_whisper_needs_a_model():
    raw = {"state": "s", "objects": "o", "recordings": "r", "database": {"dsn": "postgresql://x"},
           "asterisk": [{"ari_password": "x", "ami_secret": "x"}], "stt": {"engine": "faster-whisper"}}  # fmt: skip
    with pytest.raises(ConfigError, match="faster-whisper needs model"):
        parse(raw)


# -- whisper, as its package has it ---------------------------------------------------------------------------------


@pytest.fixture
def whisper(monkeypatch, tmp_path):
    """A package of that name that hears one sentence in each channel; what it was given."""
    given = []

    class WhisperModel:
        def __init__(self, path, **options):
            given.append((path, options))

        def transcribe(self, sound, *, language, vad_filter):
            given.append((len(sound), language, vad_filter))
            said = types.SimpleNamespace(start=0.5, end=1.25, text=" Good morning. ", avg_logprob=-0.1)
            return iter([said, types.SimpleNamespace(start=2, end=2, text=" ", avg_logprob=-9)]), None

    monkeypatch.setitem(sys.modules, "faster_whisper", types.SimpleNamespace(WhisperModel=WhisperModel))
    (tmp_path / "model.bin").write_bytes(b"")
    return given


def test_whisper_reads_each_channel_with_a_local_model(whisper, tmp_path):
    request = {"recording": str(stereo(tmp_path / "a.wav", 2)), "speakers": ["agent", "customer"],
               "engine": "faster-whisper", "model": str(tmp_path), "language": "en-GB"}  # fmt: skip
    made = recognise.work(request)
    assert [(each["speaker"], each["text"], each["start"]) for each in made["segments"]] == [
        ("agent", "Good morning.", 0.5), ("customer", "Good morning.", 0.5),
    ]  # fmt: skip
    assert json.dumps(made)
    path, options = whisper[0]
    assert (path, options["local_files_only"]) == (str(tmp_path), True)
    assert whisper[1:] == [(32_000, "en", True)] * 2


def test_whisper_without_its_model(whisper, tmp_path):
    (tmp_path / "model.bin").unlink()
    request = {"recording": str(stereo(tmp_path / "a.wav")), "speakers": ["agent", "customer"],
               "engine": "faster-whisper", "model": str(tmp_path), "language": "en"}  # fmt: skip
    with pytest.raises(worker.WorkRefused, match=r"model\.bin"):
        recognise.work(request)


# -- where somebody speaks ------------------------------------------------------------------------------------------


def test_tones_and_soft_noise_are_no_speech():
    tone = 8000 * np.sin(2 * np.pi * 620 * np.arange(5 * RATE) / RATE)
    noise = np.random.default_rng(1).normal(0, 300, 5 * RATE)
    for sound in (tone, noise, np.zeros(5 * RATE)):
        assert list(phrases(sound.astype(np.int16))) == []


def test_what_never_pauses_is_cut():
    loud = np.random.default_rng(1).normal(0, 6000, 50 * RATE).astype(np.int16)
    found = list(phrases(loud))
    assert len(found) == 3
    assert all(len(each.samples) <= 21 * RATE for each in found)
    assert [round(each.start) for each in found] == [0, 20, 40]
