"""Faster-whisper: better, slower, in many languages; with a model that lies on this machine. Nothing is fetched."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from engine.media.stt.phrases import RATE, Samples
from engine.media.stt.port import Segment
from engine.media.worker import WorkRefused

_MODEL_RATE = 16_000


class Whisper:
    """Raises WorkRefused when the package or the model is not there."""

    name = "faster-whisper"

    def __init__(self, model: Path | None, language: str) -> None:
        try:
            from faster_whisper import WhisperModel  # noqa: PLC0415 - optional, and takes seconds
        except ImportError:
            raise WorkRefused("faster-whisper is not installed here: pip install faster-whisper") from None
        if model is None or not (model / "model.bin").is_file():
            raise WorkRefused("stt.model has no faster-whisper model: a folder with model.bin")
        self._language = language.partition("-")[0]
        self._model = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def segments(self, samples: Samples, speaker: str) -> Iterator[Segment]:
        """8 kHz samples of one speaker's channel."""
        sound = soxr.resample(samples.astype(np.float32) / 32768, RATE, _MODEL_RATE)
        found, _ = self._model.transcribe(sound, language=self._language, vad_filter=True)
        for item in found:
            if text := item.text.strip():
                confidence = round(min(math.exp(item.avg_logprob), 1.0), 3)
                yield Segment(speaker, round(item.start, 2), round(item.end, 2), text, confidence)
