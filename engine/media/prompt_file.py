"""Whether Asterisk plays a file as it is."""

from pathlib import Path

import soundfile

RATE = 8000


def what_is_wrong(path: Path) -> str | None:
    """None for a WAV file of 8 kHz, mono, 16 bit."""
    if not path.exists():
        return f"no sound file is at {path}"
    try:
        told = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return f"{path} is no sound file"
    if (told.samplerate, told.channels, told.format, told.subtype) != (RATE, 1, "WAV", "PCM_16"):
        return f"{path} is not a WAV file of 8 kHz, mono, 16 bit"
    return None
