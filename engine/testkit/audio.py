"""What is in a recording: tones, speech, silence, level. Plain functions on samples of one channel.

Sound is looked at in windows of 100 ms, in which tones 40 Hz apart are told from one another; durations are counted
in such windows.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""One channel, full scale ±1."""

RATE = 8000
WINDOW = 800
"""Samples; 0.1 s."""
SILENCE = -50.0
"""dBFS; µ-law noise lies below it, a soft voice above it."""
_HALF_WIDTH = 15.0
"""Hertz on either side of a tone that its energy spreads to in a window."""


def nothing() -> Samples:
    return np.zeros(0)


def load(path: Path) -> list[Samples]:
    """The channels of an 8 kHz 16-bit WAV file, left first. A header that its writer never finished is overlooked."""
    raw = path.read_bytes()
    return decode(raw)


def decode(raw: bytes) -> list[Samples]:
    """As ``load``, of a file's bytes. Raises ValueError for what is not such a file."""
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    channels, at = 1, 12
    while at + 8 <= len(raw):
        kind, size = raw[at : at + 4], int.from_bytes(raw[at + 4 : at + 8], "little")
        if kind == b"fmt ":
            channels = int.from_bytes(raw[at + 10 : at + 12], "little")
            rate, bits = int.from_bytes(raw[at + 12 : at + 16], "little"), raw[at + 22]
            if (rate, bits) != (RATE, 16):
                raise ValueError(f"{rate} Hz, {bits} bits")
        if kind == b"data":
            sound = np.frombuffer(raw[at + 8 : at + 8 + (len(raw) - at - 8) // (2 * channels) * 2 * channels], "<i2")
            return [np.asarray(sound[side::channels] / 32768.0, dtype=np.float64) for side in range(channels)]
        at += 8 + size + size % 2
    raise ValueError("no samples in it")


def duration(samples: Samples) -> float:
    """Seconds."""
    return len(samples) / RATE


def level_dbfs(samples: Samples) -> float:
    """Root mean square, in dB of full scale; -120 for digital silence and for nothing."""
    power = float(np.mean(samples**2)) if len(samples) else 0.0
    return max(10 * float(np.log10(max(power, 1e-12))), -120.0)


def is_silent(samples: Samples, *, below: float = SILENCE) -> bool:
    """No window of it is louder than ``below`` dBFS."""
    return bool(np.all(_levels(_windows(samples)) < below))


def tone_seconds(samples: Samples, hz: float, *, share: float = 0.5) -> float:
    """How long a tone of ``hz`` sounds with at least ``share`` of a window's energy (0.2 finds one of two tones)."""
    windows = _windows(samples)
    spectrum, total = _spectra(windows)
    near = np.abs(_frequencies() - hz) <= _HALF_WIDTH
    part = spectrum[:, near].sum(axis=1) / total
    return float(np.count_nonzero((part >= share) & (_levels(windows) > SILENCE))) * WINDOW / RATE


def tone_present(samples: Samples, *hz: float, min_seconds: float = 0.3, share: float | None = None) -> bool:
    """A tone (several: all of them at once) sounds for at least that long altogether."""
    least = share if share is not None else (0.5 if len(hz) == 1 else 0.6 / len(hz))
    return bool(hz) and all(tone_seconds(samples, each, share=least) >= min_seconds for each in hz)


def dominant_tone(samples: Samples) -> float | None:
    """Hertz of the strongest tone, to 10 Hz; None when it is silent."""
    windows = _windows(samples)
    loud = windows[_levels(windows) > SILENCE]
    if not len(loud):
        return None
    spectrum, _ = _spectra(loud)
    return float(_frequencies()[int(np.argmax(spectrum.sum(axis=0)))])


def speech_present(samples: Samples, *, min_seconds: float = 0.3) -> bool:
    """Sound whose energy lies in many places that change, as speech's does and a tone's, or two tones', does not."""
    windows = _windows(samples)
    loud = windows[_levels(windows) > SILENCE + 5]
    if len(loud) * WINDOW / RATE < min_seconds:
        return False
    spectrum, _ = _spectra(loud)
    peaks = _frequencies()[np.argmax(spectrum, axis=1)]
    spread = len({round(float(peak) / 40) for peak in peaks})
    strongest = np.sort(spectrum.sum(axis=0) / spectrum.sum())[::-1]
    return spread >= 3 and float(strongest[:6].sum()) < 0.85


def _windows(samples: Samples) -> Samples:
    count = len(samples) // WINDOW
    return samples[: count * WINDOW].reshape(count, WINDOW)


def _levels(windows: Samples) -> Samples:
    power = np.mean(windows**2, axis=1) if len(windows) else np.zeros(0)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), dtype=np.float64)


def _spectra(windows: Samples) -> tuple[Samples, Samples]:
    """Energy by window and frequency, without what is near 0 Hz, and its total by window."""
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)) ** 2
    spectrum[:, _frequencies() < 60] = 0
    return spectrum, np.maximum(spectrum.sum(axis=1), 1e-12)


def _frequencies() -> Samples:
    return np.asarray(np.fft.rfftfreq(WINDOW, 1 / RATE), dtype=np.float64)
