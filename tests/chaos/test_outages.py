"""A link is cut, Asterisk is restarted, PostgreSQL is away: no ghost channel, no lost or doubled CDR, no help needed."""

import asyncio
import itertools
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


async def traffic(stack: Stack, seconds: float, per_second: float) -> tuple[list[str], int]:
    """Calls at a steady pace; (request ids of those taken, how many were refused with 503)."""
    taken, refused = [], 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n, last in zip(itertools.count(), itertools.cycle(ENDINGS), strict=False):
        due = began + n / per_second
        if due > began + seconds:
            return taken, refused
        await asyncio.sleep(max(0, due - loop.time()))
        body = {"agent_number": plain(), "destination_number": ending(last), "caller_id": "15168148111"}
        reply = await stack.api.post("/api/click2call", body)
        if reply.status == 200:
            taken.append(reply.response["request_id"])
        else:
            reply.expect(503)
            assert int(reply.headers["Retry-After"]) > 0
            refused += 1
    raise AssertionError


async def some_talk(stack: Stack) -> None:
    async def look() -> bool:
        return any(call["state"] == "talking" for call in await stack.api.calls())

    await eventually(look, within=60, what="a conversation", every=0.05)


async def cut(proxy, seconds: float) -> None:
    await proxy.cut()
    await asyncio.sleep(seconds)
    await proxy.restore()


@pytest.mark.parametrize("away", [2.0, pytest.param(5.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("line", ["ari", "ami"])
async def test_a_link_to_asterisk_is_cut_under_traffic(stack: Stack, lines: Lines, line: str, away: float):
    calls, _ = await asyncio.gather(
        traffic(stack, away + 3, 5), _cut_while_some_talk(stack, getattr(lines, line), away)
    )
    taken, refused = calls
    await ready(stack)
    await truth.all_hold(stack, taken)
    assert (refused > 0) == (line == "ari"), "calls need ARI, and only ARI"


async def _cut_while_some_talk(stack: Stack, proxy, seconds: float) -> None:
    await some_talk(stack)
    await cut(proxy, seconds)


@pytest.mark.parametrize("away", [4.0, pytest.param(30.0, marks=pytest.mark.long)])
async def test_postgresql_is_away_under_traffic(stack: Stack, lines: Lines, away: float):
    calls, _ = await asyncio.gather(
        traffic(stack, away + 3, 5), asyncio.create_task(_cut_while_some_talk(stack, lines.postgres, away))
    )
    taken, refused = calls
    await ready(stack)
    await truth.all_hold(stack, taken)
    assert refused > 0


async def test_the_engine_is_killed_while_postgresql_is_away(stack: Stack, lines: Lines):
    """What was in the spool alone is in PostgreSQL afterwards."""
    taken = [await stack.api.click2call(plain(), ending("3002")) for _ in range(5)]
    for request_id in taken:
        await stack.api.wait_state(request_id, "talking")
    await lines.postgres.cut()
    await truth.nothing_left(stack)
    pid = stack.kill("engine")
    await lines.postgres.restore()
    await stack.wait_ready(but=pid)
    calls = await truth.all_hold(stack, taken)
    assert {call["end_reason"] for call in calls} == {"completed"}


async def test_asterisk_is_killed_under_traffic(stack: Stack):
    running = asyncio.create_task(traffic(stack, 5, 4))
    await some_talk(stack)
    pid = stack.kill("asterisk")
    taken, _ = await running
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
    taken = [await stack.api.click2call(plain(), ending("3003")) for _ in range(3)]
    for request_id in taken:
        await stack.api.wait_state(request_id, "talking")
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
    await truth.all_ended(stack, taken, within=30)
    await truth.nothing_left(stack)
    for request_id in taken:
        call = await stack.api.call(request_id)
        assert len(await stack.api.cdrs(request_id)) == 1
        for leg in call["legs"]:
            assert len(stack.calls_of(leg["number"])) <= 1
        placed_again = call["end_reason"] == "completed" or call["reconciled"]
        assert placed_again, await stack.api.story(request_id)
