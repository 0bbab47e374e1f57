"""The verb on the port's fake: each method, what fails meanwhile, and that nothing is left over."""

import asyncio
from datetime import UTC, datetime

import pytest

from engine.calls.account import Account, Limits
from engine.errors import Clash, Gone, LinkDown, Refused
from engine.sessions.registry import Registry
from engine.sessions.services import Services
from engine.store.memory import Memory, MemoryAccounts, MemoryCalls, MemoryJournal, MemoryRoutes
from engine.store.port import NewCall
from engine.telephony.fake import FakeSwitch
from engine.verbs import keys
from engine.verbs.detect import Detect, detect
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from tests.unit.detect_sounds import line, quiet, speech, tone

CALLER = "15168148111"
ACCOUNT = Account("a", 1, "1", frozenset({CALLER}), limits=Limits())
REQUEST = "00000000aa"
CHANNEL = f"tl-{REQUEST}-1"
QUICK = Detect(limit=0.5)
SOON = 10.0
"""Seconds that what is decided at once, or at a limit far below, may take on a machine that has much to do."""
LATE = 40.0


class Bench:
    """One call whose flow is a dial, something to do, the verb, a hang-up."""

    def __init__(self):
        self.memory = Memory()
        self.journal = MemoryJournal(self.memory)
        self.switch = FakeSwitch("a", self._take)
        self.detection = None
        self.meanwhile = lambda: None
        self.left = None
        services = Services(
            engine_id="e",
            journal=self.journal,
            calls=MemoryCalls(self.memory),
            accounts=MemoryAccounts(),
            routes=MemoryRoutes(),
            flow_of=lambda _name: self.flow,
            live_calls=lambda _account: 1,
        )
        self.registry = Registry(services, {"a": self.switch}, lambda _registry, _event: None, lambda _event: None)

    def _take(self, event):
        self.registry.dispatch(event)

    async def flow(self, session, params):
        leg = await dial(session, Dial("customer", params["number"], CALLER, ring_timeout=60))
        job = session.spawn(self._meanwhile(session), "meanwhile")
        self.detection = await detect(session, leg, params["options"])
        job.cancel()
        self.left = {channel.id for channel in await self.switch.channels()}, await self.switch.bridges()
        await hangup(session, leg)

    async def _meanwhile(self, session):
        await session.until(lambda: {"snoop", "leave", "play"} & {name for name, _ in self.switch.requests})
        self.meanwhile()

    async def ask(self, options=QUICK, number="15550001111"):
        await self.switch.start()
        self.registry.settled.add("a")
        new = NewCall(REQUEST, "a", "ask", "outbound", "e", datetime.now(UTC), {"number": number, "options": options})
        session = await self.registry.begin(new, ACCOUNT, self.switch)
        self.registry.run(session)
        await session.task
        return self.detection

    @property
    def told(self):
        return [dict(event.data) for event in self.memory.calls[REQUEST].timeline if event.kind == "leg.detected"]


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    await made.switch.stop()
    await made.journal.close()


async def test_a_person(bench):
    bench.switch.sounds[CHANNEL] = line(quiet(0.2), speech(0.4))
    found = await bench.ask(Detect(limit=LATE))
    assert (found.kind, found.person) == ("human", True)
    assert found.seconds < LATE
    assert bench.told == [{"who": "human", **{key: value for key, value in vars_of(found).items() if key != "kind"}}]


def vars_of(detection):
    return {name: getattr(detection, name) for name in detection.__slots__}


async def test_a_machine_is_heard_to_its_beep(bench):
    bench.switch.sounds[CHANNEL] = line(quiet(0.4), speech(4.0, seed=4), quiet(0.5), tone(0.4, 1000), quiet(3))
    found = await bench.ask(Detect(wait_for_beep=LATE))
    assert found.kind == "machine"
    assert not found.person
    assert found.seconds <= SOON
    assert 4.65 <= found.beep_at < SOON, "late by as much as the sound was"


async def test_silence_is_unknown_within_the_limit(bench):
    found = await bench.ask(Detect(limit=3.0))
    assert (found.kind, found.reason, found.person) == ("unknown", "silence", True)
    assert found.seconds <= SOON


async def test_the_leg_alone_is_left(bench):
    await bench.ask()
    assert bench.left == ({CHANNEL}, [])


REFUSALS = [
    ("snoop", Refused("no", status=500)),
    ("snoop", Gone("left")),
    ("sound_channel", Refused("an Asterisk before 22.6", status=400)),
    ("create_bridge", LinkDown("down")),
    ("bridge_add", Clash("not in Stasis")),
]


@pytest.mark.parametrize(("method", "error"), REFUSALS)
async def test_what_asterisk_refuses_is_unknown_and_leaves_nothing(bench, method, error):
    bench.switch.failures[method] = error
    found = await bench.ask()
    assert found.kind == "unknown"
    assert found.person
    assert found.seconds <= SOON
    assert bench.left == ({CHANNEL}, [])


async def test_a_party_that_hangs_up(bench):
    bench.meanwhile = lambda: bench.switch.party_hangs_up(CHANNEL)
    found = await bench.ask(Detect(limit=LATE))
    assert (found.kind, found.reason) == ("unknown", "hangup")
    assert found.seconds < LATE


async def test_a_party_that_is_not_up_is_not_listened_to(bench):
    found = await bench.ask(number="15550000486")
    assert (found.kind, found.reason) == ("unknown", "hangup")
    assert not [name for name, _ in bench.switch.requests if name == "snoop"]


@pytest.mark.parametrize(
    ("status", "kind"), [("HUMAN", "human"), ("MACHINE", "machine"), ("NOTSURE", "unknown"), ("", "unknown")]
)
async def test_amd(bench, status, kind):
    bench.meanwhile = lambda: bench.switch.comes_back(CHANNEL, ("return", "amd", status, "INITIALSILENCE-2500-2500"))
    found = await bench.ask(Detect("amd", limit=4.5))
    assert found.kind == kind
    assert ("leave", (CHANNEL, "trunkline", "amd")) in bench.switch.requests
    assert 1000 < int(_argument(bench)) <= 4500
    if status:
        assert found.reason == "initialsilence"


def _argument(bench):
    return next(arguments[2] for name, arguments in bench.switch.requests if name == "set_variable")


async def test_amd_that_does_not_come_back(bench):
    found = await bench.ask(Detect("amd", limit=0.3))
    assert (found.kind, found.reason) == ("unknown", "failed")
    assert found.seconds < SOON


async def test_a_key_is_a_person(bench):
    bench.meanwhile = lambda: bench.switch.party_presses(CHANNEL, "5")
    found = await bench.ask(Detect("dtmf", limit=LATE, prompt=("sound:press-1", "sound:now")))
    assert (found.kind, found.reason) == ("human", "key")
    assert found.seconds < LATE


async def test_no_key_is_a_machine(bench):
    found = await bench.ask(Detect("dtmf", limit=0.4))
    assert (found.kind, found.reason) == ("machine", "no_key")
    assert found.seconds <= SOON


async def test_a_key_pressed_before_is_no_answer_and_the_answer_is_nobody_elses(bench):
    unread = []

    async def flow(session, params):
        leg = await dial(session, Dial("customer", params["number"], CALLER, ring_timeout=60))
        bench.switch.party_presses(CHANNEL, "1")
        await session.until(lambda: leg.dtmf == "1")
        bench.detection = await detect(session, leg, Detect("dtmf", limit=0.2))
        asyncio.get_running_loop().call_later(0.05, bench.switch.party_presses, CHANNEL, "2")
        bench.left = await detect(session, leg, Detect("dtmf", limit=LATE))
        unread.append(keys.unread(session, leg))
        await hangup(session, leg)

    bench.flow = flow
    found = await bench.ask()
    assert (found.kind, bench.left.kind) == ("machine", "human")
    assert unread == [""]
