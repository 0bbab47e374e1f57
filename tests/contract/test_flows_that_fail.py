"""A flow may fail in any way: it harms its own call alone. Real calls, all at the same time, and one beside them."""

import asyncio
import inspect
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.calls.model import Call
from engine.ops.watchdog import LoopWatchdog
from engine.sessions.session import Session
from engine.telephony.ari.switch import AriSwitch
from engine.testkit import audio, numbers
from engine.testkit.asterisks import asterisks
from engine.testkit.heard import Callee
from engine.testkit.poll import eventually
from engine.verbs.gather import Gather, gather
from engine.verbs.play import play
from tests.contract.agi_desk import AgiDesk
from tests.contract.test_verbs import settled
from tests.contract.verb_desk import ACCOUNT, Desk, up

LONGEST = 12
"""Seconds that a call may last."""
BLOCKS = 2.4
GATHERED: list[asyncio.Event] = []
"""Set when the call beside them has its keys; the last is that of the door under test."""


async def raises(session: Session) -> None:
    await up(session, session.call.params["number"])
    raise ZeroDivisionError


async def awaits_for_ever(session: Session) -> None:
    await up(session, session.call.params["number"])
    await asyncio.Event().wait()


async def never_ends(session: Session) -> None:
    leg = await up(session, session.call.params["number"])
    while True:
        await session.until(lambda: not leg.up, 0.1)


async def blocks(session: Session) -> str:
    await up(session, session.call.params["number"])
    if session.door is not None:  # behind AGI a key is lost that is pressed while nobody asks for one
        await GATHERED[-1].wait()
    time.sleep(BLOCKS)  # noqa: ASYNC251 - what the test is about
    return "free again"


async def is_well(session: Session) -> str:
    leg = await up(session, session.call.params["number"])
    gathered = await gather(session, leg, Gather(max_digits=3))
    GATHERED[-1].set()
    played = await play(session, leg, "sound:vm-goodbye")
    return gathered.digits if played.completed else ""


FLOWS = (raises, awaits_for_ever, never_ends, blocks, is_well)


@dataclass
class Outcome:
    call: Call
    given: Any
    heard: Callee


@dataclass
class Day:
    calls: dict[str, Outcome]
    logs: list[Any]


@pytest.fixture(scope="module", params=["stasis", "fastagi"])
async def day(request: pytest.FixtureRequest) -> Day:
    """What became of each, behind one door or the other."""
    agi = request.param == "fastagi"
    GATHERED.append(asyncio.Event())
    desk: Desk = AgiDesk(None) if agi else Desk(None)
    where = await desk.open() if isinstance(desk, AgiDesk) else "127.0.0.1:4573"
    async with asterisks("agi-desk", where) as pair:
        desk.pair = pair
        desk.account = replace(ACCOUNT, limits=replace(ACCOUNT.limits, max_duration=LONGEST))
        desk.build(lambda sink: AriSwitch(pair.server, "agi-desk", sink))
        await desk.switch.start()
        await eventually(settled(desk), within=60, what="link")
        watchdog = LoopWatchdog(lambda request_id: desk.registry.sessions[request_id].call.flow, patience=0.6)
        watchdog.start()
        with capture_logs() as logs:
            work = (_outcome(desk, flow) for flow in FLOWS)
            done = await asyncio.gather(*work)
        watchdog.stop()
        if isinstance(desk, AgiDesk):
            await desk.server.stop()
        await desk.switch.stop()
    return Day(dict(zip((flow.__name__ for flow in FLOWS), done, strict=True)), logs)


async def _outcome(desk: Desk, flow: Any) -> Outcome:
    number = numbers.ending("4275")
    given, call = await desk.run(flow, params={"number": number}, raising=False)
    return Outcome(call, given, await desk.heard(number))


def test_one_that_raises_apologises_and_the_record_says_error(day: Day) -> None:
    outcome = day.calls["raises"]
    assert outcome.call.end_reason == "error"
    assert audio.speech_present(outcome.heard.samples)
    failed = [each for each in day.logs if each["event"] == "flow_failed"]
    assert [each["request_id"] for each in failed] == [outcome.call.request_id]


@pytest.mark.parametrize("flow", ["awaits_for_ever", "never_ends"])
def test_the_hard_limit_ends_what_does_not_end(day: Day, flow: str) -> None:
    outcome = day.calls[flow]
    assert outcome.call.end_reason == "timeout"
    assert outcome.call.ended_at is not None
    assert (outcome.call.ended_at - outcome.call.created_at).total_seconds() >= LONGEST - 0.5
    assert [leg.alive for leg in outcome.call.legs.values()] == [False]


def test_one_that_blocks_is_named_with_its_line(day: Day) -> None:
    outcome = day.calls["blocks"]
    assert (outcome.given, outcome.call.end_reason) == ("free again", "completed")
    lines, first = inspect.getsourcelines(blocks)
    line = first + next(n for n, text in enumerate(lines) if "time.sleep" in text)
    told = [each for each in day.logs if each["event"] == "loop_blocked" and each["flow"] == outcome.call.flow]
    assert {each["line"] for each in told} == {f"{__file__}:{line} blocks"}, day.logs


def test_the_call_beside_them_is_well(day: Day) -> None:
    outcome = day.calls["is_well"]
    assert (outcome.given, outcome.call.end_reason) == ("275", "completed")
