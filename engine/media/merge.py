"""Two one-sided recordings become one file. Plain functions on files, run in a thread."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
WAV_HEADER = 44
CHUNK = 8000 * 60


class NoSound(Exception):
    """A side has no file, or a file without a sample."""


@dataclass(frozen=True, slots=True)
class Merged:
    duration: float
    """Seconds."""
    size: int
    sha256: str


def merge(sides: Sequence[Path], target: Path) -> Merged:
    """Write ``sides`` as the channels of the WAV ``target`` (left first), by rename. A shorter side is filled with
    silence at its end. Raises NoSound."""
    tracks = [_samples(path) for path in sides]
    length = max(len(track) for track in tracks)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with soundfile.SoundFile(part, "w", RATE, len(tracks), "PCM_16", format="WAV") as out:
        for start in range(0, length, CHUNK):
            count = min(CHUNK, length - start)
            out.write(np.stack([_window(track, start, count) for track in tracks], axis=1))
    digest, size = _digest(part)
    part.replace(target)
    return Merged(length / RATE, size, digest)


def _samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """16-bit samples behind the header, whatever length the header claims: Asterisk killed in mid-call never wrote it."""
    if not path.exists() or path.stat().st_size <= WAV_HEADER:
        raise NoSound(path.name)
    count = (path.stat().st_size - WAV_HEADER) // 2
    return np.memmap(path, dtype="<i2", mode="r", offset=WAV_HEADER, shape=(count,))


def _window(
    track: np.ndarray[tuple[int], np.dtype[np.int16]], start: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    piece = np.asarray(track[start : start + count])
    return np.pad(piece, (0, count - len(piece)))


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return digest, file.tell()
