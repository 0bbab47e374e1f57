"""Music on hold that needs no package: two soft chords, written once as 8 kHz mono WAV."""

import wave
from array import array
from math import pi, sin
from pathlib import Path

RATE = 8000
CHORDS = ((262.0, 330.0, 392.0), (220.0, 262.0, 330.0))
"""Hertz: C major, then A minor. A test finds 262 Hz and 330 Hz in both or none: they are what "on hold" sounds like."""
_SECONDS_PER_CHORD = 4
_LEVEL = 2500
"""Peak of one note out of 32767: about -22 dB, so that three together stay soft."""


def write_hold_music(folder: Path) -> None:
    """Write ``folder/trunkline-hold.wav`` unless the folder has music already."""
    if folder.is_dir() and any(folder.iterdir()):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "trunkline-hold.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(_chord(notes).tobytes() for notes in CHORDS))


def _chord(notes: tuple[float, ...]) -> "array[int]":
    """One chord that swells and fades, so that nobody hears a seam where the file begins again."""
    total = RATE * _SECONDS_PER_CHORD
    return array(
        "h",
        (
            int(_LEVEL * (0.3 + 0.7 * sin(pi * n / total)) * sum(sin(2 * pi * note * n / RATE) for note in notes))
            for n in range(total)
        ),
    )
