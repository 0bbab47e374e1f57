"""Runs a whole stack whose engine is a stand-in: what `trunkline run` does, before and without a real engine.

As a program: ``embedded_driver.py stack`` (TRUNKLINE_STATE names the folder), ``embedded_driver.py engine <yaml>``.
STAND_IN=exits ends the stand-in at once; STAND_IN=lingers lets it end at the second SIGTERM alone.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.embedded import environment, runner, stack
from engine.embedded.progress import say
from engine.errors import TrunklineError


def run_stack() -> int:
    try:
        plan = stack.prepare(environment.read(), say)
        engine = (sys.executable, str(Path(__file__).absolute()), "engine", str(plan.state.engine_yaml))
        return asyncio.run(runner.run(stack.Stack(plan, engine=engine), runner.announce))
    except TrunklineError as error:
        say(str(error))
        return 1


async def run_engine(http: Mapping[str, Any], state: Path) -> None:
    if os.environ.get("STAND_IN") == "exits":
        say("the stand-in does not want to")
        sys.exit(3)
    signals = asyncio.Queue[None]()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signals.put_nowait, None)
    server = await asyncio.start_server(_answer, http["host"], http["port"])
    async with server:
        await signals.get()
        (state / "draining").touch()
        if os.environ.get("STAND_IN") == "lingers":
            await signals.get()
            (state / "hastened").touch()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


if __name__ == "__main__":
    if sys.argv[1] == "engine":
        settings = Path(sys.argv[2])
        asyncio.run(run_engine(yaml.safe_load(settings.read_text())["http"], settings.parent))
    else:
        sys.exit(run_stack())
