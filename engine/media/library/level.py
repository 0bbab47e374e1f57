"""One level for every sound, so that nobody is startled: speech as loud as speech, peaks held. On files of samples, in
pieces, because an hour of them must not be in memory at once."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""8 kHz, full scale ±1."""

LEVEL = -19.0
"""dBFS, root mean square of what is not silence; that of our spoken texts (engine.media.tts.sound)."""
CEILING = 0.89
"""Highest sample; -1 dBFS."""
MOST_GAIN = 30.0
"""Decibels: what is quieter than that is noise, and is not made into something."""
_BLOCK = 40
"""Samples; 5 ms."""
_WINDOW = 160
"""Samples; 20 ms."""
_GATE = 30.0
"""Decibels below a loud window at which a pause begins (in the manner of ITU-T P.56)."""
_LOUD = 0.95
"""Share of windows that are softer than a loud one: not the loudest, which may be a click."""
_SILENCE = 1e-8
"""Power of a window; -80 dBFS."""
_PIECE = 480_000
"""Samples that are looked at at once: a minute, and whole blocks and windows."""


def gain_of(samples: Samples) -> float:
    """Factor that brings ``samples`` to LEVEL; 1 for silence."""
    powers = np.concatenate([_powers(piece) for piece in _pieces(samples)])
    powers = powers[powers > _SILENCE]
    if not len(powers):
        return 1.0
    loud = float(np.quantile(powers, _LOUD))
    level = 10 * math.log10(float(powers[powers > loud * 10 ** (-_GATE / 10)].mean()))
    return float(10 ** (min(LEVEL - level, MOST_GAIN) / 20))


def levelled(samples: Samples) -> Iterator[npt.NDArray[np.int16]]:
    """16-bit samples at LEVEL, piece by piece. Peaks over the ceiling are turned down 5 ms before they come, smoothly."""
    gain = gain_of(samples)
    turned = _turned_down(np.concatenate([_peaks(piece) for piece in _pieces(samples)]) * gain)
    centres = np.arange(len(turned)) * _BLOCK + _BLOCK / 2
    at = 0
    for piece in _pieces(samples):
        held = np.interp(np.arange(at, at + len(piece)), centres, turned)
        yield np.asarray(np.round(np.clip(piece * gain * held, -1, 1) * 32767), np.int16)
        at += len(piece)


def _pieces(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), _PIECE):
        yield np.asarray(samples[start : start + _PIECE])


def _powers(piece: Samples) -> npt.NDArray[np.float64]:
    padded = np.pad(piece, (0, -len(piece) % _WINDOW)).astype(np.float64)
    return np.asarray(np.mean(padded.reshape(-1, _WINDOW) ** 2, axis=1), np.float64)


def _peaks(piece: Samples) -> npt.NDArray[np.float64]:
    padded = np.pad(np.abs(piece), (0, -len(piece) % _BLOCK))
    return np.asarray(padded.reshape(-1, _BLOCK).max(axis=1), np.float64)


def _turned_down(peaks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Factor for the middle of each block: never too little for it and its neighbours, and without steps."""
    needed = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(needed, 2, mode="edge"), 5).min(axis=1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(np.pad(around, 1, mode="edge"), 3).mean(axis=1))
