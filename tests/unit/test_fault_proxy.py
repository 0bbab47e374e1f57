"""The proxy that breaks, before a server that echoes."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from engine.testkit.proxy import FaultProxy


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Bound and not listening: nobody else's, and whoever connects is refused."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield int(kept.getsockname()[1])


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    between = await FaultProxy.start("127.0.0.1", server.sockets[0].getsockname()[1])
    yield between
    await between.close()
    server.close()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, within: float = 60) -> bytes:
    writer.write(b"hello")
    return await asyncio.wait_for(reader.read(5), within)


async def ended(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 60) == b""


async def test_forwards(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await say(reader, writer) == b"hello"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def test_cut_drops_and_refuses_until_restored(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await say(reader, writer)
    port = proxy.port
    await proxy.cut()
    await ended(reader)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await proxy.restore()
    assert proxy.port == port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await say(reader, writer) == b"hello"
    writer.close()


async def test_stall_accepts_and_forwards_nothing(proxy: FaultProxy) -> None:
    proxy.stall()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises(TimeoutError):
        await say(reader, writer, 0.3)
    await proxy.restore()
    assert await asyncio.wait_for(reader.read(5), 60) == b"hello"
    writer.close()


async def test_slow_delays(proxy: FaultProxy) -> None:
    proxy.slow(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    began = time.monotonic()
    assert await say(reader, writer) == b"hello"
    assert time.monotonic() - began >= 0.1
    writer.close()


async def test_target_that_is_away_ends_the_connection(deaf_port: int) -> None:
    proxy = await FaultProxy.start("127.0.0.1", deaf_port)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await ended(reader)
    writer.close()
    await proxy.close()
