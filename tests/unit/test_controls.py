"""Commands into a live call where Asterisk answers late, refuses, or is asked twice at once: what cannot be had of a real
one at will."""

import asyncio
from dataclasses import dataclass, replace
from itertools import count

import pytest

from engine import ids
from engine.controls.table import CONTROLS
from engine.errors import Gone, InvalidFields, Refused, StateConflict, StoreAway, Unavailable
from engine.flows.table import FLOWS
from engine.sessions.inbox import Order
from engine.telephony.fake import Callee, FakeSwitch
from engine.testkit.poll import eventually
from engine.verbs.bridge import join, talk
from tests.contract.verb_desk import Desk, up

NUMBERS = count(15550001001)


class Switch(FakeSwitch):
    """``slow[method]``: requests of that kind are done at once, and answered when the event is set."""

    def __init__(self, name, sink):
        super().__init__(name, sink, callee=lambda _: Callee(answers_after=0.0))
        self.slow = {}

    async def hangup(self, channel_id, *, cause=16):
        await super().hangup(channel_id, cause=cause)
        await self._answered_late("hangup")

    async def snoop(self, channel_id, snoop_id, *, spy="in", whisper="none"):
        await super().snoop(channel_id, snoop_id, spy=spy, whisper=whisper)
        await self._answered_late("snoop")

    async def hold_music(self, channel_id, *, on):
        await super().hold_music(channel_id, on=on)
        await self._answered_late("hold_music")

    async def _answered_late(self, method):
        if (answer := self.slow.get(method)) is not None:
            await answer.wait()

    def asked(self, method):
        return [arguments for name, arguments in self.requests if name == method]


@dataclass
class Talk:
    desk: Desk
    session: object
    running: asyncio.Task

    def leg(self, role):
        return self.session.call.leg(role)

    async def control(self, action, leg="", **fields):
        return await self.desk.registry.control(self.session.call.request_id, Order(action, leg, fields))

    async def hang_up(self, role):
        self.desk.switch.party_hangs_up(self.leg(role).channel_id)

    async def over(self):
        async with asyncio.timeout(30):
            return (await self.running)[1]


class Desks(Desk):
    async def talk(self):
        """Two who talk."""
        there = asyncio.get_running_loop().create_future()

        async def flow(session):
            bridge = ids.bridge_id(session.call.request_id)
            agent, customer = [await up(session, str(next(NUMBERS)), role) for role in ("agent", "customer")]
            await join(session, bridge, agent, customer)
            there.set_result(session)
            await talk(session, bridge, agent, customer)

        running = asyncio.create_task(self.run(flow))
        session = await there
        await session.until(lambda: session.conversation is not None, 30)
        return Talk(self, session, running)


@pytest.fixture
async def desk():
    made = Desks(None)
    made.build(lambda sink: Switch("asterisk", sink))
    registry = made.registry
    registry.services = replace(
        registry.services,
        controls=CONTROLS,
        parked=registry.parked,
        has_menu=lambda _: True,
        session_with=registry.session_with,
        move=registry.move,
    )
    made.flows.update(FLOWS)
    await made.switch.start()
    await eventually(_settled(made), within=30, what="link")
    yield made
    assert not registry.sessions
    assert (await made.switch.channels(), await made.switch.bridges()) == ([], [])
    await made.switch.stop()


def _settled(desk):
    async def look():
        return bool(desk.registry.settled)

    return look


async def test_a_party_hung_up_is_told_so_when_its_end_ends_the_call_before_asterisk_answers(desk):
    call = await desk.talk()
    desk.switch.slow["hangup"] = asyncio.Event()
    told = await call.control("hangup", "customer")
    assert told["leg_id"] == call.leg("customer").leg_id
    desk.switch.slow["hangup"].set()
    assert (await call.over()).end_reason == "completed"


async def test_a_redirection_that_asterisk_refuses_leaves_a_conversation_that_ends_with_its_parties(desk):
    call = await desk.talk()
    desk.switch.failures["bridge_remove"] = Gone("404")
    with pytest.raises(StateConflict):
        await call.control("redirect", "customer", flow="ivr:welcome")
    assert call.session.conversation.changing == 0
    await call.hang_up("customer")
    await call.over()


async def test_two_calls_parked_at_once_have_two_slots(desk):
    calls = [await desk.talk() for _ in range(3)]
    parked = [await each for each in [asyncio.ensure_future(call.control("park", "customer")) for call in calls]]
    assert sorted(each["slot"] for each in parked) == ["1", "2", "3"]
    for call in calls:
        await call.hang_up("customer")
        await call.over()
    assert desk.registry.parked("a") == {}


async def test_two_who_want_one_slot_at_once_cannot_both_have_it(desk):
    calls = [await desk.talk() for _ in range(2)]
    done = await asyncio.gather(*(call.control("park", "customer", slot=7) for call in calls), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["StateConflict", "dict"]
    for call in calls:
        await call.hang_up("customer")
        await call.over()


async def test_who_cannot_be_parked_goes_on_talking(desk):
    call = await desk.talk()
    bridge = call.session.conversation.bridge
    desk.switch.failures["hold_music"] = Refused("500", status=500)
    with pytest.raises(StateConflict):
        await call.control("park", "customer")
    legs = [call.leg("agent"), call.leg("customer")]
    assert call.session.conversation.parties == legs
    assert [call.session.joined[leg.channel_id] for leg in legs] == [bridge, bridge]
    assert (call.session.call.slot, desk.registry.parked("a")) == (None, {})
    await call.hang_up("agent")
    await call.over()


async def test_a_transfer_that_was_not_written_down_is_none_and_another_can_follow(desk):
    call = await desk.talk()
    journal = desk.registry.services.journal
    committed, turns = journal.committed, count(1)

    async def refuses_the_second():
        if next(turns) == 2:
            raise StoreAway("the spool is full")
        await committed()

    journal.committed = refuses_the_second
    with pytest.raises(StoreAway):
        await call.control("transfer", "agent", to="15550009999")
    journal.committed = committed
    assert call.session.call.transfer is None
    assert not call.leg("target").alive
    await call.control("transfer", "agent", to="15550009998")
    await call.session.until(lambda: call.session.call.conversation == 2, 30)
    await call.hang_up("customer")
    ended = await call.over()
    assert [leg.number for leg in ended.legs.values() if leg.answered_at][-1] == "15550009998"


async def test_a_party_that_goes_while_two_calls_become_one_leaves_the_first_as_it_was(desk):
    call, other = await desk.talk(), await desk.talk()
    desk.switch.failures["bridge_remove"] = Gone("404")
    with pytest.raises(StateConflict):
        await call.control("merge", "agent", channel=other.leg("agent").channel_id)
    assert call.session.call.transfer is None
    assert [leg.role for leg in call.session.live_legs()] == ["agent", "customer"]
    merged = await call.control("merge", "agent", channel=other.leg("agent").channel_id)
    assert (await other.over()).legs[2].why == "moved"
    await call.session.until(lambda: call.session.call.conversation > 0, 30)
    assert [leg.role for leg in call.session.conversation.parties] == ["customer", "target"]
    assert call.leg("target").leg_id == merged["leg_id"]
    await call.hang_up("customer")
    await call.over()


async def test_a_supervisor_who_is_switched_while_it_is_put_through_is_there_once(desk):
    call = await desk.talk()
    desk.switch.slow["snoop"] = asyncio.Event()
    await call.control("whisper", "agent", to="15550007777")
    await call.session.until(lambda: bool(desk.switch.asked("snoop")), 30)
    await eventually(_snooped(desk), within=30, what="the first way of listening")
    switched = asyncio.create_task(call.control("spy"))
    for _ in range(50):  # turns of the loop, in which the order comes as far as it can
        await asyncio.sleep(0)
    desk.switch.slow["snoop"].set()
    await switched
    snoops = [channel.id for channel in await desk.switch.channels() if ".spy" in channel.id]
    assert len(snoops) == 1
    assert desk.switch.asked("snoop")[-1][3] == "none", "it is heard still"
    await call.hang_up("customer")
    await call.over()


def _snooped(desk):
    async def look():
        return desk.switch.asked("snoop")

    return look


async def test_an_order_whose_time_is_over_is_not_even_begun(desk):
    call = await desk.talk()
    order = Order("hangup", within=-1)
    with pytest.raises(Unavailable):
        await desk.registry.control(call.session.call.request_id, order)
    assert call.session.stop_reason is None
    with pytest.raises(InvalidFields):
        await call.control("fly")
    await call.hang_up("agent")
    await call.over()
