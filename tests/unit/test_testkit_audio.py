"""The ears of the tests, tried on sound that is made up."""

import io
import wave

import numpy as np
import pytest

from engine.testkit import audio, rtp

RATE = 8000


def tone(hz, seconds, level=0.2):
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)


def quiet(seconds):
    return np.zeros(int(seconds * RATE))


def speechlike(seconds):
    """Bursts of noise in a band that wanders, as formants do."""
    rng = np.random.default_rng(7)
    pieces = []
    for turn in range(int(seconds / 0.1)):
        spectrum = np.zeros(401, complex)
        low = 20 + int(rng.integers(0, 120))
        spectrum[low : low + 60] = rng.normal(size=60) + 1j * rng.normal(size=60)
        pieces.append(np.fft.irfft(spectrum) * (0.3 if turn % 4 else 0.0))
    sound = np.concatenate(pieces)
    return 0.3 * sound / np.abs(sound).max()


def wav(*channels):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def test_a_tone_is_found_with_its_duration_and_no_other():
    sound = np.concatenate([quiet(0.5), tone(1380, 1.0), quiet(0.5)])
    assert audio.tone_present(sound, 1380)
    assert not audio.tone_present(sound, 1440)
    assert audio.tone_seconds(sound, 1380) == pytest.approx(1.0, abs=0.11)
    assert not audio.tone_present(sound, 1380, min_seconds=1.3)
    assert audio.dominant_tone(sound) == pytest.approx(1380, abs=10)


def test_ringback_is_two_tones_at_once_and_one_of_them_is_not():
    both = tone(440, 2, 0.1) + tone(480, 2, 0.1)
    assert audio.tone_present(both, 440, 480)
    assert not audio.tone_present(tone(440, 2), 440, 480)
    assert not audio.tone_present(tone(460, 2), 440, 480)


def test_speech_is_neither_tone_nor_silence():
    assert audio.speech_present(speechlike(2))
    assert not audio.speech_present(tone(1000, 2))
    assert not audio.speech_present(tone(440, 2, 0.1) + tone(480, 2, 0.1))
    assert not audio.speech_present(quiet(2))
    assert not audio.speech_present(np.concatenate([quiet(1), tone(1500, 1), quiet(1)]))


def test_levels_and_silence():
    assert audio.level_dbfs(tone(1000, 1, 1.0)) == pytest.approx(-3, abs=0.1)
    assert audio.level_dbfs(quiet(1)) == -120
    assert audio.level_dbfs(audio.nothing()) == -120
    assert audio.is_silent(quiet(1))
    assert audio.is_silent(audio.nothing())
    assert not audio.is_silent(np.concatenate([quiet(1), tone(1000, 0.2)]))
    assert audio.duration(quiet(1.5)) == 1.5


def test_channels_come_apart_left_first():
    left, right = audio.decode(wav(tone(600, 1), tone(900, 1)))
    assert audio.dominant_tone(left) == pytest.approx(600, abs=10)
    assert audio.dominant_tone(right) == pytest.approx(900, abs=10)


def test_a_file_whose_header_was_never_finished_is_read_to_its_end():
    raw = bytearray(wav(tone(600, 1)))
    raw[4:8] = raw[40:44] = b"\0\0\0\0"
    (sound,) = audio.decode(bytes(raw))
    assert audio.duration(sound) == 1.0


def test_what_is_no_sound_file_is_refused():
    with pytest.raises(ValueError, match="not a WAV"):
        audio.decode(b'{"response": {}}')


def test_mu_law_there_and_back():
    sound = tone(1000, 0.5, 0.5)
    back = rtp.decode(rtp.encode(sound))
    assert np.max(np.abs(back - sound)) < 0.02
    assert audio.tone_present(back, 1000)


def test_mu_law_is_that_of_g711():
    """Silence, full scale and the smallest steps, from the table of the recommendation."""
    assert rtp.encode(np.array([0.0, 1.0, -1.0])) == b"\xff\x80\x00"
    assert rtp.decode(b"\x80\x00")[0] == pytest.approx(8031 / 8192)
    assert rtp.decode(b"\xff\x7f").tolist() == [0.0, -0.0]
