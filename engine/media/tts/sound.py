"""From what an engine gives to what a telephone carries: 8 kHz, the telephone's band, one level, no clipping.

Plain functions on samples, run in a thread.
"""

import math
import struct
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.media.tts.port import EngineFailed, Sound
from engine.media.tts.words import VOLUMES

Samples = npt.NDArray[np.float64]
"""Full scale ±1."""

RATE = 8000
LEVEL = -19.0
"""dBFS, root mean square while somebody speaks."""
CEILING = 0.89
"""Highest sample; -1 dBFS."""
BAND = ((150.0, 300.0), (3400.0, 3900.0))
"""Hertz: where the filter opens, and where it closes."""
MARGIN = 0.06
"""Seconds of a piece's neighbours that are filtered with it and cut off again."""
PIECE = 8
"""Seconds filtered at once."""
LEAD, TAIL = 0.05, 0.1
"""Seconds of silence left before and after."""
_WINDOW = 160
_AUDIBLE = 30.0
"""Decibels below the loudest window at which speech ends."""
_BLOCK = 40


def telephone(sound: Sound, volume: str) -> bytes:
    """16-bit samples at 8 kHz, at the level that ``volume`` stands for. Raises EngineFailed for silence."""
    samples = np.frombuffer(sound.pcm[: len(sound.pcm) // 2 * 2], "<i2") / 32768.0
    spoken = trim(resample(samples, sound.rate))
    if not len(spoken):
        raise EngineFailed("the engine gave silence")
    gain = VOLUMES[volume]
    if gain is None:
        return bytes(2 * len(spoken))
    loud = limit(spoken * 10 ** ((LEVEL + gain - speech_level(spoken)) / 20))
    return np.asarray(np.round(loud * 32767), "<i2").tobytes()


def wav(pcm: bytes) -> bytes:
    """The samples as a WAV file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(pcm), b"WAVE") + form + struct.pack("<4sI", b"data", len(pcm)) + pcm


def duration(pcm: bytes) -> float:
    """Seconds."""
    return len(pcm) / 2 / RATE


def resample(samples: Samples, rate: int) -> Samples:
    """At 8 kHz, band-limited: in the frequency domain, piece by piece so that a long text needs little memory."""
    unit = math.gcd(rate, RATE)
    taken, given = rate // unit, RATE // unit
    whole = -(-len(samples) // taken)
    margin, count = max(1, math.ceil(MARGIN * unit)), min(PIECE, max(1, -(-whole // unit))) * unit
    padded = np.concatenate([np.zeros(margin * taken), samples, np.zeros((margin + count) * taken)])
    shape = _band((count + 2 * margin) * taken, rate)
    pieces = [np.zeros(0)]
    for start in range(0, whole, count):
        piece = padded[start * taken : (start + count + 2 * margin) * taken]
        pieces.append(_filtered(piece, shape, (count + 2 * margin) * given)[margin * given : -margin * given])
    return np.concatenate(pieces)[: math.ceil(len(samples) * RATE / rate)]


def _filtered(piece: Samples, shape: Samples, length: int) -> Samples:
    return np.asarray(np.fft.irfft(np.fft.rfft(piece) * shape, length) * (length / len(piece)), np.float64)


@lru_cache(16)
def _band(length: int, rate: int) -> Samples:
    """Gain by frequency of a piece of ``length`` samples: half a cosine at either edge of the band."""
    hertz = np.fft.rfftfreq(length, 1 / rate)
    (low, full), (falling, high) = BAND
    rise = np.clip((hertz - low) / (full - low), 0, 1)
    fall = np.clip((high - hertz) / (high - falling), 0, 1)
    return np.asarray((1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall)) / 4, np.float64)


def trim(samples: Samples) -> Samples:
    """Without most of the silence around it."""
    loud = np.flatnonzero(_audible(samples))
    if not len(loud):
        return samples[:0]
    start = max(0, int(loud[0]) * _WINDOW - int(LEAD * RATE))
    return samples[start : (int(loud[-1]) + 1) * _WINDOW + int(TAIL * RATE)]


def speech_level(samples: Samples) -> float:
    """Decibels of full scale in the windows in which somebody speaks, so that pauses do not make a text louder (as ITU-T P.56 does)."""
    power = _power(samples)[_audible(samples)]
    return 10 * math.log10(max(float(np.mean(power)), 1e-12)) if len(power) else -120.0


def _power(samples: Samples) -> Samples:
    """Of windows of 20 ms; what is left over at the end is a window too."""
    padded = np.pad(samples, (0, -len(samples) % _WINDOW))
    return np.asarray(np.mean(padded.reshape(-1, _WINDOW) ** 2, axis=1), np.float64)


def _audible(samples: Samples) -> npt.NDArray[np.bool_]:
    power = _power(samples)
    if not len(power) or power.max() < 1e-9:  # noqa: PLR2004 - -90 dBFS is silence
        return np.zeros(len(power), np.bool_)
    return np.asarray(power > power.max() * 10 ** (-_AUDIBLE / 10), np.bool_)


def limit(samples: Samples) -> Samples:
    """Peaks over the ceiling are turned down, 5 ms before they come, smoothly enough not to be heard as distortion."""
    blocks = np.abs(np.pad(samples, (0, -len(samples) % _BLOCK))).reshape(-1, _BLOCK).max(axis=1)
    if not len(blocks) or blocks.max() <= CEILING:
        return samples
    needed = np.minimum(1.0, CEILING / np.maximum(blocks, CEILING))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(needed, 2, mode="edge"), 5).min(axis=1)
    smooth = np.lib.stride_tricks.sliding_window_view(np.pad(around, 1, mode="edge"), 3).mean(axis=1)
    centres = np.arange(len(blocks)) * _BLOCK + _BLOCK / 2
    return np.asarray(samples * np.interp(np.arange(len(samples)), centres, smooth), np.float64)
