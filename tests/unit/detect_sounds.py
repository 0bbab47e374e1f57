"""Sounds by formula, in µ-law: somebody speaking, tones, music. No synthesizer, so that tests need none."""

import numpy as np

from engine.testkit.audio import RATE
from engine.testkit.rtp import encode

SILENCE = b"\xff"


def silence(seconds):
    return SILENCE * int(seconds * RATE)


def hiss(seconds, dbfs=-60.0, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(int(seconds * RATE)) * 10 ** (dbfs / 20)


def speech(seconds, *, dbfs=-20.0, pitch=120.0, seed=1):
    """Syllables, four or five a second: a gliding voice with its overtones under moving formants."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    when = np.arange(count) / RATE
    glide = pitch * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * when + seed) + 0.05 * np.sin(2 * np.pi * 2.3 * when))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    syllables = int(seconds * 4.5) + 2
    formants = np.repeat(rng.uniform((300, 900), (800, 2300), (syllables, 2)), int(RATE / 4.5) + 1, axis=0)[:count]
    sound = np.zeros(count)
    for overtone in range(1, int(3400 / pitch)):
        hertz = glide * overtone
        gain = sum(np.exp(-(((hertz - formants[:, n]) / 180.0) ** 2)) for n in (0, 1)) + 0.03
        sound += gain * np.sin(overtone * phase)
    envelope = 0.15 + np.abs(np.sin(np.pi * 2.25 * when + 0.3 * np.sin(7 * when)))
    sound *= envelope * np.minimum(1, np.minimum(when, when[::-1]) / 0.03)
    return sound * 10 ** (dbfs / 20) / np.sqrt(np.mean(sound**2))


def tone(seconds, *hertz, dbfs=-15.0):
    when = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * each * when) for each in hertz) / len(hertz)
    return sound * np.sqrt(2) * 10 ** (dbfs / 20) * np.minimum(1, np.minimum(when, when[::-1]) / 0.004)


def quiet(seconds):
    return np.zeros(int(seconds * RATE))


def line(*parts, noise=-65.0):
    """Parts one after the other, over the line's own noise, in µ-law."""
    sound = np.concatenate(parts)
    return encode(np.clip(sound + hiss(len(sound) / RATE, noise)[: len(sound)], -0.99, 0.99))
