"""What is heard on a line beside speech: tones, noises, music, and the telephone band. 8 kHz, full scale ±1.

Each kind of noise and of music belongs to one part of the corpus alone.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from engine.media.tts.sound import limit, resample

RATE = 8000
Samples = npt.NDArray[np.float64]
Rng = np.random.Generator
Maker = Callable[[Rng, int], Samples]
"""Random source and number of samples → sound of full level."""


def seconds(count: float) -> int:
    return int(count * RATE)


def tone(frequencies: tuple[float, ...], length: float, *, edge: float = 0.005) -> Samples:
    """Sines of equal strength, faded in and out."""
    when = np.arange(seconds(length)) / RATE
    sound = sum((np.sin(2 * np.pi * hertz * when) for hertz in frequencies), np.zeros(len(when))) / len(frequencies)
    ramp = np.minimum(1.0, np.minimum(when, when[::-1]) / edge)
    return np.asarray(sound * ramp)


def coloured(rng: Rng, count: int, slope: float, low: float = 100.0, high: float = 3600.0) -> Samples:
    """Noise whose power falls by ``slope`` × 3 dB per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    shape = np.maximum(hertz, 50.0) ** (-slope / 2) * ((hertz > low) & (hertz < high))
    return np.asarray(np.fft.irfft(spectrum * shape, count))


def wandering(rng: Rng, count: int, speed: float, depth: float) -> Samples:
    """A level that wanders ``depth`` dB up and down, some ``speed`` times a second."""
    points = max(4, int(count / RATE * speed) + 3)
    curve = np.interp(np.linspace(0, points - 1, count), np.arange(points), rng.normal(0, depth / 2, points))
    return np.asarray(10 ** (curve / 20))


def hum(rng: Rng, count: int, base: float) -> Samples:
    when = np.arange(count) / RATE
    parts = (np.sin(2 * np.pi * base * n * when + rng.uniform(0, 6.28)) / n for n in range(2, 12))
    return np.asarray(sum(parts, np.zeros(count)) + 0.2 * rng.standard_normal(count))


def clicks(rng: Rng, count: int, rate: float) -> Samples:
    sound = 0.05 * rng.standard_normal(count)
    for at in rng.integers(0, max(count - 80, 1), rng.poisson(rate * count / RATE)):
        sound[at : at + 60] += rng.normal(0, 1, 60) * np.exp(-np.arange(60) / 12)
    return np.asarray(sound)


def gusts(rng: Rng, count: int) -> Samples:
    return coloured(rng, count, 2.5) * wandering(rng, count, 1.2, 9)


NOISES: Mapping[str, Mapping[str, Maker]] = {
    "train": {
        "white": lambda rng, count: rng.standard_normal(count),
        "pink": lambda rng, count: coloured(rng, count, 1.0),
        "hum50": lambda rng, count: hum(rng, count, 50.0),
        "traffic": lambda rng, count: coloured(rng, count, 1.8, 120, 1500) * wandering(rng, count, 0.7, 6),
        "crackle": lambda rng, count: clicks(rng, count, 9.0),
    },
    "held-out": {
        "brown": lambda rng, count: coloured(rng, count, 2.0),
        "hum60": lambda rng, count: hum(rng, count, 60.0),
        "wind": gusts,
        "hiss": lambda rng, count: coloured(rng, count, -0.6, 600, 3500) * wandering(rng, count, 2.0, 2),
        "dishes": lambda rng, count: clicks(rng, count, 2.5) + 0.05 * coloured(rng, count, 1.2),
    },
}


def _note(frequency: float, length: int, decay: float, partials: tuple[float, ...]) -> Samples:
    when = np.arange(length) / RATE
    sound = sum(
        (strength * np.sin(2 * np.pi * frequency * (n + 1) * when) for n, strength in enumerate(partials)),
        np.zeros(length),
    )
    return np.asarray(sound * np.exp(-when / decay) * np.minimum(1, when / 0.01))


def _melody(
    rng: Rng, count: int, *, beat: float, scale: tuple[int, ...], chords: bool, partials: tuple[float, ...]
) -> Samples:
    sound, at, root = np.zeros(count), 0, 220 * 2 ** (rng.integers(0, 12) / 12)
    while at < count:
        length = seconds(beat * rng.choice([0.5, 1.0, 1.0, 2.0]))
        steps = rng.choice(scale, 3 if chords else 1, replace=False)
        for step in steps:
            piece = _note(root * 2 ** (step / 12), min(seconds(1.5), count - at), rng.uniform(0.2, 0.9), partials)
            sound[at : at + len(piece)] += piece
        at += length
    return sound


def _drums(rng: Rng, count: int, beat: float) -> Samples:
    sound = np.zeros(count)
    for at in range(0, count, seconds(beat)):
        piece = min(800, count - at)
        sound[at : at + piece] += rng.standard_normal(piece) * np.exp(-np.arange(piece) / 200)
    return sound


MUSIC: Mapping[str, Mapping[str, Maker]] = {
    "train": {
        "piano": lambda rng, count: _melody(
            rng, count, beat=0.4, scale=(0, 4, 7, 9, 12, 16), chords=True, partials=(1, 0.5, 0.3, 0.1)
        ),
        "organ": lambda rng, count: _melody(
            rng, count, beat=0.9, scale=(0, 3, 5, 7, 10, 12), chords=True, partials=(1, 0.8, 0.6, 0.4, 0.3)
        ),
        "flute": lambda rng, count: _melody(
            rng, count, beat=0.5, scale=(12, 14, 16, 19, 21, 24), chords=False, partials=(1, 0.15)
        ),
        "band": lambda rng, count: (
            _melody(rng, count, beat=0.35, scale=(0, 2, 4, 7, 9), chords=True, partials=(1, 0.4, 0.4))
            + 0.8 * _drums(rng, count, 0.35)
        ),
    },
    "held-out": {
        "guitar": lambda rng, count: _melody(
            rng, count, beat=0.28, scale=(0, 5, 7, 12, 17), chords=True, partials=(1, 0.7, 0.2, 0.3, 0.1)
        ),
        "strings": lambda rng, count: (
            _melody(
                rng, count, beat=1.3, scale=(0, 3, 7, 8, 12, 15), chords=True, partials=(1, 0.6, 0.5, 0.4, 0.3, 0.2)
            )
            * wandering(rng, count, 5, 1.5)
        ),
        "chimes": lambda rng, count: _melody(
            rng, count, beat=0.6, scale=(19, 24, 26, 31), chords=False, partials=(1, 0, 0.2)
        ),
        "pop": lambda rng, count: (
            _melody(rng, count, beat=0.5, scale=(0, 4, 5, 9, 11), chords=True, partials=(1, 0.5, 0.3))
            + 1.2 * _drums(rng, count, 0.25)
        ),
    },
}

RINGBACK: Mapping[str, tuple[float, ...]] = {"train": (440.0, 480.0), "held-out": (425.0,)}
KEYS = ((697, 1209), (770, 1336), (852, 1477), (941, 1336))


def scaled(sound: Samples, dbfs: float) -> Samples:
    """At that root mean square over all of it."""
    power = float(np.mean(sound**2)) if len(sound) else 0.0
    return sound * 10 ** (dbfs / 20) / max(power**0.5, 1e-9)


def band(sound: Samples) -> Samples:
    """The telephone's band."""
    return resample(sound, RATE)


def through_line(sound: Samples, *, clip: bool) -> npt.NDArray[np.int16]:
    """Band, level at most full scale, µ-law and back."""
    from engine.testkit.rtp import decode, encode

    shaped = np.clip(band(sound), -0.95, 0.95) if clip else limit(band(sound))
    return np.asarray(np.round(decode(encode(np.clip(shaped, -0.999, 0.999))) * 32767), np.int16)
