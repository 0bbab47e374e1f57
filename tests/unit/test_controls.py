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
from engine.telephony.fake import BUSY, RINGS, Callee, FakeSwitch
from engine.testkit.poll import eventually
from engine.verbs.bridge import join, talk
from tests.contract.verb_desk import Desk, up
from tests.waiting import until

NUMBERS = count(15550001001)


class Switch(FakeSwitch):
    """``slow[method]``: requests of that kind are done at once, and answered when the event is set."""

    def __init__(self, name, sink):
        super().__init__(name, sink, callee=self._callee_at)
        self.slow = {}
        self.rings = set()
        """Numbers that nobody answers."""
        self.busy = set()
        """Endpoints."""

    def _callee_at(self, endpoint):
        if any(number in endpoint for number in self.rings):
            return RINGS
        return BUSY if endpoint in self.busy else Callee(answers_after=0.0)

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
    async def talk(self, agent=""):
        """Two who talk. ``agent``: its number."""
        there = asyncio.get_running_loop().create_future()

        async def flow(session):
            bridge = ids.bridge_id(session.call.request_id)
            legs = [await up(session, agent or str(next(NUMBERS)), "agent"), await up(session, str(next(NUMBERS)))]
            await join(session, bridge, *legs)
            there.set_result(session)
            await talk(session, bridge, *legs)

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


async def test_who_is_forgotten_in_a_slot_rings_back_the_phone_that_parked_it_and_waits_on_when_nobody_answers(desk):
    desk.account = replace(desk.account, limits=replace(desk.account.limits, park_comeback=1))
    call = await desk.talk(agent="101")
    await call.control("park", "customer")
    desk.switch.busy.add(call.leg("agent").endpoint)
    await call.session.until(lambda: len(_targets(call)) == 1 and not _targets(call)[0].alive, 30)
    assert (_targets(call)[0].number, _targets(call)[0].sip_code, call.session.call.slot) == ("101", 486, "1")
    desk.switch.busy.clear()
    await call.session.until(lambda: call.session.call.slot is None, 30)
    assert [leg.role for leg in call.session.conversation.parties] == ["customer", "target"]
    assert len(_targets(call)) == 2
    await call.hang_up("customer")
    await call.over()


@pytest.mark.parametrize(("seconds", "agent"), [(0, "101"), (1, "15550001234")])
async def test_nobody_is_rung_back_who_did_not_ask_for_it(desk, seconds, agent):
    desk.account = replace(desk.account, limits=replace(desk.account.limits, park_comeback=seconds))
    call = await desk.talk(agent=agent)
    await call.control("park", "customer")
    job = next((each for each in call.session.jobs if each.get_name().startswith("comeback")), None)
    if job is not None:
        await job
    assert (_targets(call), call.session.call.slot) == ([], "1")
    await call.hang_up("customer")
    await call.over()


def _targets(call):
    return [leg for leg in call.session.call.legs.values() if leg.role == "target"]


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


@pytest.mark.parametrize("wish", ["complete", "swap"])
async def test_a_wish_that_comes_too_late_is_not_said_to_be_done(desk, wish):
    call = await desk.talk()
    await call.control("attended_transfer", "agent", to="15550008888")
    await call.session.until(lambda: call.leg("target").up, 30)
    await call.session.until(lambda: call.session.consult.target is call.leg("target"), 30)
    order = Order(wish)
    call.session.inbox.put(call.session, order)
    await call.hang_up("target")
    with pytest.raises(StateConflict):
        await order.outcome
    await call.session.until(lambda: call.session.call.transfer is None, 30)
    assert [leg.role for leg in call.session.conversation.parties] == ["agent", "customer"]
    await call.hang_up("customer")
    await call.over()


@pytest.mark.parametrize("ringing", [True, False])
async def test_a_completed_transfer_is_said_to_be_done(desk, ringing):
    call = await desk.talk()
    if ringing:
        desk.switch.rings.add("15550008887")
    await call.control("attended_transfer", "agent", to="15550008887")
    await call.session.until(lambda: call.leg("target").ringing_at if ringing else call.leg("target").up, 30)
    told = await call.control("complete")
    assert told.get("leg_id") in (None, call.leg("target").leg_id)
    await call.session.until(lambda: not call.leg("agent").alive, 30)
    await call.hang_up("customer")
    await call.over()


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


async def test_a_sound_for_all_that_asterisk_does_not_play_is_over_at_once(desk):
    call = await desk.talk()
    desk.switch.failures["play"] = Gone("404")
    await call.control("play", media=("sound:beep",))
    await until(lambda: not any(job.get_name().startswith("play") for job in call.session.jobs))
    told = [event for event in desk.memory.calls[call.session.call.request_id].timeline if event.kind == "play.ended"]
    assert [event.data["completed"] for event in told] == [False]
    await call.hang_up("customer")
    await call.over()


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
