"""A call starts with one commit for itself and its first attempt, and not at all when that fails."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.calls.account import Account, Limits
from engine.errors import StoreAway
from engine.flows.table import FLOWS
from engine.sessions import scope
from engine.sessions.registry import Registry
from engine.sessions.services import Services
from engine.store.memory import Memory, MemoryAccounts, MemoryCalls, MemoryJournal, MemoryRoutes
from engine.store.port import JournalRecord, NewCall, NewLeg
from engine.telephony.events import Channel, ChannelEntered, TelephonyEvent
from engine.telephony.fake import FakeSwitch
from engine.verbs import dial
from tests.waiting import until

ACCOUNT = Account("a", 1, "1", frozenset({"15168148111"}), limits=Limits(connect_prompt=False))
NEW = NewCall(
    request_id="0000000001",
    account="a",
    flow="click_to_call",
    direction="outbound",
    engine="e",
    created_at=datetime.now(UTC),
    params={
        "agent_number": "15550000001",
        "customer_number": "15550000002",
        "caller_id": "15168148111",
        "recording_option": "off",
    },
)


class SlowJournal(MemoryJournal):
    """Writes when it is told to. Who waits is woken in the order in which they came, as by PgJournal."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.records: list[JournalRecord] = []
        self.waiters: list[asyncio.Future[None]] = []

    def append(self, *records: JournalRecord) -> None:
        self.records += records
        super().append(*records)

    async def committed(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        await waiter

    def settle(self, error: Exception | None = None) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if error:
                waiter.set_exception(error)
            else:
                waiter.set_result(None)


class Desk:
    def __init__(self, journal: MemoryJournal, switch: type[FakeSwitch] = FakeSwitch) -> None:
        self.switch = switch("a", self._take)
        services = Services(
            engine_id="e",
            journal=journal,
            calls=MemoryCalls(Memory()),
            accounts=MemoryAccounts(),
            routes=MemoryRoutes(),
            flow_of=FLOWS.get,
            live_calls=self._live_calls,
        )
        self.registry = Registry(services, {"a": self.switch}, lambda _registry, _event: None, lambda _event: None)

    def _live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    def _take(self, event: TelephonyEvent) -> None:
        self.registry.dispatch(event)

    async def start(self) -> None:
        await self.switch.start()
        await self.registry.start(NEW, ACCOUNT, self.switch)

    def asked(self) -> Mapping[str, Any]:
        return dict(self.switch.requests)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_first_attempt_is_in_the_batch_of_the_call() -> None:
    journal = SlowJournal(Memory())
    desk = Desk(journal)
    starting = asyncio.create_task(desk.start())
    await turns(2)  # ours, then the flow's: in the next one the writer takes what there is
    assert any(isinstance(record, NewCall) for record in journal.records)
    assert any(isinstance(record, NewLeg) for record in journal.records)
    await turns()
    assert not starting.done()
    assert "create_channel" not in desk.asked(), "nothing is dialled before the attempt is committed"
    journal.settle()
    await turns()
    assert starting.done()
    assert "create_channel" in desk.asked()
    desk.registry.abandon()
    await asyncio.gather(*desk.registry.tasks)


class SlowSwitch(FakeSwitch):
    """Makes no channel until it is told to; nobody can hang up on one before."""

    async def create_channel(self, channel_id: str, endpoint: str, **_: Any) -> Channel:
        await self._asked("create_channel", channel_id, endpoint)
        return self._made(channel_id, "Down")

    async def hangup(self, channel_id: str, *, cause: int = 16) -> None:
        await self._asked("hangup", channel_id, cause)


async def test_channel_that_is_made_after_its_call_was_ended_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "LEG_ENTERS_WITHIN", 0.01)
    journal = SlowJournal(Memory())
    desk = Desk(journal, SlowSwitch)
    starting = asyncio.create_task(desk.start())
    await turns()
    journal.settle()
    await starting
    await until(lambda: "create_channel" in desk.asked())
    ((channel, *_),) = [asked for method, asked in desk.switch.requests if method == "create_channel"]
    session = desk.registry.sessions[NEW.request_id]
    await desk.registry.end_call(NEW.request_id)
    await until(lambda: not session.call.alive)
    assert NEW.request_id in desk.registry.sessions, "its end is not committed"
    before = len(desk.switch.requests)
    desk.registry.dispatch(ChannelEntered("a", datetime.now(UTC), Channel(channel, "PJSIP/x-1", "Down"), ()))
    await until(lambda: ("hangup", (channel, 16)) in desk.switch.requests[before:])
    journal.settle()
    await asyncio.gather(*desk.registry.tasks)


async def test_channel_that_is_handed_over_late_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "ENTERS_WITHIN", 0.01)
    desk = Desk(MemoryJournal(Memory()), SlowSwitch)
    await desk.start()
    await until(lambda: desk.registry.sessions[NEW.request_id].undecided == {1})
    ((channel, *_),) = [asked for method, asked in desk.switch.requests if method == "create_channel"]
    desk.registry.dispatch(ChannelEntered("a", datetime.now(UTC), Channel(channel, "PJSIP/x-1", "Down"), ()))
    await until(lambda: "dial" in desk.asked())
    assert [method for method, _ in desk.switch.requests].count("create_channel") == 1
    desk.registry.abandon()
    await asyncio.gather(*desk.registry.tasks)


async def test_commit_that_fails_leaves_no_call() -> None:
    journal = SlowJournal(Memory())
    desk = Desk(journal)
    starting = asyncio.create_task(desk.start())
    await turns()
    written = len(journal.records)
    journal.settle(StoreAway("away"))
    with pytest.raises(StoreAway):
        await starting
    await turns()
    _nothing_left(desk)
    assert len(journal.records) == written, "a call that is not there has no end to be written"


async def test_commit_that_fails_at_once_leaves_no_call() -> None:
    journal = MemoryJournal(Memory())
    journal.refuses = True
    desk = Desk(journal)
    with pytest.raises(StoreAway):
        await desk.start()
    await turns()
    _nothing_left(desk)


def _nothing_left(desk: Desk) -> None:
    assert "create_channel" not in desk.asked()
    assert not desk.registry.sessions
    assert not desk.registry.tasks
    assert desk.registry.live_calls("a") == 0
