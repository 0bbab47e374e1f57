"""Caps on tries of one number. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from engine.dialer.port import Rules


def free_at(rules: Rules, tries: Sequence[datetime], now: datetime) -> datetime:
    """When the number may be tried next, after these tries (ascending): ``now`` when it may be at once."""
    when = now
    for cap, days in ((rules.per_day, 1), (rules.per_week, 7)):
        span = timedelta(days=days)
        recent = [at for at in tries if at > now - span]
        if cap is not None and len(recent) >= cap:
            when = max(when, recent[len(recent) - cap] + span)
    return when
