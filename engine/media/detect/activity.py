"""Where in the sound somebody speaks, and where a tone stands. Looks at all that has come so far, each time anew: what
comes later tells what the beginning was."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.media.detect.frames import HERTZ, LEVEL, PAIR, PER_SECOND, SHARE, Floats

Flags = npt.NDArray[np.bool_]

ABOVE_FLOOR: Final = 7.0
"""Decibels that speech stands out of what is there without it."""
MIDWAY: Final = 0.45
"""Share of the way from the quietest to the loudest below which it is others who speak, in the background."""
BELOW_PEAK: Final = 28.0
"""Decibels below the loudest at which speech is over."""
FAINTEST: Final = -55.0
"""dBFS; below it nothing is speech."""
FLOOR_REACH: Final = 38
"""Frames to either side whose quietest is the floor: 0.76 s, in which every speaker pauses."""
SHORTEST: Final = 3
"""Frames; shorter than that is a click."""
GAP: Final = 2
"""Frames within a word that may be silent."""
TONE_SHARE: Final = 0.8
PAIR_SHARE: Final = 0.9
TONE_DRIFT: Final = 10.0
"""Hertz from frame to frame."""
TONE_SPREAD: Final = (6.0, 1.5)
"""Standard deviations of a tone's hertz and decibels, its ends left out: an instrument holds them, a voice does not."""
TONE_STEADY: Final = 5
"""Frames from which on a tone is one: in speech, few vowels stand still for 0.1 s."""
RINGING_TAIL: Final = 4
"""Frames: we listen some 40 ms after the answer."""
TONE_FAINTEST: Final = -45.0


@dataclass(frozen=True, slots=True)
class Span:
    """Frames ``start`` to ``end``, the last not included."""

    start: int
    end: int

    @property
    def frames(self) -> int:
        return self.end - self.start

    @property
    def seconds(self) -> float:
        return self.frames / PER_SECOND


@dataclass(frozen=True, slots=True)
class Tone:
    """A steady single tone; ``level`` in dBFS."""

    span: Span
    hertz: float
    level: float


def spans(flags: Flags) -> list[Span]:
    """Runs of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [Span(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def closed(flags: Flags, gap: int) -> Flags:
    """With holes of up to ``gap`` frames filled."""
    out = flags.copy()
    for hole in spans(~flags):
        if hole.start > 0 and hole.end < len(flags) and hole.frames <= gap:
            out[hole.start : hole.end] = True
    return out


def opened(flags: Flags, shortest: int) -> Flags:
    """Without runs shorter than that; one that still goes on stays."""
    out = flags.copy()
    for run in spans(flags):
        if run.frames < shortest and run.end < len(flags):
            out[run.start : run.end] = False
    return out


def steady(rows: Floats) -> tuple[Flags, Flags]:
    """Frames of a steady single tone, and of a steady tone or pair of tones."""
    hertz = rows[:, HERTZ]
    still = np.ones(len(rows), np.bool_)
    still[1:] = np.abs(np.diff(hertz)) < TONE_DRIFT
    audible = rows[:, LEVEL] > TONE_FAINTEST
    single = _lasting(rows, audible & (rows[:, SHARE] > TONE_SHARE) & still, (HERTZ, LEVEL))
    double = _lasting(rows, audible & (rows[:, PAIR] > PAIR_SHARE), (LEVEL,))
    return single, single | double


def _lasting(rows: Floats, flags: Flags, still: tuple[int, ...]) -> Flags:
    """Runs that are long enough and whose columns ``still`` hardly move."""
    out = np.zeros_like(flags)
    for run in spans(closed(flags, 1)):
        inner = rows[run.start + 1 : run.end - 1, still]
        spread = dict(zip((HERTZ, LEVEL), TONE_SPREAD, strict=True))
        if run.frames >= TONE_STEADY and all(inner[:, n].std() < spread[c] for n, c in enumerate(still)):
            out[run.start : run.end] = True
    return out


def tones(rows: Floats, single: Flags) -> list[Tone]:
    """Steady single tones, but for one that was there before the call was answered: the rest of a ringing tone."""
    found = []
    for run in spans(single):
        if run.start <= RINGING_TAIL:
            continue
        inner = rows[run.start : run.end]
        found.append(Tone(run, float(np.median(inner[:, HERTZ])), float(np.median(inner[:, LEVEL]))))
    return found


def speech(rows: Floats, tonal: Flags) -> Flags:
    """Frames in which somebody speaks, as far as level and tone can tell."""
    level = rows[:, LEVEL]
    smooth = np.convolve(np.pad(level, 1, mode="edge"), np.ones(3) / 3, "valid")
    padded = np.pad(smooth, FLOOR_REACH, mode="edge")
    floor = np.lib.stride_tricks.sliding_window_view(padded, 2 * FLOOR_REACH + 1).min(axis=1)
    peak = float(smooth[~tonal].max(initial=-90.0))
    quietest = float(np.percentile(smooth, 5))
    least = max(peak - BELOW_PEAK, quietest + MIDWAY * (peak - quietest), FAINTEST)
    return opened(closed((smooth > np.maximum(floor + ABOVE_FLOOR, least)) & ~tonal, GAP), SHORTEST)
