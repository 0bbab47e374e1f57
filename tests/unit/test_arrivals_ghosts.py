"""Calls that come in whatever their caller is called, channels that nobody owns, and those that ended unseen."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.calls.account import Account
from engine.calls.disposition import CANCEL, NOANSWER, Disposition, of_leg
from engine.calls.model import Leg
from engine.calls.routing import Route
from engine.flows.table import FLOWS
from engine.sessions import reconcile
from engine.sessions.arrival import Arrivals
from engine.sessions.registry import Registry
from engine.sessions.services import Services
from engine.sessions.session import Session
from engine.store.memory import Memory, MemoryAccounts, MemoryCalls, MemoryJournal, MemoryRoutes
from engine.store.port import NewCall
from engine.telephony.events import ChannelEntered, LinkRestored, TelephonyEvent
from engine.telephony.fake import FakeSwitch

ROUTES = (
    Route(1, "outbound", "", "trunk", "carrier"),
    Route(2, "outbound", "101", "extension", ""),
    Route(3, "inbound", "15550001101", "extension", "101"),
)
GHOST = "tl-ffffffffff-1"


class Desk:
    def __init__(self) -> None:
        memory, accounts = Memory(), MemoryAccounts()
        accounts.put(Account("a", 1, "1", frozenset({"15168148111"})), "x")
        self.switch = FakeSwitch("a", self._take)
        services = Services(
            engine_id="e",
            journal=MemoryJournal(memory),
            calls=MemoryCalls(memory),
            accounts=accounts,
            routes=MemoryRoutes(ROUTES),
            flow_of=FLOWS.get,
            live_calls=self._live_calls,
        )
        self.registry = Registry(services, {"a": self.switch}, Arrivals({}, "a"), lambda _event: None)
        self.deaf = False

    def _live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    def _take(self, event: TelephonyEvent) -> None:
        if not isinstance(event, LinkRestored) and not (self.deaf and isinstance(event, ChannelEntered)):
            self.registry.dispatch(event)

    async def close(self) -> None:
        self.registry.abandon()
        await asyncio.gather(*self.registry.tasks)
        await self.switch.stop()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.switch.start()
    made.registry.settled.add("a")
    yield made
    await made.close()


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("caller", "kept", "passed_on"),
    [
        ("15551230000", "15551230000", "15551230000"),
        ("+15551230000", "+15551230000", "+15551230000"),
        ("anonymous", "anonymous", ""),
        ("", "", ""),
        ("abc\r\nX: y", "abcX: y", ""),
        ("7" * 100, "7" * 64, ""),
    ],
)
async def test_a_caller_who_tells_no_number_is_put_through(desk: Desk, caller: str, kept: str, passed_on: str) -> None:
    desk.switch.incoming("1.1", caller, "15550001101", ("flow", "inbound", "15550001101"))
    await turns()
    created = [values for name, values in desk.switch.requests if name == "create_channel"]
    assert [values[1:3] for values in created] == [("PJSIP/101", passed_on)]
    (session,) = desk.registry.sessions.values()
    assert session.call.params["customer_number"] == session.call.params["from"] == kept


async def test_a_caller_too_has_a_limit_that_outlives_the_engine(desk: Desk) -> None:
    desk.switch.incoming("1.1", "15551230000", "15550001101", ("flow", "inbound", "15550001101"))
    await turns()
    assert desk.switch.variable("1.1", "TIMEOUT(absolute)") == str(7200 + 10)


async def test_a_channel_whose_end_was_not_taken_is_swept_by_the_timer(desk: Desk) -> None:
    desk.deaf = True
    await desk.switch.create_channel(GHOST, "PJSIP/101", caller_id="")
    await desk.switch.create_bridge("tl-ffffffffff-b1")
    desk.switch.incoming("1.2", "1", "15550001101")
    await turns()
    sweeper = asyncio.create_task(reconcile.sweep_forever(desk.registry, every=0.001))
    try:
        async with asyncio.timeout(60):
            while await desk.switch.bridges() or len(await desk.switch.channels()) > 1:
                await asyncio.sleep(0)
    finally:
        sweeper.cancel()
    assert [channel.id for channel in await desk.switch.channels()] == ["1.2"], "others' channels are none of ours"


async def test_a_sweep_leaves_calls_that_live(desk: Desk) -> None:
    desk.switch.incoming("1.1", "15551230000", "15550001101", ("flow", "inbound", "15550001101"))
    await turns()
    before = await desk.switch.channels()
    assert len(before) == 2
    await reconcile.sweep(desk.registry, desk.switch)
    assert await desk.switch.channels() == before


@dataclass(frozen=True)
class Past:
    ended_at: datetime | None
    cause: int | None = 16
    ended_by_party: bool = False
    answered_at: datetime | None = None


async def ringing(desk: Desk) -> tuple[Session, Leg]:
    """A click-to-call whose agent's phone rings for ever."""
    numbers = {"agent_number": "15550000000", "customer_number": "15550000002", "caller_id": "15168148111"}
    new = NewCall(
        request_id="0000000001",
        account="a",
        flow="click_to_call",
        direction="outbound",
        engine="e",
        created_at=datetime.now(UTC),
        params={**numbers, "recording_option": "off"},
    )
    account = await desk.registry.services.accounts.get("a")
    assert account is not None
    await desk.registry.start(new, account, desk.switch)
    await turns(100)
    (session,) = desk.registry.sessions.values()
    leg = session.call.legs[1]
    assert leg.ringing_at
    return session, leg


@pytest.mark.parametrize(
    ("after", "cause", "by_party", "expected"),
    [
        (2.0, 16, False, CANCEL),
        (32.0, 16, False, NOANSWER),
        (2.0, 19, False, NOANSWER),
        (2.0, 16, True, NOANSWER),
    ],
)
async def test_a_phone_that_rang_when_asterisk_was_stopped_was_cancelled(
    desk: Desk,
    after: float,
    cause: int,
    by_party: bool,  # noqa: FBT001 - one of the parameters
    expected: Disposition,
) -> None:
    session, leg = await ringing(desk)
    assert leg.dialing_at
    ended = Past(leg.dialing_at + timedelta(seconds=after), cause, by_party)
    reconcile.compare(session, reconcile.Found({}, [], {leg.channel_id: ended}), {leg.channel_id})
    assert of_leg(leg) is expected


async def test_a_leg_that_died_with_asterisk_ends_when_the_link_broke(desk: Desk) -> None:
    session, leg = await ringing(desk)
    desk.switch.cut()
    lost = desk.registry.lost_at["a"]
    later = datetime.now(UTC) + timedelta(hours=1)
    session.services = replace(session.services, now=lambda: later)
    found = reconcile.Found({}, [], {leg.channel_id: Past(None, None)}, lost_at=lost)
    reconcile.compare(session, found, {leg.channel_id})
    assert leg.ended_at == lost
