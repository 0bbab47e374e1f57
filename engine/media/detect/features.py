"""What the model looks at: how long somebody has spoken, how often they paused, how long it has been quiet since.

Times rather than timbre, so that it holds for voices it never heard: a machine goes on talking, a person says a few
words and waits.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from engine.media.detect.activity import Flags, Span, Tone, closed, spans, speech, steady, tones
from engine.media.detect.frames import LEVEL, LIKENESS, PER_SECOND, PITCH, VOICED, Floats

NAMES: Final = (
    "elapsed",
    "onset",
    "since_onset",
    "spoken",
    "voiced",
    "quiet_since",
    "longest_pause",
    "phrases",
    "first_phrase",
    "last_phrase",
    "longest_phrase",
    "share_spoken",
    "bursts",
    "tone_now",
    "tone_total",
    "harmony",
    "likeness",
    "modulation",
    "rise",
    "fade",
    "ringing",
    "last_burst",
    "sinking",
    "fall",
)
"""Seconds but for counts (phrases, bursts), shares (share_spoken, harmony, likeness) and decibels (modulation, rise,
fade, sinking) and
semitones (fall). ``rise``: how far speech stands above the floor; ``fade``: how far the last 0.1 s lies below the loudest; ``sinking``: how
much softer the last 0.4 s of speech are than those before; ``fall``: how much lower in pitch."""
PHRASE_GAP: Final = 12
"""Frames of silence that part two phrases: 0.24 s."""
_LOUD_VOICE: Final = 0.5
_END: Final = 20
"""Frames."""
_ENOUGH: Final = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """The call's sound so far, understood. ``spoken``: a flag per frame."""

    rows: Floats
    spoken: Flags
    tonal: Flags
    tones: list[Tone]

    @property
    def phrases(self) -> list[Span]:
        return spans(closed(self.spoken, PHRASE_GAP))


def understood(rows: Floats) -> Heard:
    single, tonal = steady(rows)
    return Heard(rows, speech(rows, tonal), tonal, tones(rows, single))


def features(heard: Heard) -> Floats:
    """Values in the order of NAMES."""
    now = len(heard.rows)
    phrases = heard.phrases
    onset = phrases[0].start if phrases else now
    spoken = int(heard.spoken.sum())
    last_end = phrases[-1].end if phrases else now
    pauses = [after.start - before.end for before, after in pairwise(phrases)]
    since = now - onset
    tone = heard.tones[-1].span if heard.tones else Span(0, 0)
    timing = [
        now,
        onset,
        since,
        spoken,
        int((heard.spoken & (heard.rows[:, VOICED] > _LOUD_VOICE)).sum()),
        now - last_end,
        max(pauses, default=0),
    ]
    lengths = [phrase.frames for phrase in phrases] or [0]
    values = [each / PER_SECOND for each in timing]
    values += [float(len(phrases)), *(each / PER_SECOND for each in (lengths[0], lengths[-1], max(lengths)))]
    values += [spoken / since if since else 0.0, float(len(spans(heard.spoken)))]
    values += [tone.seconds if tone.end >= now - 1 else 0.0, sum(each.span.seconds for each in heard.tones)]
    values += _texture(heard)
    values.append(int(heard.tonal[:25].sum()) / PER_SECOND)
    values += _ending(heard)
    return np.asarray(values)


def _ending(heard: Heard) -> list[float]:
    """last_burst, sinking, fall: a sentence that ends grows softer and lower; one that goes on does not."""
    at = np.flatnonzero(heard.spoken)
    if len(at) < 2 * _END:
        return [len(at) / PER_SECOND, 0.0, 0.0]
    level, pitch = heard.rows[at, LEVEL], heard.rows[at, PITCH]
    sure = heard.rows[at, VOICED] > _LOUD_VOICE
    before, last = sure[:-_END], sure[-_END:]
    fall = 0.0
    if before.sum() >= _ENOUGH and last.sum() >= _ENOUGH:
        fall = float(np.median(pitch[:-_END][before]) - np.median(pitch[-_END:][last]))
    burst = spans(heard.spoken)[-1].seconds
    return [burst, float(level[:-_END].mean() - level[-_END:].mean()), float(np.clip(fall, -9, 9))]


def _texture(heard: Heard) -> list[float]:
    """harmony, likeness, modulation, rise, fade"""
    level = heard.rows[:, LEVEL]
    loud = float(level.max(initial=-90.0))
    fade = loud - float(level[-5:].mean()) if len(level) else 0.0
    if not heard.spoken.any():
        return [0.0, 0.0, 0.0, 0.0, fade]
    active = heard.rows[heard.spoken]
    return [
        float(active[:, VOICED].mean()),
        float(active[:, LIKENESS].mean()),
        float(active[:, LEVEL].std()),
        float(active[:, LEVEL].mean() - np.percentile(level, 5)),
        fade,
    ]
