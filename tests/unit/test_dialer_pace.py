"""The pace of a lane, in virtual time: as many calls a minute as asked for, evenly, with even shares for engines."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from engine.dialer.lanes import Lane, Serving
from engine.dialer.pace import CATCH_UP, instants
from engine.dialer.port import Rules

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Simulation:
    """Engines that look at one lane with no end of due calls, each when it means to."""

    def __init__(self, per_minute: float, engines: int, *, latency: float = 0.004, seed: int = 7) -> None:
        self.per_minute, self.engines, self.latency = per_minute, engines, latency
        self.next_at: datetime | None = None
        self.last: str | None = None
        self.wake_at = START
        self.dialled: list[tuple[datetime, str]] = []
        self.random = random.Random(seed)

    def lane(self, now: datetime) -> Lane:
        return Lane(
            "CM1", "account_1", now, None, None, self.per_minute, None, 10_000, self.next_at, self.last, fed=True,
            rules=Rules(), engines=self.engines,
        )  # fmt: skip

    def look(self, engine: str, now: datetime) -> float:
        """One claim; seconds until the next."""
        want = Serving(engine, 1000, frozenset()).want(self.lane(now), 0, 0)
        want.took(len(want.instants), {"next": START, "flying": True})
        self.dialled += [(max(each, now), engine) for each in want.instants]
        self.next_at, self.wake_at = want.next_at, want.wake_at
        self.last = engine if want.taken else self.last
        return want.again if want.taken else max(want.again, 0.05)

    def run(self, seconds: float, paused: tuple[float, float] = (0, 0)) -> "Simulation":
        end = START + timedelta(seconds=seconds)
        looks = {f"e{n}": START + timedelta(seconds=0.01 * n) for n in range(self.engines)}
        while (now := min(looks.values())) < end:
            engine = min(looks, key=lambda each: looks[each])
            after = (now - START).total_seconds()
            pause = self.look(engine, now) if not paused[0] <= after < paused[1] else 0.1
            looks[engine] = now + timedelta(seconds=pause * self.random.uniform(0.9, 1.0) + self.latency)
        return self

    def minutes(self) -> list[int]:
        """Calls in every minute that begins at a whole second, once it runs."""
        times = sorted((at - START).total_seconds() for at, _ in self.dialled)
        last = int(times[-1]) - 60
        return [sum(second <= at < second + 60 for at in times) for second in range(1, last)]


@pytest.mark.parametrize("engines", [1, 2, 3])
@pytest.mark.parametrize("per_minute", [10, 60, 600, 3000])
def test_every_whole_minute_has_its_calls(per_minute: int, engines: int) -> None:
    counts = Simulation(per_minute, engines).run(130).minutes()
    allowed = max(per_minute * 0.01, 1)
    assert max(abs(count - per_minute) for count in counts) <= allowed


@pytest.mark.parametrize("engines", [2, 3])
@pytest.mark.parametrize("per_minute", [60, 600, 3000, 12_000])
def test_engines_have_even_shares(per_minute: int, engines: int) -> None:
    dialled = Simulation(per_minute, engines).run(180).dialled
    shares = Counter(engine for _, engine in dialled)
    even = len(dialled) / engines
    assert len(shares) == engines
    assert max(abs(share - even) for share in shares.values()) <= 0.2 * even, shares


def test_calls_are_spread_evenly() -> None:
    times = sorted(at for at, _ in Simulation(600, 2).run(60).dialled)
    gaps = [(then - at).total_seconds() for at, then in pairwise(times)]
    assert max(gaps) < 0.2
    assert min(gaps) > 0.05


def test_what_nobody_took_is_no_debt() -> None:
    dialled = Simulation(600, 1).run(60, paused=(20, 40)).dialled
    second = Counter(int((at - START).total_seconds()) for at, _ in dialled)
    assert max(second.values()) <= 10 * (1 + CATCH_UP) + 1
    assert len(dialled) <= 10 * 41 + 10


def test_an_interval_is_exact() -> None:
    taken = instants(START, START, 7, ahead=60, most=100)
    assert taken.then(7) == START + timedelta(seconds=60)
    assert instants(START, START + timedelta(seconds=3), 7, ahead=1, most=9).instants == []
