"""Where in a channel somebody speaks: the rest needs no recogniser."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pocketsphinx import Endpointer

Samples = npt.NDArray[np.int16]

RATE = 8000
"""Hertz of recordings."""
_PAUSE = 0.45
"""Seconds of quiet that end a phrase."""
_STRICTNESS = 2
"""Of WebRTC's detector, 0 to 3: noise and tones are no speech to it."""
_MARGIN = 0.25
"""Seconds."""
_LONGEST = 20.0
"""Seconds after which a phrase is cut where it is: music has no pauses."""


@dataclass(frozen=True, slots=True)
class Phrase:
    start: float
    """Seconds from the begin of the channel."""
    samples: Samples


def phrases(samples: Samples) -> Iterator[Phrase]:
    """With a little of what is around each, without which its first and last sounds are lost."""
    for start, end in _spans(samples):
        first = max(int((start - _MARGIN) * RATE), 0)
        yield Phrase(first / RATE, samples[first : int((end + _MARGIN) * RATE)])


def _spans(samples: Samples) -> Iterator[tuple[float, float]]:
    """Begin and end of each phrase in seconds."""
    endpointer = Endpointer(window=_PAUSE, vad_mode=_STRICTNESS, sample_rate=RATE)
    size = endpointer.frame_bytes // 2
    start: float | None = None
    end = 0.0
    for at in range(0, len(samples) - size + 1, size):
        if endpointer.process(np.asarray(samples[at : at + size]).tobytes()) is None:
            continue
        start = endpointer.speech_start if start is None else start
        end = endpointer.speech_end if not endpointer.in_speech else at / RATE
        if not endpointer.in_speech or end - start >= _LONGEST:
            yield start, end
            start = end if endpointer.in_speech else None
    if start is not None and end > start:
        yield start, len(samples) / RATE
