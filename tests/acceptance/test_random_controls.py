"""Random controls, from a seed: every command is answered, nothing is stuck, and the CDRs make a chain."""

import asyncio
import random

import pytest

from engine.testkit import numbers
from engine.testkit.poll import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWERS = {200, 403, 404, 409, 422}
"""What may be said to a command; 5xx would say that it is not known what became of it."""
SEED = 20261122


def random_control(dice):
    leg = dice.choice(["agent", "customer", "target", None])
    action = dice.choice(
        ["hold", "resume", "mute", "unmute", "transfer", "attended_transfer", "complete", "cancel", "swap", "park",
         "retrieve", "play", "dtmf", "record_start", "record_pause", "record_resume", "record_stop", "spy", "whisper",
         "barge", "redirect"]
    )  # fmt: skip
    more = {
        "transfer": lambda: {"to": a_number(dice)},
        "attended_transfer": lambda: {"to": a_number(dice)},
        "retrieve": lambda: {"to": a_number(dice)},
        "spy": lambda: {"to": a_number(dice)},
        "mute": lambda: {"direction": dice.choice(["in", "out", "both"])},
        "play": lambda: {"media": "sound:beep"},
        "dtmf": lambda: {"digits": "12"},
        "redirect": lambda: {"flow": "ivr:welcome"},
    }
    return {"action": action, **({"leg": leg} if leg else {}), **more.get(action, dict)()}


def a_number(dice):
    return numbers.ending("0486") if dice.random() < 0.2 else numbers.plain()


async def sequence(stack, seed, steps):
    """One call with its controls; its request id."""
    dice = random.Random(seed)
    request_id = await stack.api.click2call(numbers.plain(), numbers.plain())
    await stack.api.wait_state(request_id, "talking", within=60)
    said = []
    for _ in range(steps):
        body = random_control(dice)
        reply = await stack.api.post(f"/api/calls/{request_id}/control", body)
        said.append(f"{reply.status} {body}")
        assert reply.status in ANSWERS, f"seed {seed}: {reply.body!r}\n{said}\n{await stack.api.story(request_id)}"
        await asyncio.sleep(dice.random() * 0.4)  # the length of the talk
    assert (await stack.api.hang_up(request_id)).status in (200, 409)
    call = await stack.api.wait_ended(request_id, within=60)
    wanted = 1 + sum(leg["role"] == "target" for leg in call["legs"])
    rows = await eventually(
        lambda: _rows(stack, request_id, wanted),
        within=60,
        what=f"{wanted} CDRs",
        tell=lambda: stack.api.story(request_id),
    )
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    dialed = [leg["number"] for leg in call["legs"] if leg["role"] == "target"]
    assert [row["dialed_number"] for row in rows[1:]] == dialed, f"seed {seed}: {said}"
    for row in rows:
        assert row["billsec"] <= row["call_duration"] + 0.01, f"seed {seed}: {row}"
    placed = [leg for leg in call["legs"] if leg["channel"]]
    cel = dict(await stack.ended_channels(*(leg["channel_id"] for leg in placed), within=60))
    for leg in placed:
        assert (leg["answered_at"] is None) == (cel[leg["channel_id"]].answered_at is None), f"seed {seed}: {leg}"
    return request_id


async def _rows(stack, request_id, count):
    rows = await stack.api.cdrs(request_id)
    return rows if len(rows) == count else None


async def test_a_few_random_sequences(stack):
    await replays(stack, await asyncio.gather(*(sequence(stack, SEED + n, 7) for n in range(5))))


async def replays(stack, request_ids):
    """Timelines lead to the rows that are stored."""
    for request_id in request_ids[:3]:
        assert "lead to what is stored" in await stack.trunkline("calls", "replay", request_id)


@pytest.mark.long
async def test_a_hundred_random_sequences(stack):
    """20 calls at a time."""
    turns = asyncio.Semaphore(20)

    async def one(n):
        async with turns:
            return await sequence(stack, SEED + n, 10)

    await replays(stack, await asyncio.gather(*(one(n) for n in range(100))))
