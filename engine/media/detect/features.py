"""What the model looks at: how long somebody has spoken, how often they paused, how long it has been quiet since.

Times rather than timbre, so that it holds for voices it never heard: a machine goes on talking, a person says a few
words and waits.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.media.detect.activity import Flags, Span, Tone, closed, spans, speech, steady, tones
from engine.media.detect.frames import LEVEL, LIKENESS, PER_SECOND, SHARE, VOICED, Floats

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
)
"""Seconds but for counts (phrases, bursts), shares (share_spoken, harmony, likeness) and decibels (modulation, rise,
fade). ``rise``: how far speech stands above the floor; ``fade``: how far the last 0.1 s lies below the loudest."""
PHRASE_GAP: Final = 12
"""Frames of silence that part two phrases: 0.24 s."""
_LOUD_VOICE: Final = 0.5


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
    pauses = [after.start - before.end for before, after in zip(phrases, phrases[1:], strict=False)]
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
    return np.asarray(values)


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


def tonality(heard: Heard) -> float:
    """Mean share of the strongest peak while something sounds: near 1 for whistles, 0.3 for speech."""
    return float(heard.rows[heard.spoken][:, SHARE].mean()) if heard.spoken.any() else 0.0
