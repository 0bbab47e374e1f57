"""How many due calls may be under way at once, by what Asterisk shows: fewer at every sign that it has too many, then
slowly more again. Pure but for the clock that is handed in."""

from collections.abc import Callable
from dataclasses import dataclass

LEAST = 4
SLOW = 0.5
"""Seconds that a request to Asterisk takes, on average, when it has too much to do; 3 to 10 ms is usual."""
EVERY = 1.0
"""Seconds between two steps down, and between two up: what was begun before shows only now."""
STEP_UP = 1.25
MOST_FAILURES = 0.4
"""Share of the last calls that could not be placed, or met a congested network, from which on it is too many. Single
numbers that answer 503 are no overload."""
WEIGHT = 0.05
"""Of one call in that share: the last twenty or so count."""


@dataclass(slots=True)
class Brake:
    """``most``: calls at once when nothing is amiss. ``round_trip``: seconds that requests to Asterisk take, lately.
    ``flooded``: whether one of Asterisk's queues is full, where that can be seen."""

    most: int
    clock: Callable[[], float]
    round_trip: Callable[[], float] = lambda: 0.0
    flooded: Callable[[], bool] = lambda: False
    failures: float = 0.0
    """Share of the last calls that failed."""
    window: float = 0.0
    stepped: float = 0.0
    braked: int = 0
    """Steps down so far."""

    def __post_init__(self) -> None:
        self.window = float(self.most)

    def ended(self, flying: int, *, failed: bool) -> None:
        """A call is over, with so many under way. ``failed``: it could not be placed, or the network was congested (503)."""
        self.failures += (failed - self.failures) * WEIGHT
        if failed and self.failures > MOST_FAILURES:
            self._down(flying)

    def room(self, flying: int) -> int:
        """How many more may be begun, with so many under way."""
        if self.round_trip() > SLOW or self.flooded():
            self._down(flying)
        elif self.window < self.most and self.clock() - self.stepped >= EVERY:
            self.window = min(self.window * STEP_UP + 1, self.most)
            self.stepped = self.clock()
        return max(int(self.window) - flying, 0)

    def _down(self, flying: int) -> None:
        if self.clock() - self.stepped < EVERY and self.braked:
            return
        self.window = max(min(self.window, flying) / 2, LEAST)
        self.stepped = self.clock()
        self.braked += 1
