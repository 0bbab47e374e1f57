"""From an engine's samples to a telephone's: rate, band, level, silence, files."""

import io

import numpy as np
import pytest

from engine.media.tts import sound
from engine.media.tts.port import EngineFailed, Sound
from engine.testkit import audio


def tone(hz: float, seconds: float = 1.0, *, rate: int = 22050, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def made(samples: np.ndarray, rate: int = 22050) -> Sound:
    return Sound(np.asarray(np.round(samples * 32767), "<i2").tobytes(), rate)


def heard(pcm: bytes) -> np.ndarray:
    return audio.decode(sound.wav(pcm))[0]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000, 6000])
def test_any_rate_becomes_8_khz_and_keeps_pitch_and_length(rate):
    pcm = sound.telephone(made(tone(1000, 2.0, rate=rate), rate), "medium")
    assert sound.duration(pcm) == pytest.approx(2.0, abs=0.15)
    assert audio.dominant_tone(heard(pcm)) == 1000


def test_pieces_fit_together():
    """A tone longer than a piece has no seam: nothing but the tone is in it."""
    out = sound.resample(tone(1000, 20.0), 22050)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2
    hertz = np.fft.rfftfreq(len(out), 1 / sound.RATE)
    beside = spectrum[np.abs(hertz - 1000) > 20].sum() / spectrum.sum()
    assert 10 * np.log10(beside) < -80


@pytest.mark.parametrize("hz", [50, 100, 5000, 9000])
def test_what_a_telephone_does_not_carry_is_gone(hz):
    out = sound.resample(tone(hz, level=0.9), 22050)[800:-800]
    assert audio.level_dbfs(out) < -60


def test_level_is_that_of_speech_and_not_of_pauses():
    speech = np.concatenate([tone(800, level=0.02), np.zeros(66150), tone(1200, level=0.02)])
    pcm = sound.telephone(made(speech), "medium")
    assert sound.speech_level(heard(pcm)) == pytest.approx(-19, abs=0.3)


@pytest.mark.parametrize(("word", "level"), [("x-soft", -29), ("soft", -23), ("loud", -15.5), ("x-loud", -12)])
def test_volume_is_heard(word, level):
    pcm = sound.telephone(made(tone(800, level=0.5)), word)
    assert audio.level_dbfs(heard(pcm)[800:-1600]) == pytest.approx(level, abs=0.6)


def test_silent_is_silence_of_the_same_length():
    loud, silent = (sound.telephone(made(tone(800)), word) for word in ("medium", "silent"))
    assert len(loud) == len(silent)
    assert audio.is_silent(heard(silent))


def test_nothing_clips():
    """Speech whose peaks are far over its level, made louder still."""
    peaks = tone(700, level=0.03)
    peaks[::2205] = 1.0
    out = heard(sound.telephone(made(peaks), "x-loud"))
    assert np.abs(out).max() <= sound.CEILING + 1e-4
    assert audio.tone_seconds(out, 700, share=0.3) > 0.5


def test_silence_around_speech_is_cut():
    padded = np.concatenate([np.zeros(22050), tone(900), np.zeros(44100)])
    assert sound.duration(sound.telephone(made(padded), "medium")) == pytest.approx(1.15, abs=0.05)


@pytest.mark.parametrize("nothing", [b"", b"\0", bytes(44100)])
def test_an_engine_that_gives_silence_has_failed(nothing):
    with pytest.raises(EngineFailed):
        sound.telephone(Sound(nothing, 22050), "medium")


def test_files_are_what_asterisk_reads():
    import soundfile

    content = sound.wav(sound.telephone(made(tone(1000)), "medium"))
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert (file.samplerate, file.channels, file.subtype, file.format) == (8000, 1, "PCM_16", "WAV")
        assert file.frames == (len(content) - 44) // 2
