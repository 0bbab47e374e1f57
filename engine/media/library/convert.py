"""From a file that somebody sent to one that a telephone plays: 16-bit 8 kHz mono WAV at one level.

Runs in ``engine.media.child``. Nothing that the file says of itself is trusted: its kind is found by its content, its
length by reading it, and reading stops at the cap (docs/adr on soxr tells why this resampler).
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from engine.media.library.level import Samples, levelled
from engine.media.worker import WorkRefused

RATE = 8000
FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "MP3": "mp3", "OGG": "ogg", "FLAC": "flac"}
"""libsndfile's name → ours."""
RATES = range(4000, 192_001)
"""Hertz that are taken."""
MOST_CHANNELS = 8
_FRAMES = 65_536


def work(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``source`` → ``target``, at most ``longest`` seconds. Raises WorkRefused."""
    source, target = Path(request["source"]), Path(request["target"])
    scratch = target.with_name(f"{target.name}.samples")
    try:
        kind = _decode(source, scratch, request["longest"], request.get("claimed"))
        count = _write(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        size = file.tell()
    return {"source": kind, "duration": count / RATE, "size": size, "sha256": digest}


def _decode(source: Path, scratch: Path, longest: float, claimed: str | None) -> str:
    """Write the samples, mixed and resampled, as 32-bit floats; the kind of the source."""
    try:
        with soundfile.SoundFile(source) as file:
            kind = _checked(file, claimed)
            with scratch.open("wb") as out:
                for piece in _resampled(file, longest):
                    piece.tofile(out)
    except soundfile.LibsndfileError:
        raise WorkRefused("is not audio that can be read; WAV, MP3, OGG and FLAC can") from None
    return kind


def _checked(file: soundfile.SoundFile, claimed: str | None) -> str:
    kind = FORMATS.get(file.format)
    if kind is None:
        raise WorkRefused(f"is {file.format}; WAV, MP3, OGG and FLAC are taken")
    if claimed is not None and claimed != kind:
        raise WorkRefused(f"is said to be {claimed} and is {kind}")
    if file.samplerate not in RATES:
        raise WorkRefused(f"has {file.samplerate} samples a second; {RATES[0]} to {RATES[-1]} are taken")
    if file.channels > MOST_CHANNELS:
        raise WorkRefused(f"has {file.channels} channels; at most {MOST_CHANNELS} are taken")
    return kind


def _resampled(file: soundfile.SoundFile, longest: float) -> Iterator[Samples]:
    stream = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32", quality="HQ")
    read, most = 0, int(longest * file.samplerate)
    while len(block := file.read(_FRAMES, dtype="float32", always_2d=True)):
        read += len(block)
        if read > most:
            raise WorkRefused(f"is longer than {longest:g} seconds")
        yield stream.resample_chunk(_mono(block))
    if not read:
        raise WorkRefused("is empty: it holds no sound")
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _mono(block: Samples) -> Samples:
    """The channels' mean, without what is no number or no sensible one."""
    mixed = np.nan_to_num(block.mean(axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(mixed, -8, 8), np.float32)


def _write(scratch: Path, target: Path) -> int:
    """Samples in ``target``. Raises WorkRefused when there are none."""
    if not scratch.stat().st_size:
        raise WorkRefused("is empty: it holds no sound")
    samples = np.memmap(scratch, dtype=np.float32, mode="r")
    try:
        with soundfile.SoundFile(target, "w", RATE, 1, "PCM_16", format="WAV") as out:
            for piece in levelled(samples):
                out.write(piece)
    except soundfile.LibsndfileError:
        raise OSError("the sound can't be written") from None
    return len(samples)
