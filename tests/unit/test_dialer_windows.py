"""When numbers may be called, over every change of clocks; and what a wall clock's time means."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dialer import windows
from engine.dialer.caps import free_at
from engine.dialer.localtime import NoSuchTime, instant
from engine.dialer.port import Rules
from engine.dialer.windows import DAYS, BadSchedule, open_at, opening, week, zones_of

ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC",
         "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo"]  # fmt: skip
CHANGES = [datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC),
           datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC)]  # fmt: skip
"""New York, Berlin, Lord Howe (by half an hour)."""

near_changes = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-3000, 3000)
)
any_time = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)) | near_changes  # noqa: DTZ001


def minutes(n: int) -> str:
    return f"{n // 60:02d}:{n % 60:02d}"


spans = st.tuples(st.integers(0, 1438), st.integers(1, 1440)).filter(lambda each: each[0] < each[1])
schedules = st.dictionaries(
    st.sampled_from(DAYS), st.lists(spans.map(lambda each: f"{minutes(each[0])}-{minutes(each[1])}"), min_size=1, max_size=2),
    min_size=1,
)  # fmt: skip


def shown_open(schedule: dict[str, list[str]], zone: str, at: datetime) -> bool:
    """The same, said otherwise: compare what the clock shows as text."""
    wall = at.astimezone(ZoneInfo(zone))
    clock = wall.strftime("%H:%M")
    return any(
        start <= clock < end for start, end in (each.split("-") for each in schedule.get(DAYS[wall.weekday()], []))
    )


@settings(deadline=None)
@given(schedules, st.sampled_from(ZONES), any_time)
def test_open_is_what_the_clock_on_the_wall_shows(schedule: dict[str, list[str]], zone: str, at: datetime) -> None:
    assert open_at(Rules(zone=zone, schedule=schedule), "", at) == shown_open(schedule, zone, at)


@settings(deadline=None)
@given(schedules, st.sampled_from(ZONES), any_time)
def test_an_opening_is_open_and_the_first(schedule: dict[str, list[str]], zone: str, at: datetime) -> None:
    rules = Rules(zone=zone, schedule=schedule)
    found = opening(rules, "", at)
    if found is None:  # a window that only the skipped hour has
        assert not any(shown_open(schedule, zone, at + timedelta(minutes=n)) for n in range(0, 7 * 1440, 15))
        return
    assert found >= at
    assert open_at(rules, "", found)
    minute = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < found:
        assert not shown_open(schedule, zone, minute), minute
        minute += timedelta(minutes=7)
    if found > at:
        assert not open_at(rules, "", found - timedelta(seconds=1))


@settings(deadline=None)
@given(st.sampled_from(ZONES), any_time)
def test_an_instant_is_what_was_shown(zone: str, at: datetime) -> None:
    wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    others = [at + timedelta(minutes=n) for n in (-60, -30, 30, 60)]
    twice = any(each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall for each in others)
    if twice:
        with pytest.raises(NoSuchTime, match="ambiguous"):
            instant(wall, ZoneInfo(zone))
    else:
        assert instant(wall, ZoneInfo(zone)) == at


@pytest.mark.parametrize(
    ("wall", "zone", "why"),
    [
        (datetime(2027, 3, 28, 2, 30), "Europe/Berlin", "does not exist"),  # noqa: DTZ001
        (datetime(2027, 10, 31, 2, 30), "Europe/Berlin", "ambiguous"),  # noqa: DTZ001
        (datetime(2011, 12, 30, 12), "Pacific/Apia", "does not exist"),  # noqa: DTZ001 - the day that Samoa skipped
        (datetime(9999, 12, 31, 23), "America/New_York", "beyond"),  # noqa: DTZ001
    ],
)
def test_times_that_are_none(wall: datetime, zone: str, why: str) -> None:
    with pytest.raises(NoSuchTime, match=why):
        instant(wall, ZoneInfo(zone))


def test_a_window_in_the_skipped_hour_begins_after_it() -> None:
    rules = Rules(zone="Europe/Berlin", schedule={"sun": ["02:30-04:00"]})
    assert opening(rules, "", datetime(2027, 3, 28, 0, tzinfo=UTC)) == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_the_callees_own_zone() -> None:
    rules = Rules(zone="UTC", schedule={day: ["09:00-17:00"] for day in DAYS}, callee_zone=True)
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert open_at(rules, "4930123456", noon)
    assert not open_at(rules, "12125550100", noon)
    assert opening(rules, "12125550100", noon) == datetime(2026, 6, 1, 13, tzinfo=UTC)
    assert not open_at(rules, "918000680002", noon)


def test_every_zone_that_a_number_may_be_in_must_be_open() -> None:
    rules = Rules(schedule={day: ["09:00-17:00"] for day in DAYS}, callee_zone=True)
    toll_free = "18005550100"
    assert len(zones_of(toll_free)) != 1
    assert not open_at(rules, toll_free, datetime(2026, 6, 1, 14, tzinfo=UTC))


@pytest.mark.parametrize("number", ["", "101", "999999999999999", "0", "abc"])
def test_closed_when_in_doubt(number: str) -> None:
    rules = Rules(schedule={day: ["00:00-24:00"] for day in DAYS}, callee_zone=True)
    assert not open_at(rules, number, datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert opening(rules, number, datetime(2026, 6, 1, 12, tzinfo=UTC)) is None


def test_no_schedule_is_always_open() -> None:
    assert open_at(Rules(zone="Nowhere/At_All"), "", datetime(2026, 6, 1, tzinfo=UTC))
    assert not open_at(
        Rules(zone="Nowhere/At_All", schedule={"mon": ["00:00-24:00"]}), "", datetime(2026, 6, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "schedule",
    [
        {"mon": ["09:00-09:00"]},
        {"mon": ["17:00-09:00"]},
        {"mon": ["9-17"]},
        {"monday": ["09:00-17:00"]},
        {"tue": ["24:00-24:00"]},
    ],
)
def test_schedules_that_are_none(schedule: dict[str, list[str]]) -> None:
    with pytest.raises(BadSchedule):
        week(schedule)
    assert not open_at(Rules(schedule=schedule), "", datetime(2026, 6, 1, 12, tzinfo=UTC))


def test_rules_out_of_json() -> None:
    assert windows.rules({"zone": "UTC", "per_day": 3, "of another release": 1}) == Rules(zone="UTC", per_day=3)


def test_caps_per_number() -> None:
    now = datetime(2026, 6, 8, 12, tzinfo=UTC)
    tries = [now - timedelta(hours=each) for each in (100, 30, 20, 2)]
    assert free_at(Rules(), tries, now) == now
    assert free_at(Rules(per_day=3), tries, now) == now
    assert free_at(Rules(per_day=2), tries, now) == now + timedelta(hours=4)
    assert free_at(Rules(per_day=2, per_week=4), tries, now) == now + timedelta(hours=68)
    assert free_at(Rules(per_day=1), tries, now) == now + timedelta(hours=22)
