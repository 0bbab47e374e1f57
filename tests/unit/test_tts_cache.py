"""One rendering for all, leases, the cap, the deadline, secrets: with an engine whose every step the test decides."""

import asyncio
import errno
import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from engine.errors import InvalidFields
from engine.media.tts.files import Folder
from engine.media.tts.port import EngineFailed, Sound, Speech, Utterance
from engine.media.tts.synthesizer import Synthesizer
from engine.testkit import audio

FALLBACK = "sound:please-try-call-later"
SECOND = 16_000
"""Bytes of a second of speech."""


class Engine:
    """Half a second of a tone that the text decides; waits for ``go`` and fails with ``error`` when told to."""

    name = "test"
    neural = True

    def __init__(self) -> None:
        self.version = "1"
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.said: list[str] = []
        self.seconds = 0.5
        self.cancelled = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def render(self, utterance: Utterance) -> Sound:
        self.said.append(str(utterance.script[0]))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        hz = 400 + 40 * (hash(utterance.script) % 60)
        wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(self.seconds * 8000)) / 8000)
        return Sound(np.asarray(wave * 32767, "<i2").tobytes(), 8000)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
async def make(engine, tmp_path):
    """Speakers on one folder, as several processes are."""
    made = []

    async def speaker(*, cap: int = 50 << 20, deadline: float = 60.0, sounds: Path | None = None) -> Synthesizer:
        folder = Folder(tmp_path / "tts", cap)
        one = Synthesizer(engine, folder, deadline=deadline, fallback=FALLBACK, sounds=sounds)
        await one.start()
        made.append(one)
        return one

    yield speaker
    for one in made:
        await one.close()
        assert not one.holdings
        assert not one.flights
    assert not list(tmp_path.glob("tts/*.lock"))


def files(folder: Path) -> list[Path]:
    """What is kept."""
    return sorted(each for each in folder.glob("tts/*.wav") if not each.name.startswith("once-"))


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_hundred_requests_for_ten_texts_render_ten_times(make, engine, tmp_path):
    speaker = await make()
    engine.go.clear()
    asked = [asyncio.create_task(speaker.speak(Speech(f"Text {n % 10}"))) for n in range(100)]
    while len(engine.said) < 10:
        await asyncio.sleep(0)
    engine.go.set()
    spoken = await asyncio.gather(*asked)
    assert sorted(engine.said) == [f"Text {n}" for n in range(10)]
    assert len({each.path for each in spoken}) == len(files(tmp_path)) == 10
    assert not any(each.fallback for each in spoken)
    for each in spoken:
        each.close()
    again = await speaker.speak(Speech("Text 3"))
    again.close()
    assert len(engine.said) == 10


async def test_several_processes_render_a_text_once(make, engine, tmp_path):
    speakers = [await make() for _ in range(4)]
    engine.go.clear()
    asked = [asyncio.create_task(each.speak(Speech("Hello"))) for each in speakers for _ in range(5)]
    while not engine.said:
        await asyncio.sleep(0)
    engine.go.set()
    spoken = await asyncio.gather(*asked)
    assert engine.said == ["Hello"]
    assert len({each.path for each in spoken}) == 1
    for each in spoken:
        each.close()


async def test_what_changes_the_sound_is_another_file(make, engine):
    speaker = await make()
    kinds = [
        Speech("Hello"),
        Speech("hello"),
        Speech("Hello", voice="Matthew"),
        Speech("Hello", rate="slow"),
        Speech("Hello", pitch="high"),
        Speech("Hello", volume="soft"),
        Speech("Hello", engine="neural"),
    ]
    paths = set()
    for kind in kinds:
        with await speaker.speak(kind) as spoken:
            paths.add(spoken.path)
    engine.version = "2"
    with await speaker.speak(kinds[0]) as spoken:
        paths.add(spoken.path)
    assert len(paths) == len(kinds) + 1
    with await speaker.speak(Speech(" Hello ", voice="joanna", language="en-US", rate="medium ")) as same:
        assert same.path in paths


async def test_spoken_has_what_a_verb_needs(make, tmp_path):
    speaker = await make(sounds=Path("/srv/spoken words"))
    with await speaker.speak(Speech("Hello", voice="Raveena", engine="neural")) as spoken:
        assert spoken.path.is_relative_to(tmp_path)
        name = spoken.path.relative_to(tmp_path / "tts").with_suffix("")
        assert spoken.media == f"sound:/srv/spoken words/{name}"
        assert spoken.duration == pytest.approx(0.5, abs=0.11)
        assert spoken.duration == audio.duration(audio.load(spoken.path)[0])
        assert spoken.note == "Raveena has no neural voice: standard"
        assert not spoken.fallback


async def test_an_engine_without_neural_voices_says_so(make, engine):
    speaker = await make()
    assert speaker.check(Speech("Hello", engine="neural")) == ""
    engine.neural = False
    assert speaker.check(Speech("Hello", engine="neural")) == "Joanna has no neural voice here: standard"
    assert speaker.check(Speech("Hello", voice="Olivia")) == ""


async def test_a_hanging_engine_falls_back_within_the_deadline(make, engine):
    speaker = await make(deadline=0.2)
    engine.go.clear()
    with capture_logs() as logs:
        spoken = await asyncio.gather(*(speaker.speak(Speech(f"Secret {n % 3}")) for n in range(30)))
    assert {(each.fallback, each.media, each.path) for each in spoken} == {(True, FALLBACK, None)}
    assert "nothing within 0.2 s" in spoken[0].note
    assert "Secret" not in str(logs)
    await asyncio.gather(*(flight.task for flight in speaker.flights.values()), return_exceptions=True)
    engine.go.set()
    speaker.deadline = 60.0
    with await speaker.speak(Speech("Secret 1")) as later:
        assert not later.fallback


async def test_a_dead_engine_falls_back_at_once_and_is_asked_again(make, engine):
    speaker = await make()
    engine.error = EngineFailed("died")
    for _ in range(2):
        with await speaker.speak(Speech("Hello")) as spoken:
            assert spoken.fallback
            assert spoken.note == "text to speech failed (died): recorded prompt"
    engine.error = None
    with await speaker.speak(Speech("Hello")) as spoken:
        assert not spoken.fallback


async def test_an_engine_that_goes_mad_is_the_fallback_too(make, engine):
    speaker = await make()
    engine.error = RuntimeError("never told: Your code is 1987")
    for speak in (speaker.speak, speaker.speak_secret):
        with await speak(Speech("Your code is 1987")) as spoken:
            assert spoken.fallback
            assert spoken.note == "text to speech failed (RuntimeError): recorded prompt"


async def test_who_leaves_takes_nothing_from_who_stays(make, engine):
    speaker = await make()
    engine.go.clear()
    stays, leaves = (asyncio.create_task(speaker.speak(Speech("Hello"))) for _ in range(2))
    while not engine.said:
        await asyncio.sleep(0)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    engine.go.set()
    with await stays as spoken:
        assert spoken.path.exists()
    assert engine.said == ["Hello"]


async def test_the_cache_never_grows_past_its_cap(make, engine, tmp_path):
    """Many texts of many lengths, some of them held for a while: the folder is looked at after each."""
    cap = 10 * SECOND
    speakers = [await make(cap=cap) for _ in range(2)]
    rng = random.Random(7)
    held = []
    for turn in range(150):
        engine.seconds = rng.uniform(0.2, 3.0)
        spoken = await speakers[turn % 2].speak(Speech(f"Text {rng.randrange(60)}"))
        assert not spoken.fallback
        assert spoken.path.exists()
        assert bytes_in(tmp_path) <= cap
        held.append(spoken)
        while len(held) > 2:
            held.pop(rng.randrange(len(held))).close()
        assert all(each.path.exists() for each in held)
    for each in held:
        each.close()
    assert len(engine.said) > 60, "nothing was ever removed"


async def test_the_least_recently_used_goes_first(make, engine, tmp_path):
    speaker = await make(cap=int(3.9 * SECOND))
    engine.seconds = 1.0
    for name in ("a1", "b1", "c1"):
        (await speaker.speak(Speech(name))).close()
    (await speaker.speak(Speech("a1"))).close()
    (await speaker.speak(Speech("d1"))).close()
    (await speaker.speak(Speech("a1"))).close()
    assert engine.said == ["a1", "b1", "c1", "d1"]
    (await speaker.speak(Speech("b1"))).close()
    assert engine.said[-1] == "b1"


async def test_what_is_in_use_is_never_removed(make, engine, tmp_path):
    """Also when it is all there is: the new one is then played from a file that goes with its last user."""
    speaker, other = await make(cap=int(2.9 * SECOND)), await make(cap=int(2.9 * SECOND))
    engine.seconds = 1.0
    held = [await speaker.speak(Speech(name)) for name in ("a1", "b1")]
    extra = await other.speak(Speech("c1"))
    assert not extra.fallback
    assert extra.path.name.startswith("once-")
    assert all(each.path.exists() for each in (*held, extra))
    extra.close()
    assert not extra.path.exists()
    held[0].close()
    with await other.speak(Speech("c1")) as kept:
        assert not kept.path.name.startswith("once-")
        assert held[1].path.exists()
        assert not held[0].path.exists()
    held[1].close()


async def test_a_text_longer_than_the_cache_is_played_all_the_same(make, engine):
    speaker = await make(cap=SECOND)
    engine.seconds = 5.0
    with await speaker.speak(Speech("Long")) as spoken:
        assert spoken.duration == pytest.approx(5, abs=0.2)
    assert not spoken.path.exists()


@pytest.mark.parametrize("damage", [b"", b"RIFF", os.urandom(9000)])
async def test_a_damaged_file_is_made_anew(make, engine, damage):
    speaker = await make()
    with await speaker.speak(Speech("Hello")) as spoken:
        path = spoken.path
    path.write_bytes(damage)
    with await speaker.speak(Speech("Hello")) as spoken:
        assert audio.duration(audio.load(spoken.path)[0]) == pytest.approx(0.5, abs=0.11)
    assert len(engine.said) == 2


async def test_a_ledger_that_lies_is_counted_again(make, engine, tmp_path):
    speaker = await make(cap=10 * SECOND)
    for wrong in ("99999999999", "rubbish", ""):
        (tmp_path / "tts/size").write_text(wrong)
        with await speaker.speak(Speech(f"Hello {wrong or 'nothing'}")) as spoken:
            assert spoken.path.exists()
    assert len(files(tmp_path)) == 3


async def test_a_folder_that_can_not_be_written_is_the_fallback(make, tmp_path, monkeypatch):
    speaker = await make()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Folder, "put", full)
    with await speaker.speak(Speech("Hello")) as spoken:
        assert spoken.fallback
        assert "No space left on device" in spoken.note


async def test_a_secret_leaves_no_trace(make, engine, tmp_path):
    speaker = await make()
    with capture_logs() as logs:
        first, second = [await speaker.speak_secret(Speech("Your code is 1987")) for _ in range(2)]
        assert first.path != second.path
        assert audio.load(first.path)
        first.close()
        assert second.path.exists()
        second.close()
    assert not list(tmp_path.glob("tts/*"))
    assert engine.said == ["Your code is 1987"] * 2
    assert "1987" not in f"{logs}{first}{first.media}"
    assert re.fullmatch(r"once-[0-9a-f]{32}", first.path.stem)
    assert first.path.stem != second.path.stem


async def test_a_secret_that_fails_tells_nothing(make, engine):
    speaker = await make(deadline=0.1)
    engine.go.clear()
    with capture_logs() as logs:
        spoken = await speaker.speak_secret(Speech("Your code is 1987"))
    assert spoken.fallback
    assert "1987" not in f"{logs}{spoken}"
    with pytest.raises(InvalidFields) as caught:
        await speaker.speak_secret(Speech("<b>1987</b>"))
    assert "1987" not in str(caught.value)


async def test_secrets_of_a_process_that_died_go_at_the_next_start(make, tmp_path):
    speaker = await make()
    spoken = await speaker.speak_secret(Speech("1987"))
    orphans = [tmp_path / "tts" / name for name in ("once-0000.wav", f"{'a' * 64}.lock")]
    for orphan in orphans:
        orphan.write_bytes(b"x")
    await make()
    assert not any(orphan.exists() for orphan in orphans)
    assert spoken.path.exists(), "one that is being played stays"
    spoken.close()
    spoken.close()


async def test_nobody_else_reads_the_folder(make, tmp_path):
    speaker = await make()
    with await speaker.speak(Speech("Hello")) as spoken, await speaker.speak_secret(Speech("1987")) as secret:
        for path in (spoken.path, secret.path):
            assert path.stat().st_mode & 0o777 == 0o640, path
        assert (tmp_path / "tts").stat().st_mode & 0o007 == 0


async def test_the_group_reads_files_whatever_the_umask(make):
    """systemd's unit has UMask=0077, and Asterisk is another user."""
    before = os.umask(0o077)
    try:
        speaker = await make()
        with await speaker.speak(Speech("Hello")) as spoken:
            assert spoken.path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


async def test_no_descriptor_stays_open(make, engine):
    speaker = await make()
    before = descriptors()
    engine.go.clear()
    tasks = [asyncio.create_task(speaker.speak(Speech(f"Text {n % 5}"))) for n in range(20)]
    while len(engine.said) < 5:
        await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    engine.go.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for each in done:
        if not isinstance(each, BaseException):
            each.close()
    while speaker.flights:
        await asyncio.sleep(0)
    assert descriptors() == before
