"""The dialer's own decisions, on fakes: what is placed, what goes back, what is ended; and how it brakes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from engine.calls.account import Account, Limits
from engine.calls.events import Event, Kind
from engine.calls.model import Call
from engine.calls.routing import Route
from engine.dialer.brake import EVERY, LEAST, SLOW, Brake
from engine.dialer.dialer import FORGET, Dialer
from engine.dialer.kinds import Later, Order, Plain, Skip
from engine.dialer.port import Claimed, Claims, Due, Placed, Rules
from engine.errors import StoreAway, Unavailable
from engine.store.port import NewCall
from tests.waiting import until

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def due(due_id: int = 1, **changes: Any) -> Due:
    row = Due(
        id=due_id, lane="account/account_1", kind="instant", account="account_1", number="12125550100", params={},
        state="claimed", due_at=NOW, expires_at=None, attempt=0, max_attempts=1, retry_seconds=0, retry_on=(),
        request_id=None, result=None, outcome=None, created_at=NOW, ended_at=None,
    )  # fmt: skip
    return replace(row, **changes)


class Table:
    """Implements ``Dialing``, and notes what was asked."""

    def __init__(self) -> None:
        self.waiting: list[Claimed] = []
        self.placed: list[tuple[Due, NewCall]] = []
        self.postponed: list[tuple[int, datetime | None]] = []
        self.skipped: list[tuple[int, str]] = []
        self.tried: list[datetime] = []
        self.away = 0
        """Times that placing meets no PostgreSQL."""
        self.gone = False
        """What is claimed is no longer ours."""
        self.lanes: tuple[Sequence[str], Sequence[str]] = ((), ())
        self.rooms: list[int] = []
        self.kept: list[Sequence[int]] = []
        self.over = 0
        """Ended due calls that are old."""
        self.forgotten: list[tuple[int, int]] = []
        self.nonsense = 0
        """Times that a claim makes no sense."""
        self.answers_lost = 0
        """Times that a claim's answer is lost."""

    def give(self, *calls: Due, rules: Rules | None = None) -> None:
        self.waiting += [Claimed(each, each.id, 0.0, rules or Rules()) for each in calls]

    async def alive(self, engine: str, lease: float) -> int:
        return 1

    async def restart(self, engine: str, keep: Sequence[int] = ()) -> int:
        self.kept.append(keep)
        return 0

    async def claim(self, engine: str, *, room: int, full: Sequence[str], concurrent: int) -> Claims:
        self.rooms.append(room)
        if self.nonsense:
            self.nonsense -= 1
            raise ValueError("not a lane")
        if self.answers_lost:
            self.answers_lost -= 1
            raise StoreAway("the answer was lost")
        given, self.waiting = self.waiting[:room], self.waiting[room:]
        (hungry, drained), self.lanes = self.lanes, ((), ())
        return Claims(given, hungry, drained, 0.01)

    async def place(self, engine: str, claimed: Claimed, call: NewCall, server: str) -> Placed:
        if self.away:
            self.away -= 1
            raise StoreAway("away")
        if self.gone:
            return Placed()
        self.placed.append((claimed.due, call))
        data = {"request_id": call.request_id, "account": call.account, "flow": call.flow, "direction": "outbound"}
        return Placed([Event(Kind.CALL_CREATED, call.created_at, None, data, 1)])

    async def postpone(self, engine: str, claimed: Claimed, until: datetime | None) -> None:
        self.postponed.append((claimed.due.id, until))

    async def skip(self, engine: str, claimed: Claimed, result: str, *, at: datetime) -> bool:
        self.skipped.append((claimed.due.id, result))
        return not self.gone

    async def tries(self, account: str, number: str) -> tuple[Sequence[datetime], datetime]:
        return self.tried, NOW

    async def lost(self, older: float) -> int:
        return 0

    async def forget(self, days: int, most: int) -> int:
        gone = min(self.over, most)
        self.over -= gone
        self.forgotten.append((days, gone))
        return gone


@dataclass
class Engine:
    """The registry, with calls that end when they are told to."""

    live: int = 0
    up: bool = True
    calls: list[Call] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def choose(self) -> Any:
        if not self.up:
            raise Unavailable("none")
        return SimpleNamespace(name="asterisk")

    def accepting(self) -> None:
        self.choose()

    def live_calls(self, account: str) -> int:
        return self.live

    def take_up(self, call: Call, account: Account, switch: Any) -> Any:
        self.calls.append(call)
        return SimpleNamespace(call=call, task=asyncio.ensure_future(self.over.wait()), stop=self.stopped.append)


class Asked(Plain):
    def __init__(self) -> None:
        self.answer: Callable[[Due], Any] = lambda _: Order("instant_call", {}, "1")
        self.ahead_of: list[int] = []
        self.told: list[tuple[int, str]] = []
        self.lanes: list[tuple[str, str]] = []

    async def order(self, due: Due) -> Any:
        return self.answer(due)

    async def ahead(self, due: Due) -> None:
        self.ahead_of.append(due.id)

    async def skipped(self, due: Due, result: str) -> None:
        self.told.append((due.id, result))

    async def feed(self, lane: str) -> None:
        self.lanes.append(("feed", lane))

    async def drained(self, lane: str) -> None:
        self.lanes.append(("drained", lane))


class World:
    def __init__(self) -> None:
        self.table, self.engine, self.kind = Table(), Engine(), Asked()
        self.account = Account("account_1", 1, "1", frozenset({"1"}), limits=Limits(concurrent_calls=5))
        self.time = NOW
        self.serial = 0
        table: Any = self.table
        self.dialer = Dialer(
            "e1", table, {"instant": self.kind, "campaign": self.kind}, self.engine, self._as_any(), self._as_any(),
            self._as_any(), Brake(100, lambda: 0.0), self.engine.accepting, {"carrier": 2}, now=lambda: self.time,
        )  # fmt: skip

    def _as_any(self) -> Any:
        return self

    async def next_request_id(self) -> str:
        self.serial += 1
        return f"{self.serial:010x}"

    async def get(self, account: str) -> Account | None:
        return self.account if account == "account_1" else None

    def current(self) -> Sequence[Route]:
        return [Route(1, "outbound", "", "trunk", "carrier")]


@pytest.fixture
async def world():
    made = World()
    running = asyncio.create_task(made.dialer.run())
    yield made
    made.engine.over.set()
    await made.dialer.stop()
    await running


async def test_what_is_claimed_is_placed_and_watched(world: World) -> None:
    world.table.give(due(1), due(2))
    await until(lambda: len(world.engine.calls) == 2)
    assert sorted(world.kind.ahead_of) == [1, 2]
    assert world.dialer.flying == 2
    assert world.dialer.holding == 0
    world.engine.over.set()
    await until(lambda: world.dialer.flying == 0)
    assert +world.dialer.of_trunk == {}
    assert +world.dialer.of_account == {}


async def test_a_scheduled_call_keeps_its_id_and_a_retry_gets_one(world: World) -> None:
    world.table.give(due(1, request_id="00000000aa"), due(2, request_id="00000000bb", attempt=1))
    await until(lambda: len(world.table.placed) == 2)
    ids = {row.id: call.request_id for row, call in world.table.placed}
    assert ids[1] == "00000000aa"
    assert ids[2] != "00000000bb"


@pytest.mark.parametrize(("answer", "skipped"), [(Skip("DND"), [(1, "DND")]), (Later(NOW + timedelta(hours=1)), [])])
async def test_a_kind_may_say_no(world: World, answer: Any, skipped: list[tuple[int, str]]) -> None:
    world.kind.answer = lambda _: answer
    world.table.give(due())
    await until(lambda: bool(world.table.skipped or world.table.postponed))
    await until(lambda: world.kind.told == skipped)
    assert world.table.skipped == skipped
    assert [at for _, at in world.table.postponed] == ([] if skipped else [NOW + timedelta(hours=1)])
    assert world.table.placed == []


async def test_what_expired_or_has_no_account_ends(world: World) -> None:
    world.table.give(due(1, expires_at=NOW), due(2, account="nobody"))
    await until(lambda: len(world.kind.told) == 2)
    assert sorted(world.kind.told) == [(1, "EXPIRED"), (2, "REFUSED")]


async def test_windows_and_caps_are_looked_at_when_it_is_dialled(world: World) -> None:
    world.table.give(due(1), rules=Rules(zone="UTC", schedule={"mon": ["13:00-17:00"]}))
    world.table.tried = [NOW - timedelta(hours=3)]
    world.table.give(due(2), rules=Rules(per_day=1))
    await until(lambda: len(world.table.postponed) == 2)
    assert dict(world.table.postponed) == {1: NOW + timedelta(hours=1), 2: NOW + timedelta(hours=21)}


async def test_what_has_no_room_goes_back(world: World) -> None:
    world.engine.live = 5
    world.table.give(due())
    await until(lambda: len(world.table.postponed) == 1)
    world.engine.live = 0
    world.table.give(due(2), due(3), due(4))
    await until(lambda: len(world.table.postponed) == 2)
    assert len(world.table.placed) == 2  # as many as the trunk takes


async def test_nothing_is_claimed_while_there_is_no_asterisk(world: World) -> None:
    world.engine.up = False
    await asyncio.sleep(0)
    world.table.give(due())
    for _ in range(20):
        world.dialer.wake()
        await asyncio.sleep(0)
    assert world.table.placed == []
    world.engine.up = True
    await until(lambda: len(world.table.placed) == 1)


async def test_what_is_no_longer_ours_is_not_dialled(world: World) -> None:
    world.table.gone = True
    world.table.give(due())
    await until(lambda: len(world.table.postponed) == 1)
    assert world.engine.calls == []


async def test_a_place_is_asked_again_until_it_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dialer.dialer.PAUSE", 0.001)
    world.table.away = 3
    world.table.give(due())
    await until(lambda: len(world.table.placed) == 1)
    assert world.serial == 1
    assert world.engine.stopped == []


async def test_one_that_was_placed_too_late_is_not_dialled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dialer.dialer.PAUSE", 0.001)
    world.table.away = 1_000_000
    world.table.give(due())
    await until(lambda: world.table.away < 1_000_000)
    world.time = NOW + timedelta(minutes=1)
    world.table.away = 0
    await until(lambda: len(world.engine.calls) == 1)
    assert world.engine.stopped == ["engine_restart"]


async def test_a_kind_that_fails_loses_nothing(world: World) -> None:
    def fail(_: Due) -> Any:
        raise ValueError("broken")

    world.kind.answer = fail
    world.table.give(due())
    await until(lambda: len(world.table.postponed) == 1)
    assert world.dialer.holding == 0


async def test_claims_whose_answer_was_lost_are_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dialer.dialer.PAUSE", 0.01)
    world.table.answers_lost = 2
    await until(lambda: world.table.answers_lost == 0)
    world.table.give(due(7))
    await until(lambda: len(world.engine.calls) == 1)
    assert world.table.kept == [[], []]
    world.engine.over.set()
    await until(lambda: world.dialer.held == set())


async def test_what_ended_long_ago_goes_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dialer.dialer.FORGET_PAUSE", 0.0)
    made = World()
    made.dialer.keep_days = 7
    made.table.over = 2 * FORGET + 1
    running = asyncio.create_task(made.dialer.run())
    await until(lambda: made.table.forgotten == [(7, FORGET), (7, FORGET), (7, 1)])
    await made.dialer.stop()
    await running


async def test_a_claim_that_fails_as_nobody_thought_of_does_not_end_the_dialing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.dialer.dialer.TROUBLE", timedelta(milliseconds=1))
    world.table.nonsense = 1
    await until(lambda: world.table.nonsense == 0)
    world.table.give(due())
    await until(lambda: len(world.engine.calls) == 1)
    assert world.table.kept == [[]], "what it had claimed, if anything, was given back"


async def test_hungry_and_drained_lanes_are_told_of(world: World) -> None:
    world.table.lanes = (["CM1"], ["CM2"])
    await until(lambda: len(world.kind.lanes) == 2)
    assert sorted(world.kind.lanes) == [("drained", "CM2"), ("feed", "CM1")]


def test_the_brake() -> None:
    clock, slow = [0.0], [0.01]
    brake = Brake(100, lambda: clock[0], lambda: slow[0])
    assert brake.room(30) == 70
    for n in range(100):
        brake.ended(80, failed=n % 4 == 0)
    assert brake.room(0) == 100, "some numbers are just congested"
    for _ in range(30):
        brake.ended(80, failed=True)
    assert brake.room(0) == 40, "one step at a time"
    for _ in range(10):
        clock[0] += EVERY
        brake.room(0)
    assert brake.room(0) == 100
    slow[0] = SLOW * 2
    for _ in range(20):
        clock[0] += EVERY
        brake.room(100)
    assert brake.room(0) == LEAST
