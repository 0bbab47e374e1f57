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
_LONGEST = 20.0
"""Seconds after which a phrase is cut where it is: music has no pauses."""


@dataclass(frozen=True, slots=True)
class Phrase:
    start: float
    """Seconds from the begin of the channel."""
    samples: Samples


def phrases(samples: Samples) -> Iterator[Phrase]:
    endpointer = Endpointer(window=_PAUSE, vad_mode=_STRICTNESS, sample_rate=RATE)
    size = endpointer.frame_bytes // 2
    said, start, going_on = list[bytes](), 0.0, False
    for at in range(0, len(samples) - size + 1, size):
        speech = endpointer.process(np.asarray(samples[at : at + size]).tobytes())
        if speech is None:
            continue
        if not said:
            start = start if going_on else endpointer.speech_start
        said.append(speech)
        long = len(said) * size >= _LONGEST * RATE
        if long or not endpointer.in_speech:
            yield _phrase(start, said)
            start, going_on, said = start + len(said) * size / RATE, endpointer.in_speech, []
    if said:
        yield _phrase(start, said)


def _phrase(start: float, said: list[bytes]) -> Phrase:
    return Phrase(start, np.frombuffer(b"".join(said), np.int16))
