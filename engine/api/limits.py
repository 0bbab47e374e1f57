"""Requests per minute and account: a bucket of one minute's worth that fills evenly."""

import math
import time
from collections.abc import Callable

from engine.calls.account import Account
from engine.errors import TooMany

MINUTE = 60.0


class RateLimiter:
    """Knows one pair of floats per account that has a limit."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, account: Account) -> None:
        """Count one request. Raises TooMany with the seconds until the next one fits."""
        limit = account.limits.requests_per_minute
        if not limit:
            return
        now = self._clock()
        left, since = self._buckets.get(account.account, (float(limit), now))
        left = min(float(limit), left + (now - since) * limit / MINUTE)
        if left < 1:
            self._buckets[account.account] = (left, now)
            raise TooMany(f"over {limit} requests per minute", retry_after=math.ceil((1 - left) * MINUTE / limit))
        self._buckets[account.account] = (left - 1, now)
