"""When a number may be called (N6). Pure: instants in, instants out; closed when in doubt.

A schedule is meant by the clock on the wall: 09:00 is 09:00 in summer and in winter. Instants are compared as what that
clock shows, so that a time which the clock skips is no time, and one that it shows twice is open both times.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as phone_zones

from engine.dialer.port import Rules

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK = 9
"""Days ahead in which an opening is looked for: a week, and the days that zones are apart."""
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_MIDNIGHT = 24 * 60


class BadSchedule(ValueError):
    """Says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the day, ``end`` not included."""

    start: int
    end: int


Week = tuple[tuple[Span, ...], ...]
"""From monday on."""


def week(schedule: Mapping[str, Sequence[str]]) -> Week:
    """Raises BadSchedule.

    >>> week({"mon": ["09:00-17:00"]})[0]
    (Span(start=540, end=1020),)
    """
    if unknown := [day for day in schedule if day not in DAYS]:
        raise BadSchedule(f"days are {', '.join(DAYS)}, not {str(unknown[0])[:16]!r}")
    return tuple(tuple(map(_span, schedule.get(day, ()))) for day in DAYS)


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if not match:
        raise BadSchedule("a window is written like 09:00-17:00")
    hour, minute, end_hour, end_minute = match.groups()
    start = int(hour) * 60 + int(minute)
    end = int(end_hour) * 60 + int(end_minute) if end_hour else _MIDNIGHT
    if end <= start:
        raise BadSchedule("a window ends after it starts, on the same day")
    return Span(start, end)


def zone(name: str) -> ZoneInfo | None:
    """None where there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def rules(stored: Mapping[str, Any]) -> Rules:
    """Out of ``due_lanes.rules``."""
    return Rules(**{name: stored[name] for name in Rules.__dataclass_fields__ if name in stored})


@lru_cache(maxsize=4096)
def zones_of(number: str) -> tuple[ZoneInfo, ...]:
    """Every zone that a number (digits with country code) may be in, after its prefix; none when nobody can tell."""
    try:
        parsed = phonenumbers.parse(f"+{number}")
    except phonenumbers.NumberParseException:
        return ()
    names = phone_zones.time_zones_for_number(parsed)
    found = [zone(name) for name in names if name != phone_zones.UNKNOWN_TIMEZONE]
    return tuple(each for each in found if each is not None) if all(found) else ()


def open_at(rules: Rules, number: str, at: datetime) -> bool:
    """Whether ``number`` may be called at the instant ``at``."""
    if not rules.schedule:
        return True
    zones = _zones(rules, number)
    spans = _week(rules)
    return bool(zones) and all(_shows_open(spans, each, at) for each in zones)


def opening(rules: Rules, number: str, after: datetime) -> datetime | None:
    """The first instant from ``after`` on at which it may be called; None: never, or not in the next days."""
    if open_at(rules, number, after):
        return after
    zones = _zones(rules, number)
    starts = {each for item in zones for each in _starts(_week(rules), item, after)}
    return next((each for each in sorted(starts) if each > after and open_at(rules, number, each)), None)


def closed_until(rules: Rules, numbers: Mapping[int, str], at: datetime) -> dict[int, datetime]:
    """Those that may not be called at that instant, and when they may; after the days that can be seen when not in them."""
    openings: dict[tuple[ZoneInfo, ...], datetime] = {}
    closed = {key: number for key, number in numbers.items() if not open_at(rules, number, at)}
    for number in closed.values():
        zones = _zones(rules, number)
        if zones not in openings:
            openings[zones] = opening(rules, number, at) or at + timedelta(days=LOOK)
    return {key: openings[_zones(rules, number)] for key, number in closed.items()}


def _zones(rules: Rules, number: str) -> tuple[ZoneInfo, ...]:
    if rules.callee_zone:
        return zones_of(number)
    own = zone(rules.zone)
    return (own,) if own else ()


def _week(rules: Rules) -> Week:
    """A schedule that can't be read is closed."""
    return _read(tuple((day, tuple(spans)) for day, spans in rules.schedule.items()))


@lru_cache(maxsize=1024)
def _read(schedule: tuple[tuple[str, tuple[str, ...]], ...]) -> Week:
    try:
        return week(dict(schedule))
    except BadSchedule:
        return ((),) * len(DAYS)


def _shows_open(spans: Week, zone: ZoneInfo, at: datetime) -> bool:
    shown = at.astimezone(zone)
    minute = shown.hour * 60 + shown.minute
    return any(span.start <= minute < span.end for span in spans[shown.weekday()])


def _starts(spans: Week, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every instant at which a window may begin: when the clock shows its start, and when the clock is changed."""
    first = after.astimezone(zone).date() - timedelta(days=1)
    for ahead in range(LOOK + 2):
        day = first + timedelta(days=ahead)
        walls = [datetime.combine(day, time(span.start // 60, span.start % 60)) for span in spans[day.weekday()]]
        yield from (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for wall in walls for fold in (0, 1))
    yield from _changes(zone, after, after + timedelta(days=LOOK + 1))


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """When clocks of the zone are changed between the two, to the second."""
    hours = range(int((end - start) / timedelta(hours=6)) + 1)
    marks = [start + timedelta(hours=6 * n) for n in hours]
    for low, high in pairwise(marks):
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            yield _change(zone, low, high)


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    before = low.astimezone(zone).utcoffset()
    left, right = int(low.timestamp()), int(high.timestamp()) + 1
    while right - left > 1:
        middle = (left + right) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            left = middle
        else:
            right = middle
    return datetime.fromtimestamp(right, UTC)
