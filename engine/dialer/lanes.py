"""How many due calls of a lane an engine may claim now, and when the lane is to be looked at again. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.dialer import pace, windows
from engine.dialer.port import Rules

BATCH = 50
"""Due calls that one claim takes of one lane."""
CROWDED = 0.1
"""Seconds until a lane without room is looked at again."""
SETTLING = 0.3
"""Seconds between two looks at a lane that waits for its end."""
FLYING = 5.0
"""Seconds between two looks at a lane of which calls are under way, whatever was said of it: one that is due again in a
transaction that had not ended at the last look may have found that the lane was to be looked at anyway, and said nothing.
When the last two end at the same moment, neither transaction sees that it is the last. And at one that is not fed to the end,
whose feeder may have failed, or have found too many waiting."""
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
LOOK_AHEAD = timedelta(seconds=pace.AHEAD)
"""Lanes are looked at so long before ``wake_at``."""


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    account: str
    now: datetime
    """PostgreSQL's clock."""
    opens_at: datetime | None
    closes_at: datetime | None
    per_minute: float | None
    max_concurrent: int | None
    concurrent: int
    """Of the account."""
    next_at: datetime | None
    last_engine: str | None
    fed: bool
    rules: Rules
    engines: int

    @property
    def campaign(self) -> bool:
        return "/" not in self.name


def lane_of(row: Mapping[str, Any]) -> Lane:
    return Lane(
        name=row["lane"],
        account=row["account"],
        now=row["now"],
        opens_at=row["opens_at"],
        closes_at=row["closes_at"],
        per_minute=row["per_minute"],
        max_concurrent=row["max_concurrent"],
        concurrent=row["concurrent"],
        next_at=row["next_at"],
        last_engine=row["last_engine"],
        fed=row["fed"],
        rules=windows.rules(json.loads(row["rules"])),
        engines=row["engines"],
    )


@dataclass(slots=True)
class Want:
    """What is asked of one lane, and what is known when it was given."""

    lane: Lane
    engine: str
    instants: Sequence[datetime] = ()
    until: datetime = NEVER
    slice: pace.Slice | None = None
    crowded: bool = False
    """Its caps, or its account's, let nothing more begin now."""
    over: bool = False
    """Its end has come."""
    closed_until: datetime | None = None
    taken: int = 0
    drained: bool = False
    wake_at: datetime = NEVER
    next_at: datetime | None = None

    def took(self, taken: int, left: Mapping[str, Any]) -> None:
        """``left``: ``next``, when the next that is left is due; ``flying``, whether any are under way."""
        self.taken = taken
        self.next_at = self.slice.then(taken) if self.slice and taken else self.lane.next_at
        done = self.over or (self.lane.fed and left["next"] is None and not left["flying"] and not taken)
        self.drained = done and self.lane.campaign
        self.wake_at = self._wake(left["next"])
        if left["flying"] or not (self.lane.fed or self.closed_until):
            self.wake_at = min(self.wake_at, self._in(FLYING))
        if self.lane.closes_at is not None and not self.over:
            self.wake_at = min(self.wake_at, self.lane.closes_at + LOOK_AHEAD)

    def _wake(self, following: datetime | None) -> datetime:
        if self.drained or (self.closed_until is None and following is None and not self.lane.fed):
            return self._in(SETTLING)
        if self.closed_until is not None:
            return self.closed_until + LOOK_AHEAD if self.closed_until < NEVER else NEVER
        if self.crowded:
            return self._in(CROWDED)
        if following is None or self.over:
            return NEVER
        if self.slice is not None and self.next_at is not None:
            return max(following, self.next_at)
        return following

    def _in(self, seconds: float) -> datetime:
        """So that the lane is looked at in that time."""
        return self.lane.now + LOOK_AHEAD + timedelta(seconds=seconds)

    @property
    def again(self) -> float:
        """Seconds until this engine should look at it again."""
        last = self.engine if self.taken else self.lane.last_engine
        paced = self.slice is not None
        ahead = pace.ahead(self.engine, last, self.lane.engines) if paced else pace.AHEAD
        return max((self.wake_at - self.lane.now).total_seconds() - ahead, 0.02)


@dataclass(slots=True)
class Serving:
    """One claim: what was already given counts against the caps."""

    engine: str
    room: int
    full: frozenset[str]
    given: Counter[str] = field(default_factory=Counter)

    def want(self, lane: Lane, of_lane: int, of_account: int) -> Want:
        if lane.closes_at is not None and lane.closes_at <= lane.now:
            return Want(lane, self.engine, over=True)
        if (opening := _closed_until(lane)) is not None:
            return Want(lane, self.engine, closed_until=opening)
        room = self._room(lane, of_lane, of_account)
        most = min(room, self.room, 0 if lane.account in self.full else BATCH)
        want = self._paced(lane, most) if lane.per_minute else self._unpaced(lane, most)
        want.crowded = room <= 0
        self.given[lane.account] += len(want.instants)
        self.room -= len(want.instants)
        return want

    def _unpaced(self, lane: Lane, most: int) -> Want:
        return Want(lane, self.engine, [lane.now] * max(most, 0), lane.now + LOOK_AHEAD)

    def _paced(self, lane: Lane, most: int) -> Want:
        assert lane.per_minute is not None
        ahead = pace.ahead(self.engine, lane.last_engine, lane.engines)
        taking = pace.instants(lane.now, lane.next_at, lane.per_minute, ahead=ahead, most=most)
        return Want(lane, self.engine, taking.instants, lane.now + timedelta(seconds=ahead), taking)

    def _room(self, lane: Lane, of_lane: int, of_account: int) -> int:
        """What the caps of the lane and of its account leave."""
        account = lane.concurrent - of_account - self.given[lane.account]
        return min(account, lane.max_concurrent - of_lane) if lane.max_concurrent else account


def _closed_until(lane: Lane) -> datetime | None:
    """When a lane opens that is not open now; None: it is open."""
    if lane.opens_at is not None and lane.opens_at > lane.now:
        return lane.opens_at
    if lane.rules.callee_zone or windows.open_at(lane.rules, "", lane.now):
        return None
    return windows.opening(lane.rules, "", lane.now) or NEVER
