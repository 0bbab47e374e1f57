"""Asterisk's queues are full, says its control socket: the dialer slows down."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yaml

from engine.telephony.queues import ask
from engine.testkit.numbers import RINGS_FOR_EVER, ending
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack
from tests.acceptance.test_instant_calls import call, placed, read
from tests.unit.test_asterisk_queues import OF_22

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def full(stack: Stack) -> AsyncIterator[None]:
    """The engine asks a socket whose Asterisk always has full queues; afterwards its own again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"host/1/22.10.1\n")
            if b"core show taskprocessors" in await reader.readuntil(b"\0"):
                writer.write(OF_22.encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked did not wait for it
        finally:
            writer.close()

    path = stack.state / "engine.yaml"
    original = path.read_text(encoding="utf-8")
    settings = yaml.safe_load(original)
    assert await ask(settings["asterisk"][0]["control"]), "the stack's engine is told of the socket, and may open it"
    settings["asterisk"][0]["control"] = str(stack.state / "c.ctl")
    server = await asyncio.start_unix_server(answer, stack.state / "c.ctl")
    try:
        await restart(stack, yaml.safe_dump(settings))
        yield
    finally:
        await restart(stack, original)
        server.close()
        await server.wait_closed()


async def restart(stack: Stack, configuration: str) -> None:
    (stack.state / "engine.yaml").write_text(configuration, encoding="utf-8")
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)


@pytest.mark.usefixtures("full")
async def test_the_dialer_slows_down(stack: Stack) -> None:
    (made,) = await placed(stack, call(stack, NumberToCall=ending(RINGS_FOR_EVER)))
    request_id = (await read(stack, made["Id"]))["RequestId"]

    async def braked() -> bool:
        told = (await stack.api.get("/metrics")).body.decode().splitlines()
        return any(line.startswith("trunkline_due_braked_total ") and float(line.split()[1]) > 0 for line in told)

    await eventually(braked, within=60, what="a step down", every=0.1)
    await stack.api.hang_up(request_id)
    await stack.api.wait_ended(request_id)
