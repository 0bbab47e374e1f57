"""The control socket of a real Asterisk: its queues are read as they are, and what can't be read is no full queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.telephony import queues
from engine.telephony.queues import Queues, ask
from engine.testkit.asterisks import Asterisks, asterisks
from tests.waiting import until


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Asterisks]:
    async with asterisks("trunkline-queues") as both:
        yield both


@pytest.fixture
def control(pair: Asterisks) -> Path:
    return pair.ours.folders.run / "asterisk.ctl"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with much to do is not the Asterisk that is too busy for its console."""
    monkeypatch.setattr(queues, "DEADLINE", 60.0)


async def test_they_are_those_that_its_console_shows(pair: Asterisks, control: Path) -> None:
    shown = await pair.ours.console("core show taskprocessors")
    found = await ask(control)
    names = {queue.name for queue in found}
    assert any(name.startswith("pjsip/distributor-") for name in names)
    assert {name for name in names if name.startswith("pjsip/distributor-")} == {
        line.split()[0] for line in shown.splitlines() if line.startswith("pjsip/distributor-")
    }
    assert {queue.high for queue in found if queue.name.startswith("pjsip/distributor-")} == {500}
    assert not any(queue.full for queue in found)
    for _ in range(20):
        await ask(control)
    assert "remote unix connection" not in (pair.ours.folders.log / "messages.log").read_text().lower()


WIDTH = 10
"""Of the number in the column."""


@asynccontextmanager
async def overfull(control: Path, at: Path) -> AsyncIterator[None]:
    """The real answer, but with as many in the distributors' queues as they may have at most."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real, asking = await asyncio.open_unix_connection(str(control))
        try:
            writer.write(await real.read(1024))
            asking.write(await reader.readuntil(b"\0"))
            lines = (await real.read()).decode().splitlines(keepends=True)
            column = lines[1].index("In Queue") + len("In Queue")
            for line in lines:
                full = f"{line[: column - WIDTH]}{500:>{WIDTH}}{line[column:]}"
                writer.write((full if line.startswith("pjsip/distributor-") else line).encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked did not wait for it
        finally:
            asking.transport.abort()
            writer.close()

    server = await asyncio.start_unix_server(answer, at)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


async def test_a_full_one_is_seen_until_it_is_gone(
    control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "EVERY", 0.05)
    monkeypatch.setattr(queues, "AGAIN", 0.05)
    between = tmp_path / "asterisk.ctl"
    looking = Queues({"asterisk": between}, lambda: True)
    running = asyncio.create_task(looking.run())
    try:
        async with overfull(control, between):
            await until(looking.flooded, within=60)
            assert looking.full["asterisk"].name.startswith("pjsip/distributor-")
        between.unlink(missing_ok=True)
        await until(lambda: not looking.flooded(), within=60)
        between.symlink_to(control)
        assert not any(queue.full for queue in await ask(between))
    finally:
        running.cancel()


async def test_one_that_nobody_answers_on_does_not_hold_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "DEADLINE", 0.1)
    silent = tmp_path / "asterisk.ctl"
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_unix_server(say_nothing, silent)
    with pytest.raises(TimeoutError):
        await ask(silent)
    await asyncio.wait_for(gone.wait(), 60)
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError, match="No such file"):
        await ask(tmp_path / "nowhere" / "asterisk.ctl")
