"""What must be true of every call, whatever was killed or cut while it lived."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

from engine.testkit.client import at
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack

TOLERANCE = 1.0
"""Seconds between our times of a leg and CEL's."""


async def all_ended(stack: Stack, request_ids: Iterable[str], within: float = 60.0) -> None:
    for request_id in request_ids:
        await stack.api.wait_ended(request_id, within)


async def holds(stack: Stack, request_id: str) -> dict:
    """One CDR; nobody dialled twice; every leg as Asterisk's own record has it. Gives the call."""
    call = await stack.api.call(request_id)
    story = await stack.api.story(request_id)
    assert call["state"] == "ended", story
    assert len(await stack.api.cdrs(request_id)) == 1, story
    events = await stack.api.events(request_id)
    assert [event["type"] for event in events].count("call.ended") == 1, story
    assert len({leg["number"] for leg in call["legs"]}) == len(call["legs"]), story
    for leg in call["legs"]:
        assert len(stack.calls_of(leg["number"])) <= 1, f"{leg['number']} was called twice\n{story}"
        await agrees(stack, leg, story)
    return call


async def agrees(stack: Stack, leg: dict, story: str) -> None:
    if leg["answered_at"] is not None:  # Asterisk lives: CEL has its end a moment after the event
        await stack.ended_channels(leg["channel_id"])
    history = (await stack.cel([leg["channel_id"]])).get(leg["channel_id"])
    if history is None:
        assert leg["answered_at"] is None, f"CEL knows nothing of an answered leg\n{story}"
        return
    near(leg["answered_at"], history.answered_at, f"answer of leg {leg['role']}", story)
    if history.ended_at is not None:
        near(leg["ended_at"], history.ended_at, f"end of leg {leg['role']}", story)


def near(ours: str | None, theirs: datetime | None, what: str, story: str) -> None:
    assert (ours is None) == (theirs is None), f"{what}: {ours} here, {theirs} in CEL\n{story}"
    if ours is not None and theirs is not None:
        apart = abs((at(ours) - theirs).total_seconds())
        assert apart <= TOLERANCE, f"{what}: {ours} here, {theirs} in CEL\n{story}"


async def nothing_left(stack: Stack) -> None:
    async def look() -> bool:
        return not await stack.ari.channels() and not await stack.ari.bridges()

    await eventually(look, within=40, what="Asterisk without channels and bridges")


async def all_hold(stack: Stack, request_ids: list[str]) -> list[dict]:
    await all_ended(stack, request_ids)
    await nothing_left(stack)
    return list(await asyncio.gather(*(holds(stack, request_id) for request_id in request_ids)))
