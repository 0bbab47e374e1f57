"""Web hooks while the engine, PostgreSQL or the receiver die: nothing is missed, one end per call, in order per call."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest_asyncio

from engine.testkit.numbers import ending, plain
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack
from tests.chaos import truth
from tests.receiver import Receiver

WITHIN = 60.0
"""Seconds; a dead engine's claims are another's after 20."""


@pytest_asyncio.fixture(loop_scope="session")
async def receiver(stack: Stack) -> AsyncIterator[Receiver]:
    """Subscribed to everything of account_1's calls."""
    made = Receiver()
    await made.start()
    reply = await stack.api.post("/api/webhooks", {"url": made.url(), "types": ["call.*"]})
    yield made
    made.hold.set()
    await stack.api.request("DELETE", f"/api/webhooks/{reply.expect().response['id']}")
    await made.runner.cleanup()


async def all_told(stack: Stack, receiver: Receiver, request_ids: list[str]) -> None:
    """Each call's messages are those of its timeline, in order once repetitions are dropped, its end once."""

    async def look() -> bool:
        return {about for kind, about, _ in receiver.told if kind == "call.ended"} >= set(request_ids)

    async def tell() -> str:
        return "\n".join(map(str, receiver.told))

    await eventually(look, within=WITHIN, what="the end of every call", tell=tell)
    for request_id in request_ids:
        ids = [
            (h["webhook-id"], b["data"]["sequence"])
            for _, h, b, _ in receiver.got
            if b["data"]["request_id"] == request_id
        ]
        sequences = [sequence for _, sequence in dict.fromkeys(ids)]
        assert sequences == sorted(sequences), await tell()
        assert len(dict(ids)) == len(sequences)
        wanted = [event["sequence"] for event in await stack.api.events(request_id) if event["type"] in TOLD]
        assert sequences == wanted, await stack.api.story(request_id)


TOLD = {"call.created", "leg.ringing", "leg.answered", "call.bridged", "call.ended"}


async def test_the_engine_is_killed_in_the_middle_of_calls(stack: Stack, receiver: Receiver):
    calls = [await stack.api.click2call(plain(), ending("3002")) for _ in range(5)]
    await stack.api.wait_state(calls[-1], "talking")
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)
    await truth.all_hold(stack, calls)
    await all_told(stack, receiver, calls)


async def test_the_engine_is_killed_in_the_middle_of_a_delivery(stack: Stack, receiver: Receiver):
    receiver.hold.clear()
    calls = [await stack.api.click2call(plain(), ending("0486")) for _ in range(3)]
    await truth.all_ended(stack, calls)
    await eventually(lambda: _has(receiver, 3), within=60, what="three first messages")
    pid = stack.kill("engine")
    receiver.hold.set()
    await stack.wait_ready(but=pid)
    await all_told(stack, receiver, calls)


async def test_the_engine_is_stopped_in_the_middle_of_a_delivery(stack: Stack, receiver: Receiver):
    """A stop gives back what it had in hand: the next engine need not wait for the lease."""
    receiver.hold.clear()
    request_id = await stack.api.click2call(ending("0486"), plain())
    await stack.api.wait_ended(request_id)
    await eventually(lambda: _has(receiver, 1), within=60, what="the first message")
    pid = stack.kill("engine", signal.SIGTERM)
    await stack.wait_ready(but=pid)
    receiver.hold.set()
    async with asyncio.timeout(15):  # the lease is 20
        await all_told(stack, receiver, [request_id])


async def test_postgresql_is_killed_while_there_is_much_to_tell(stack: Stack, receiver: Receiver):
    calls = [await stack.api.click2call(plain(), ending("3001")) for _ in range(5)]
    await eventually(lambda: _has(receiver, 8), within=60, what="some messages")
    pid = stack.kill("postgres")
    await stack.wait_ready(name="postgres", but=pid)
    await truth.all_hold(stack, calls)
    await all_told(stack, receiver, calls)


async def _has(receiver: Receiver, wanted: int) -> bool:
    return len(receiver.got) >= wanted
