"""How long to wait before the next attempt to reach a server."""

from random import SystemRandom

_random = SystemRandom()


class Backoff:
    """Doubles from ``first`` to ``cap`` seconds; each wait is drawn from the upper half, so that engines that lost the
    same server do not come back in step."""

    def __init__(self, first: float = 0.1, cap: float = 5.0) -> None:
        self._first = first
        self._cap = cap
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = min(self._cap, self._first * (1 << min(self._failures, 16)))
        self._failures += 1
        return ceiling * _random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._failures = 0
