"""Pocketsphinx: small, offline; its model of US English comes in its wheel."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr
from pocketsphinx import Decoder

from engine.media.stt.phrases import RATE, Phrase, Samples, phrases
from engine.media.stt.port import Segment
from engine.media.worker import WorkRefused

_MODEL_RATE = 16_000
"""Hertz that the model was trained at; what lies above a telephone's band is empty."""
_FRAMES = 100
"""A second, of the decoder."""
_LEVEL, _MOST = 0.1, 10.0
"""Root mean square that a phrase is brought to, of full scale, and by what factor at most."""


class Sphinx:
    """Raises WorkRefused when there is no model for the language."""

    name = "pocketsphinx"

    def __init__(self, model: Path | None, language: str) -> None:
        if model is None and not language.startswith("en"):
            raise WorkRefused(f"pocketsphinx brings English alone; for {language} stt.model has to name a model")
        self._decoder = Decoder(loglevel="FATAL", maxhmmpf=5000, maxwpf=20, **(_files(model) if model else {}))

    def segments(self, samples: Samples, speaker: str) -> Iterator[Segment]:
        """8 kHz samples of one speaker's channel."""
        for phrase in phrases(samples):
            if (segment := self._segment(phrase, speaker)) is not None:
                yield segment

    def _segment(self, phrase: Phrase, speaker: str) -> Segment | None:
        self._decoder.start_utt()
        self._decoder.process_raw(_prepared(phrase.samples), full_utt=True)
        self._decoder.end_utt()
        words = [item for item in self._decoder.seg() or () if _is_word(item.word)]
        if not words:
            return None
        confidence = sum(item.prob for item in words) / len(words)
        return Segment(
            speaker=speaker,
            start=round(phrase.start + words[0].start_frame / _FRAMES, 2),
            end=round(phrase.start + (words[-1].end_frame + 1) / _FRAMES, 2),
            text=" ".join(item.word.partition("(")[0] for item in words),
            confidence=round(min(max(confidence, 0.0), 1.0), 3),
        )


def _is_word(word: str) -> bool:
    """Not a pause, a breath or a noise: ``<sil>``, ``[BREATH]``, ``++NOISE++``."""
    return word[:1] not in "<[+"


def _prepared(samples: Samples) -> bytes:
    """At the model's rate and at one level."""
    sound = samples.astype(np.float32) / 32768
    power = float(np.sqrt(np.mean(sound**2)))
    louder = sound * min(_LEVEL / max(power, 1e-6), _MOST)
    wide = soxr.resample(louder, RATE, _MODEL_RATE)
    return np.asarray(np.clip(wide, -1, 1) * 32767, np.int16).tobytes()


def _files(model: Path) -> dict[str, str]:
    """The parts of a model in a folder: an acoustic one (a folder with ``mdef``), a language model, a dictionary."""
    acoustic = next((path.parent for path in sorted(model.rglob("mdef"))), None)
    words = next((path for end in ("*.lm.bin", "*.lm") for path in sorted(model.rglob(end))), None)
    sounds = next((path for end in ("*.dict", "*.dic") for path in sorted(model.rglob(end))), None)
    if acoustic is None or words is None or sounds is None:
        raise WorkRefused(
            "stt.model has no pocketsphinx model: a folder with mdef, a *.lm.bin or *.lm, a *.dict or *.dic"
        )
    return {"hmm": str(acoustic), "lm": str(words), "dict": str(sounds)}
