"""A wall clock's time in a zone as an instant. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class NoSuchTime(ValueError):
    """Says why a wall clock never shows that time, or shows it twice."""


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The one instant, in UTC, at which clocks of ``zone`` show ``wall`` (naive). Raises NoSuchTime.

    >>> instant(datetime(2026, 7, 1, 12), ZoneInfo("Asia/Kolkata")).isoformat()
    '2026-07-01T06:30:00+00:00'
    """
    try:
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        shown = first.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise NoSuchTime("is beyond the calendar") from None
    if shown != wall:
        raise NoSuchTime(f"does not exist in {zone.key}: clocks are put forward over it")
    if first != second:
        raise NoSuchTime(f"is ambiguous in {zone.key}: clocks are put back, and it comes twice")
    return first
