"""What an engine costs beside calls: the time it takes to be ready, and the memory of a live call."""

import asyncio
import os
import signal
import time
from urllib.parse import urlsplit

from engine.embedded.stack import answers
from tests.bench.load import Load
from tests.bench.processes import resident_kb
from tests.bench.sides import Bench

LIVE = 500


async def ready_seconds(bench: Bench) -> float:
    """From the start of an engine's process until ``/readyz``, with Asterisk and PostgreSQL up."""
    about = bench.stack.describe()
    api = urlsplit(about["api"])
    pid_file = bench.stack.plan.state.run / "engine.pid"
    before = pid_file.stat().st_mtime_ns
    os.kill(about["engine_pid"], signal.SIGKILL)
    async with asyncio.timeout(30):
        while pid_file.stat().st_mtime_ns == before:
            await asyncio.sleep(0.002)
        while not await answers(api.hostname or "", api.port or 0, "/readyz"):
            await asyncio.sleep(0.005)
        ready = time.time_ns()
        while bench.stack.describe()["engine_pid"] == about["engine_pid"]:
            await asyncio.sleep(0.01)
    return (ready - pid_file.stat().st_mtime_ns) / 1e9


async def kilobytes_per_call(bench: Bench, calls: int = LIVE) -> float:
    """Of the engine: its own memory with ``calls`` live calls less that with none, after a few to warm it up."""
    await bench.engine(Load(60, in_flight=60))
    pid = bench.stack.describe()["engine_pid"]
    await bench.far_end.ask({"do": "talk", "seconds": 600})
    before = resident_kb(pid)
    load = Load(calls, pace=60.0, give_up=5.0)
    await bench.far_end.ask(bench.click_to_calls(90_000_000, load))
    live = await bench.database.fetchval("SELECT count(*) FROM calls WHERE state = 'live'")
    held = resident_kb(pid)
    await bench.far_end.ask({"do": "hang_up"})
    if live != calls:
        raise RuntimeError(f"{live} calls are live instead of {calls}")
    return (held - before) / calls
