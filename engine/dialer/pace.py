"""Calls per minute as exact instants. Pure.

A lane's pace is a row of instants, one interval apart. Engines take them in slices, under the lock of the lane, so that
together they keep one pace; who took the last slice is served later than the others, so that slices go round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

AHEAD = 0.8
"""Seconds before an instant at which an engine may take it."""
AHEAD_AGAIN = 0.4
"""… which has also taken the last slice, while there are others."""
SLICE = 0.4
"""Seconds of the pace that one slice has at most."""
CATCH_UP = 1.0
"""Seconds of the pace that are made up for when nobody took them; what is older is lost, for a pace is no debt."""


@dataclass(frozen=True, slots=True)
class Slice:
    """``instants`` that may be taken; ``then``: the first that is left when ``taken`` of them were."""

    instants: Sequence[datetime]
    start: datetime
    per_minute: float

    def then(self, taken: int) -> datetime:
        return self.start + timedelta(seconds=60 * taken / self.per_minute)


def ahead(engine: str, last_engine: str | None, engines: int) -> float:
    """Seconds that this engine may look ahead."""
    return AHEAD_AGAIN if engines > 1 and engine == last_engine else AHEAD


def instants(now: datetime, next_at: datetime | None, per_minute: float, *, ahead: float, most: int) -> Slice:
    """The instants from ``next_at`` on that are less than ``ahead`` seconds away, at most ``most`` and at most a slice.

    >>> start = datetime(2026, 1, 1)
    >>> [each.microsecond for each in instants(start, None, 600, ahead=0.25, most=9).instants]
    [0, 100000, 200000]
    """
    start = now if next_at is None or next_at < now - timedelta(seconds=CATCH_UP) else next_at
    until = now + timedelta(seconds=ahead)
    fitting = int((until - start).total_seconds() * per_minute / 60) + 1 if start <= until else 0
    n = max(min(fitting, most, ceil(SLICE * per_minute / 60)), 0)
    found = Slice((), start, per_minute)
    return replace(found, instants=[found.then(k) for k in range(n)])
