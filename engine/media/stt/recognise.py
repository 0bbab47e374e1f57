"""A recording's words, in ``engine.media.child``: each speaker has a channel."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from engine.media.stt.phrases import RATE, Samples
from engine.media.stt.port import Segment
from engine.media.stt.sphinx import Sphinx
from engine.media.stt.whisper import Whisper
from engine.media.worker import WorkRefused

ENGINES: Mapping[str, type[Sphinx | Whisper]] = {engine.name: engine for engine in (Sphinx, Whisper)}


def work(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``recording`` and its ``speakers`` (left first) → segments. Raises WorkRefused."""
    channels = _channels(Path(request["recording"]), len(request["speakers"]))
    model = Path(request["model"]) if request["model"] else None
    engine = ENGINES[request["engine"]](model, request["language"])
    found: list[Segment] = []
    for channel, speaker in zip(channels, request["speakers"], strict=True):
        found += engine.segments(channel, speaker)
    in_turn = sorted(found, key=lambda segment: (segment.start, segment.end))
    return {"duration": len(channels[0]) / RATE, "segments": [asdict(segment) for segment in in_turn]}


def _channels(recording: Path, speakers: int) -> Sequence[Samples]:
    try:
        samples, rate = soundfile.read(recording, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError:
        raise WorkRefused("the recording can't be read") from None
    if rate != RATE or samples.shape[1] != speakers:
        raise WorkRefused(f"the recording has {samples.shape[1]} channels at {rate} Hz")
    return [np.ascontiguousarray(samples[:, side]) for side in range(speakers)]
