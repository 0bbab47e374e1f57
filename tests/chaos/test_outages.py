"""A link is cut, Asterisk is restarted, PostgreSQL is away: no ghost channel, no lost or doubled CDR, no help needed."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from engine.testkit.client import at
from engine.testkit.numbers import ending, plain
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack
from tests.chaos import truth
from tests.chaos.conftest import Lines

pytestmark = pytest.mark.usefixtures("no_leaks")

ENDINGS = ("3001", "3002", "0486", "3001", "0404", "3003")


async def ready(stack: Stack) -> None:
    async def look() -> bool:
        return (await stack.api.get("/readyz")).status == 200

    await eventually(look, within=60, what="ready engine", every=0.05)


@dataclass
class Traffic:
    """Calls at a steady pace, for ``seconds`` and until ``enough`` is set."""

    seconds: float
    per_second: float
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    taken: list[str] = field(default_factory=list)
    """Request ids."""
    refused: int = 0
    """With 503."""

    async def run(self, stack: Stack) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n, last in zip(itertools.count(), itertools.cycle(ENDINGS), strict=False):
            if loop.time() >= began + self.seconds and self.enough.is_set():
                return
            await asyncio.sleep(max(0, began + n / self.per_second - loop.time()))
            await self._call(stack, last)

    async def _call(self, stack: Stack, last: str) -> None:
        body = {"agent_number": plain(), "destination_number": ending(last), "caller_id": "15168148111"}
        reply = await stack.api.post("/api/click2call", body)
        if reply.status == 200:
            self.taken.append(reply.response["request_id"])
        else:
            reply.expect(503)
            assert int(reply.headers["Retry-After"]) > 0
            self.refused += 1


async def some_talk(stack: Stack) -> None:
    async def look() -> bool:
        return any(call["state"] == "talking" for call in await stack.api.calls())

    await eventually(look, within=60, what="a conversation", every=0.05)


async def cut(stack: Stack, proxy, seconds: float, traffic: Traffic, *, refuses: bool) -> None:
    """While somebody talks; for so long, and until a call was refused where one must be."""

    async def felt() -> bool:
        return traffic.refused > 0 or not refuses

    try:
        await some_talk(stack)
        await proxy.cut()
        await asyncio.sleep(seconds)
        await eventually(felt, within=60, what="a refused call")
    finally:
        await proxy.restore()
        traffic.enough.set()


async def talks(stack: Stack, count: int) -> list[str]:
    """Request ids of conversations that end by themselves, long after all have begun."""

    async def talk() -> str:
        request_id = await stack.api.click2call(plain(), ending("3006"))
        await stack.api.wait_state(request_id, "talking")
        return request_id

    return list(await asyncio.gather(*(talk() for _ in range(count))))


@pytest.mark.parametrize("away", [2.0, pytest.param(5.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("line", ["ari", "ami"])
async def test_a_link_to_asterisk_is_cut_under_traffic(stack: Stack, lines: Lines, line: str, away: float):
    traffic = Traffic(away + 3, 5)
    proxy = getattr(lines, line)
    await asyncio.gather(traffic.run(stack), cut(stack, proxy, away, traffic, refuses=line == "ari"))
    await ready(stack)
    await truth.all_hold(stack, traffic.taken)
    assert (traffic.refused > 0) == (line == "ari"), "calls need ARI, and only ARI"


@pytest.mark.parametrize("away", [4.0, pytest.param(30.0, marks=pytest.mark.long)])
async def test_postgresql_is_away_under_traffic(stack: Stack, lines: Lines, away: float):
    traffic = Traffic(away + 3, 5)
    await asyncio.gather(traffic.run(stack), cut(stack, lines.postgres, away, traffic, refuses=True))
    await ready(stack)
    await truth.all_hold(stack, traffic.taken)
    assert traffic.refused > 0


async def test_the_engine_is_killed_while_postgresql_is_away(stack: Stack, lines: Lines):
    """What was in the spool alone is in PostgreSQL afterwards."""
    taken = await talks(stack, 5)
    await lines.postgres.cut()
    await truth.nothing_left(stack)
    pid = stack.kill("engine")
    await lines.postgres.restore()
    await stack.wait_ready(but=pid)
    calls = await truth.all_hold(stack, taken)
    assert {call["end_reason"] for call in calls} == {"completed"}


async def test_asterisk_is_killed_under_traffic(stack: Stack):
    traffic = Traffic(5, 4)
    running = asyncio.create_task(traffic.run(stack))
    await some_talk(stack)
    pid = stack.kill("asterisk")
    traffic.enough.set()
    await running
    taken = traffic.taken
    await stack.wait_ready(name="asterisk", but=pid)
    await ready(stack)
    await truth.all_ended(stack, taken)
    await truth.nothing_left(stack)
    for request_id in taken:
        assert len(await stack.api.cdrs(request_id)) == 1
    reconciled = [call for request_id in taken if (call := await stack.api.call(request_id))["reconciled"]]
    assert reconciled, "calls that died with Asterisk say so"


async def test_a_call_that_dies_with_engine_and_asterisk_ended_when_they_did(stack: Stack):
    """Nobody was there to see it: the engine's last sign of life is the best time known, not that of its next start."""
    taken = [await stack.api.click2call(plain(), plain()) for _ in range(2)]
    for request_id in taken:
        await stack.api.wait_state(request_id, "talking")
    engine, asterisk = stack.kill("engine"), stack.kill("asterisk")
    died = datetime.now(UTC)
    await stack.wait_ready(but=engine)
    await stack.wait_ready(name="asterisk", but=asterisk)
    await truth.all_ended(stack, taken)
    for request_id in taken:
        call = await stack.api.call(request_id)
        assert call["reconciled"]
        assert {at(leg["ended_at"]) <= died for leg in call["legs"]} == {True}
        assert (await stack.api.cdr(request_id))["call_status"] == "ANSWERED"


async def test_postgresql_is_killed(stack: Stack):
    taken = await talks(stack, 3)
    pid = stack.kill("postgres")
    await truth.nothing_left(stack)
    await stack.wait_ready(name="postgres", but=pid)
    await ready(stack)
    await truth.all_hold(stack, taken)


async def test_calls_that_asterisk_never_saw_are_placed_when_it_is_back(stack: Stack):
    """Asterisk is killed while forty calls are being placed: DESIGN §3, "never seen, under 30 s old: placed now"."""
    wanted = [asyncio.create_task(stack.api.click2call(plain(), ending("3001"))) for _ in range(40)]
    await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)
    pid = stack.kill("asterisk")
    answers = await asyncio.gather(*wanted, return_exceptions=True)
    taken = [answer for answer in answers if isinstance(answer, str)]
    await stack.wait_ready(name="asterisk", but=pid)
    await ready(stack)
    await truth.all_ended(stack, taken, within=60)
    await truth.nothing_left(stack)
    for request_id in taken:
        call = await stack.api.call(request_id)
        assert len(await stack.api.cdrs(request_id)) == 1
        for leg in call["legs"]:
            assert len(stack.calls_of(leg["number"])) <= 1
        placed_again = call["end_reason"] == "completed" or call["reconciled"]
        assert placed_again, await stack.api.story(request_id)
