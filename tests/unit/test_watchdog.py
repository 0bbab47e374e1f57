"""Who blocks the loop is named while it does, and who only waits is not."""

import asyncio
import inspect
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.ops.watchdog import LoopWatchdog, look
from tests import waiting

PATIENCE = 0.05


def blocks(until: threading.Event) -> None:
    until.wait(60)


async def flow(until: threading.Event) -> None:
    await asyncio.sleep(0)
    blocks(until)


def named(logs: list[Any]) -> list[Any]:
    """What the watchdog said of ``blocks``; a busy machine may hold the loop up elsewhere."""
    return [each for each in logs if each["event"] == "loop_blocked" and "blocks" in str(each["inside"])]


async def until_told(logs: list[Any], event: str) -> Any:
    async with asyncio.timeout(60):
        while not (found := [each for each in logs if each["event"] == event]):
            await asyncio.sleep(0.01)
    return found[-1]


async def test_a_flow_that_blocks_is_named_with_its_line() -> None:
    until = threading.Event()
    with capture_logs() as logs:
        watchdog = LoopWatchdog({"57362de4f0": "slow_flow"}.get, patience=PATIENCE)
        watchdog.start()
        threading.Thread(target=_free_when_told, args=(until, logs), daemon=True).start()
        await asyncio.create_task(flow(until), name="call 57362de4f0")
        free = await until_told(logs, "loop_free_again")
        watchdog.stop()
    blocked = named(logs)[0]
    line = inspect.getsourcelines(flow)[1] + 2
    assert blocked["line"] == f"{Path(__file__)}:{line} flow"
    assert (blocked["flow"], blocked["task"]) == ("slow_flow", "call 57362de4f0")
    assert free["seconds"] >= PATIENCE
    assert watchdog.blocked >= 1


def _free_when_told(until: threading.Event, logs: list[Any]) -> None:
    """Block until the watchdog has spoken: the test hangs on no clock."""
    deadline = time.monotonic() + 50
    while not named(logs) and time.monotonic() < deadline:
        time.sleep(0.01)
    until.set()


async def test_a_callback_is_named_too() -> None:
    until = threading.Event()
    with capture_logs() as logs:
        watchdog = LoopWatchdog(patience=PATIENCE)
        watchdog.start()
        threading.Thread(target=_free_when_told, args=(until, logs), daemon=True).start()
        asyncio.get_running_loop().call_soon(blocks, until)
        await until_told(logs, "loop_blocked")
        await asyncio.sleep(0)
        watchdog.stop()
    blocked = named(logs)[0]
    assert blocked["flow"] is None


def test_a_loop_that_waits_is_not_blocked() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert thread.ident is not None
        deadline = time.monotonic() + 60
        while look(loop, thread.ident) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert look(loop, thread.ident) is None
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("times", [1, 3])
async def test_it_stops(times: int) -> None:
    for _ in range(times):
        watchdog = LoopWatchdog(patience=PATIENCE)
        watchdog.start()
        watchdog.stop()
    await waiting.until(lambda: not [each for each in threading.enumerate() if each.name == "loop watchdog"])
