"""µ-law → what each 20 ms of sound is like: its level, and how tonal and how voiced it is.

One short-time spectrum per frame (a Hann window of 40 ms, 25 Hz a bin) tells all of it. Frames are made as many at a
time as have come, because one transform of five rows costs little more than one of one.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RATE: Final = 8000
FRAME: Final = 160
"""Samples; 20 ms."""
PER_SECOND: Final = RATE // FRAME

LEVEL, SHARE, HERTZ, PAIR, VOICED, LIKENESS, PITCH = range(7)
"""Columns: dBFS in the telephone band; share of the strongest 5 bins; hertz of the strongest bin, interpolated; share
of the two strongest peaks; height of the autocorrelation between 70 and 400 Hz; likeness with the spectrum 60 ms ago;
semitones above 55 Hz of that autocorrelation's peak."""
COLUMNS: Final = 7

_LOW: Final = 10
_HIGH: Final = 142
"""Bins of 250 to 3550 Hz."""
_BIN: Final = 25.0
_LAGS: Final = (20, 115)
_REACH: Final = 2
"""Bins on either side of a peak that its energy spreads to."""
_BACK: Final = 3
"""Frames."""
_QUIET: Final = 1e-9


def _table() -> Floats:
    code = ~np.arange(256) & 0xFF
    magnitude = ((2 * (code & 0x0F) + 33) << ((code >> 4) & 0x07)) - 33
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude) / 8192.0, np.float64)


_ULAW: Final = _table()
_WINDOW: Final = np.hanning(2 * FRAME)
_POWER: Final = float(np.sum(_WINDOW**2)) * 2 * FRAME / 2
_WINDOW_CORRELATION: Final = np.fft.irfft(np.abs(np.fft.rfft(_WINDOW, 4 * FRAME)) ** 2)[: _LAGS[1]]


def decode(ulaw: bytes) -> Floats:
    """Samples of full scale ±1 (G.711)."""
    return np.asarray(_ULAW[np.frombuffer(ulaw, np.uint8)], np.float64)


class Frames:
    """The call's sound so far, as one row of columns per frame."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._last = np.zeros(FRAME)
        self._spectra = np.full((_BACK, _HIGH - _LOW), 1e-6)
        self._rows = np.zeros((512, COLUMNS))
        self.count = 0

    @property
    def rows(self) -> Floats:
        return self._rows[: self.count]

    @property
    def seconds(self) -> float:
        return self.count / PER_SECOND

    def feed(self, ulaw: bytes) -> int:
        """Take sound in; number of frames that it made."""
        self._rest += ulaw
        whole = len(self._rest) // FRAME
        if not whole:
            return 0
        sound = np.concatenate([self._last, decode(bytes(self._rest[: whole * FRAME]))])
        del self._rest[: whole * FRAME]
        self._last = sound[-FRAME:]
        self._append(self._measured(sound, whole))
        return whole

    def _append(self, rows: Floats) -> None:
        while self.count + len(rows) > len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self.count : self.count + len(rows)] = rows
        self.count += len(rows)

    def _measured(self, sound: Floats, whole: int) -> Floats:
        windows = np.lib.stride_tricks.sliding_window_view(sound, 2 * FRAME)[::FRAME] * _WINDOW
        power = np.abs(np.fft.rfft(windows)) ** 2
        band = power[:, _LOW:_HIGH]
        total = band.sum(axis=1) + _QUIET
        rows = np.empty((whole, COLUMNS))
        rows[:, LEVEL] = 10 * np.log10(total / _POWER + 1e-9)
        rows[:, SHARE], rows[:, HERTZ], rows[:, PAIR] = _peaks(band, total)
        rows[:, VOICED], rows[:, PITCH] = _voiced(windows)
        rows[:, LIKENESS] = self._likeness(band)
        return rows

    def _likeness(self, band: Floats) -> Floats:
        """Cosine between amplitude spectra ``_BACK`` frames apart: near 1 where a note is held, less in speech."""
        amplitudes = np.sqrt(band) + 1e-6
        amplitudes /= np.sqrt(np.sum(amplitudes**2, axis=1, keepdims=True))
        known = np.concatenate([self._spectra, amplitudes])
        self._spectra = known[-_BACK:]
        return np.asarray(np.sum(known[: len(amplitudes)] * amplitudes, axis=1))


def _peaks(band: Floats, total: Floats) -> tuple[Floats, Floats, Floats]:
    """Share and hertz of the strongest peak, share of the two strongest together."""
    each = np.arange(len(band))
    padded = np.pad(band, ((0, 0), (_REACH, _REACH)))
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1, axis=1).sum(axis=2)
    first = np.argmax(band, axis=1)
    share = around[each, first] / total
    rest = around.copy()
    columns = np.arange(band.shape[1])
    rest[np.abs(columns - first[:, None]) <= 2 * _REACH] = 0
    pair = share + rest.max(axis=1) / total
    before, at, after = (np.sqrt(padded[each, first + _REACH + shift]) for shift in (-1, 0, 1))
    # Where two bins beside each other of a Hann window have the amplitudes a and b, the sine lies (2b - a) / (a + b)
    # of a bin beyond the first.
    upper = (2 * after - at) / (at + after + _QUIET)
    lower = (2 * before - at) / (at + before + _QUIET)
    offset = np.where(after > before, upper, -lower)
    hertz = (first + _LOW + np.clip(offset, -0.6, 0.6)) * _BIN
    return np.minimum(share, 1.0), np.asarray(hertz), np.minimum(pair, 1.0)


def _voiced(windows: Floats) -> tuple[Floats, Floats]:
    """Height of the autocorrelation's peak at the lags of a voice, the window's own fall taken out, 0 to 1;
    and its place, in semitones."""
    spectrum = np.abs(np.fft.rfft(windows, 4 * FRAME)) ** 2
    correlation = np.fft.irfft(spectrum)[:, : _LAGS[1]]
    normal = correlation[:, _LAGS[0] :] / (correlation[:, :1] + _QUIET)
    shape = _WINDOW_CORRELATION[_LAGS[0] :] / _WINDOW_CORRELATION[0]
    normal /= shape
    lag = np.argmax(normal, axis=1)
    height = np.clip(normal[np.arange(len(normal)), lag], 0, 1)
    return np.asarray(height), np.asarray(12 * np.log2(RATE / (lag + _LAGS[0]) / 55.0))
