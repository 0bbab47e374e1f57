"""The recogniser as the engine has it: another process, of low priority, that is ended when it takes too long."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from engine.config import Stt
from engine.media import worker
from engine.media.stt.port import CannotTranscribe, Segment, Transcription, TranscriptionFailed

_MEMORY = 3 << 30
"""Bytes of address space for pocketsphinx; a whisper model's own size is for its owner to know."""
_NICE = 19
_AT_LEAST = 60.0
"""Seconds: loading the model, on a machine that has other things to do."""


@dataclass(frozen=True, slots=True)
class ProcessRecogniser:
    """Implements ``engine.media.stt.port.Recogniser``."""

    settings: Stt

    async def transcribe(self, recording: Path, speakers: Sequence[str]) -> Transcription:
        deadline = self.longest(await asyncio.to_thread(_duration, recording))
        request = {
            "recording": str(recording),
            "speakers": list(speakers),
            "engine": self.settings.engine,
            "model": str(self.settings.model) if self.settings.model else None,
            "language": self.settings.language,
            "nice": _NICE,
            "memory": _MEMORY if self.settings.engine == "pocketsphinx" else None,
        }
        try:
            answer = await worker.run("transcribe", request, deadline=deadline)
        except worker.WorkRefused as refusal:
            raise CannotTranscribe(str(refusal)) from None
        except worker.TookTooLong as error:
            raise CannotTranscribe(str(error)) from None
        except worker.WorkerFailed as error:
            raise TranscriptionFailed(str(error)) from None
        segments = tuple(Segment(**segment) for segment in answer["segments"])
        return Transcription(self.settings.engine, self.settings.language, answer["duration"], segments)

    def longest(self, duration: float) -> float:
        """Seconds that a recording of that many seconds may take."""
        return _AT_LEAST + duration * self.settings.patience


def _duration(recording: Path) -> float:
    if not recording.is_file():
        raise CannotTranscribe("the recording's file is gone")
    try:
        return float(soundfile.info(recording).duration)
    except (soundfile.LibsndfileError, OSError):
        raise CannotTranscribe("the recording can't be read") from None
