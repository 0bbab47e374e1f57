"""When somebody is there: weekly hours, holidays and days with hours of their own, in a time zone. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_YEARLY = re.compile(r"(\d{2})-(\d{2})", re.ASCII)
_DAY = 24 * 60

Span = tuple[int, int]
"""Minutes since midnight, from and until; until is over 1440 where it reaches into the next day."""


@dataclass(frozen=True, slots=True)
class Hours:
    """``weekly``: by weekday, Monday is 0. ``special``: days that go by hours of their own; a holiday has none."""

    weekly: Mapping[int, tuple[Span, ...]]
    special: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """``2026-12-25``, or ``12-25`` in every year."""

    def open_at(self, local: datetime) -> bool:
        """``local``: by the clock on the wall of the place. A span that begins late reaches into the next day."""
        minute = local.hour * 60 + local.minute
        yesterday = local.date() - timedelta(days=1)
        return any(start <= minute < end for start, end in self._of(local.date())) or any(
            minute < end - _DAY for _, end in self._of(yesterday)
        )

    def _of(self, day: date) -> tuple[Span, ...]:
        for key in (day.isoformat(), f"{day:%m-%d}"):
            if key in self.special:
                return self.special[key]
        return self.weekly.get(day.weekday(), ())


def spans(text: str) -> tuple[Span, ...]:
    """``09:00-12:30, 13:00-17:00``; ``22:00-02:00`` ends on the next day; empty is closed. Raises ValueError."""
    return tuple(_span(part.strip()) for part in text.split(",") if part.strip())


def _span(text: str) -> Span:
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time span such as 09:00-17:30")
    first, first_minute, last, last_minute = map(int, match.groups())
    start, end = first * 60 + first_minute, last * 60 + last_minute
    if max(first_minute, last_minute) > 59 or start >= _DAY or end > _DAY or start == end:  # noqa: PLR2004 - minutes
        raise ValueError(f"{text!r} is not a span of one day")
    return start, end if end > start else end + _DAY


def days(text: str) -> tuple[int, ...]:
    """``mon``, ``mon-fri``, ``sat,sun``, ``fri-mon``. Raises ValueError."""
    found: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{text!r} is not a day such as mon, or mon-fri")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found += [(start + n) % 7 for n in range((end - start) % 7 + 1)]
    return tuple(found)


def day(text: str) -> str:
    """A date, ``2026-12-25`` or ``12-25``. Raises ValueError."""
    try:
        yearly = _YEARLY.fullmatch(text)
        date.fromisoformat(f"2024-{text}" if yearly else text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date such as 2026-12-25 or 12-25") from None
    return text
