"""How long to wait before the next attempt to reach a server."""

from random import SystemRandom
from typing import Final

_GROWTH: Final = 1.5
_ENOUGH: Final = 64
"""Failures after which no cap in use is below the growth."""
_random = SystemRandom()


class Backoff:
    """Grows by half from ``first`` to ``cap`` seconds: a server that is away for a while is found again within a third
    of that while. Each wait is drawn from its upper half, so that engines that lost the same server do not come back in
    step."""

    def __init__(self, first: float = 0.1, cap: float = 5.0) -> None:
        self._first = first
        self._cap = cap
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = min(self._cap, self._first * _GROWTH ** min(self._failures, _ENOUGH))
        self._failures += 1
        return ceiling * _random.uniform(0.5, 1.0)

    @property
    def failures(self) -> int:
        """In a row."""
        return self._failures

    def reset(self) -> None:
        self._failures = 0
