"""Many calls at once against callees of every kind: all accounted for, each as the carrier had it."""

import asyncio
import itertools

import pytest

from engine.testkit.numbers import ending, plain
from engine.testkit.stack import Stack
from tests.chaos import truth

pytestmark = pytest.mark.usefixtures("no_leaks")

EXPECTED = {
    "3001": ("ANSWER", "ANSWERED", "completed"),
    "0486": ("BUSY", "BUSY", "busy"),
    "0603": ("CHANUNAVAIL", "FAILED", "rejected"),
    "0404": ("CHANUNAVAIL", "FAILED", "failed"),
    "0480": ("NOANSWER", "NO ANSWER", "no_answer"),
    "0503": ("CONGESTION", "FAILED", "failed"),
    "3000": ("ANSWER", "ANSWERED", "completed"),
}
"""Last four digits of the destination → dial_status, call_status, end_reason."""


@pytest.mark.parametrize("calls", [60, pytest.param(200, marks=pytest.mark.long)])
async def test_calls_at_twenty_a_second_against_mixed_callees(stack: Stack, calls: int):
    placed = []
    for _, last in zip(range(calls), itertools.cycle(EXPECTED), strict=False):
        placed.append((last, asyncio.create_task(stack.api.click2call(plain(), ending(last)))))
        await asyncio.sleep(0.05)
    request_ids = {await task: last for last, task in placed}
    assert len(request_ids) == calls
    for call in await truth.all_hold(stack, list(request_ids)):
        (cdr,) = await stack.api.cdrs(call["request_id"])
        found = (cdr["dial_status"], cdr["call_status"], call["end_reason"])
        assert found == EXPECTED[request_ids[call["request_id"]]], await stack.api.story(call["request_id"])
