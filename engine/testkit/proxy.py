"""A TCP proxy that breaks: cut, stalled, slow. Put it between two parts to see what they do then."""

import asyncio
import contextlib
import socket
from typing import Self


class FaultProxy:
    """Forwards 127.0.0.1:``port`` to a target, until told otherwise.

    ``cut`` drops all connections and refuses new ones; ``stall`` keeps and accepts connections and forwards nothing
    (a half-open link); ``slow`` delays each chunk; ``restore`` ends all of it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self._kept = socket.socket()
        """Bound and deaf: while it is cut, the port is nobody else's, and a connection is refused."""
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.port = int(self._kept.getsockname()[1])
        self.accepted = 0
        """Connections taken since the start."""

    @classmethod
    async def start(cls, host: str, port: int) -> Self:
        proxy = cls(host, port)
        await proxy._listen()
        return proxy

    async def cut(self) -> None:
        await self._stop_listening()
        await self._drop_links()

    async def restore(self) -> None:
        self._delay = 0.0
        self._flowing.set()
        if self._server is None:
            await self._listen()

    async def drop(self) -> None:
        """Break the connections there are; new ones are welcome."""
        await self._drop_links()

    def stall(self) -> None:
        self._flowing.clear()

    def slow(self, seconds: float) -> None:
        """Delay each chunk in both directions by ``seconds``."""
        self._delay = seconds

    async def close(self) -> None:
        await self.cut()
        self._kept.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_port=True)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop_links(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # taken by the loop in the moment of the cut
            writer.transport.abort()
            return
        self.accepted += 1
        task = asyncio.create_task(self._link(reader, writer), name=f"proxy-{self.port}-{self.accepted}")
        self._links.add(task)
        task.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer))
                both.create_task(self._pump(far_reader, writer))
        except (OSError, ExceptionGroup):
            pass
        finally:
            for each in writers:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            await self._flowing.wait()
            writer.write_eof()
