"""The media library's house-keeping, its levels, and what a file's name means."""

import io
import os
import time

import numpy as np
import pytest
import soundfile

from engine.errors import InvalidFields, NotFound, StoreAway, TooLarge, Unavailable
from engine.media import worker
from engine.media.library import level, names
from engine.media.library.library import Library
from engine.media.library.sounds import Sounds
from engine.media.objects.local import LocalObjects
from engine.media.receive import folder_of
from engine.testkit import audio
from tests.unit.media_fakes import FakeMedia


async def chunks(*pieces):
    for piece in pieces:
        yield piece


def sound(seconds=0.5, hz=700.0):
    made = io.BytesIO()
    soundfile.write(
        made, 0.1 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 16_000)) / 16_000), 16_000, format="WAV"
    )
    return made.getvalue()


@pytest.fixture
def library(tmp_path):
    return Library(FakeMedia(), tmp_path / "media", tmp_path / "media", longest=60, limit=1 << 20)


@pytest.fixture
def sounds(library, tmp_path):
    return Sounds(library, LocalObjects(tmp_path / "objects"))


async def add(library, name="x", content=None, **what):
    staged = await library.receive("account_1", chunks(content or sound()))
    return await library.add("account_1", name, staged, **what)


def files(library):
    return [path for path in library.folder.rglob("*") if path.is_file()]


class TestLibrary:
    async def test_an_outage_of_the_database_leaves_what_may_be_named(self, library):
        """The row may be there or not: the file stays for the sweep to decide."""
        library.table.away = True
        with pytest.raises(StoreAway):
            await add(library)
        (left,) = files(library)
        library.table.away = False
        assert await library.sweep() == 0, "it is young"
        os.utime(left, (0, 0))
        assert await library.sweep() == 1
        assert files(library) == []

    async def test_the_sweep_spares_what_is_named_and_what_is_not_ours(self, library):
        made = await add(library)
        other = library.folder / "account_1/notes.txt"
        other.write_bytes(b"1")
        stale = library.folder / "account_1/.0123456789abcdef.part"
        stale.write_bytes(b"1")
        for path in (library.path(made), other, stale):
            os.utime(path, (0, 0))
        assert await library.sweep() == 1
        assert set(files(library)) == {library.path(made), other}

    async def test_a_replaced_file_stays_for_calls_that_are_about_to_play_it(self, library):
        first = await add(library)
        await add(library)
        assert library.path(first).exists()
        os.utime(library.path(first), (0, 0))
        await library.sweep()
        assert not library.path(first).exists()

    async def test_a_full_disk_is_our_fault_and_not_the_files(self, library, monkeypatch):
        async def full(*_args, **_options):
            raise worker.NoRoom("full")

        monkeypatch.setattr(worker, "run", full)
        with pytest.raises(Unavailable):
            await add(library)
        assert files(library) == []

    async def test_a_folder_that_cannot_be_written(self, library):
        library.folder.write_bytes(b"a file")
        with pytest.raises(Unavailable):
            await library.receive("account_1", chunks(b"1"))

    async def test_a_worker_that_dies_refuses_the_file(self, library, monkeypatch):
        async def dead(*_args, **_options):
            raise worker.WorkerFailed("died")

        monkeypatch.setattr(worker, "run", dead)
        with pytest.raises(InvalidFields):
            await add(library)
        assert files(library) == []

    async def test_the_limit(self, library):
        with pytest.raises(TooLarge):
            await library.receive("account_1", chunks(*[bytes(1 << 19)] * 3))
        assert files(library) == []

    @pytest.mark.parametrize("account", ["", ".", "..", "a/b", "a\0"])
    def test_an_account_does_not_lead_out_of_the_folder(self, tmp_path, account):
        with pytest.raises(NotFound):
            folder_of(tmp_path, account)

    async def test_asterisk_may_see_the_folder_elsewhere(self, library, tmp_path):
        library.sounds = tmp_path / "share"
        made = await add(library)
        assert library.playable(made).media == f"sound:{tmp_path}/share/account_1/{made.file}"
        assert library.playable(made).path == library.path(made)


class TestSounds:
    async def test_media_is_found_with_and_without_its_ending(self, sounds):
        made = await add(sounds.library, "welcome")
        for name in ("welcome", "welcome.wav"):
            assert (await sounds.find("account_1", name)).path == sounds.library.path(made)
        assert (await sounds.library.of_extension("account_1", "100")) is None

    async def test_an_object_is_made_playable_once(self, sounds):
        await sounds.objects.put("account_1", "a.wav", chunks(sound(1.0)), limit=1 << 20)
        first = await sounds.find("account_1", "a.wav")
        assert first.duration == pytest.approx(1.0, abs=0.01)
        assert audio.tone_present(audio.load(first.path)[0], 700)
        written = first.path.stat().st_ino
        again = await sounds.find("account_1", "a.wav")
        assert (again, again.path.stat().st_ino) == (first, written)
        await sounds.library.sweep()
        assert first.path.exists()

    async def test_a_changed_object_is_another_sound(self, sounds):
        await sounds.objects.put("account_1", "a.wav", chunks(sound(1.0)), limit=1 << 20)
        first = await sounds.find("account_1", "a.wav")
        await sounds.objects.put("account_1", "a.wav", chunks(sound(0.5)), limit=1 << 20)
        second = await sounds.find("account_1", "a.wav")
        assert second.duration == pytest.approx(0.5, abs=0.01)
        long_ago = time.time() - 90 * 24 * 3600
        os.utime(first.path, (long_ago, long_ago))
        await sounds.find("account_1", "a.wav")
        assert not first.path.exists()

    async def test_media_come_before_objects(self, sounds):
        made = await add(sounds.library, "a.wav")
        await sounds.objects.put("account_1", "a.wav", chunks(sound()), limit=1 << 20)
        assert (await sounds.find("account_1", "a.wav")).path == sounds.library.path(made)

    async def test_what_is_not_there_and_what_is_no_sound(self, sounds):
        await sounds.objects.put("account_1", "a.txt", chunks(b"hello"), limit=1 << 20)
        with pytest.raises(InvalidFields):
            await sounds.find("account_1", "a.txt")
        for name in ("b", "../x", ""):
            with pytest.raises(NotFound):
                await sounds.find("account_1", name)
        with pytest.raises(NotFound):
            await sounds.find("account_2", "a.txt")
        assert files(sounds.library) == []


class TestLevel:
    def test_peaks_are_held_and_the_rest_is_not_bent(self):
        rate = 8000
        quiet = 0.02 * np.sin(2 * np.pi * 500 * np.arange(4 * rate) / rate)
        quiet[rate : rate + 200] *= 45
        made = np.concatenate(list(level.levelled(quiet.astype(np.float32)))) / 32767
        assert np.abs(made).max() <= level.CEILING + 0.02
        assert audio.tone_present(made, 500, min_seconds=3.8)

    def test_pieces_join_without_a_seam(self, monkeypatch):
        tone = (0.1 * np.sin(2 * np.pi * 500 * np.arange(40_000) / 8000)).astype(np.float32)
        whole = np.concatenate(list(level.levelled(tone)))
        monkeypatch.setattr(level, "_PIECE", 1600)
        assert np.array_equal(np.concatenate(list(level.levelled(tone))), whole)

    def test_noise_is_not_made_into_something(self):
        noise = np.random.default_rng(1).normal(0, 0.0005, 16_000).astype(np.float32)
        assert level.gain_of(noise) == pytest.approx(10 ** (level.MOST_GAIN / 20))


@pytest.mark.parametrize(
    ("filename", "content_type", "kind"),
    [("a.wav", "audio/x-wav", "wav"), ("a.MP3", "", "mp3"), ("a", "audio/ogg; codecs=opus", "ogg"),
     ("a.bin", "application/octet-stream", None), ("a.oga", "application/ogg", "ogg")],
)  # fmt: skip
def test_what_an_upload_says_of_itself(filename, content_type, kind):
    assert names.claimed(filename, content_type) == kind
