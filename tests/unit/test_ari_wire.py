"""The connections to Asterisk's web server, against a server that misbehaves by script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from engine.errors import LinkDown
from engine.telephony.ari.wire import Connections

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Reads requests and lets ``script`` answer each."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.script: Script = ok
        self.asked = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ari"

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                self.asked.set()
                await self.script(self.requests[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


async def ok(request: bytes, writer: asyncio.StreamWriter) -> None:
    path = request.split(b" ", 2)[1]
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


async def never(_: bytes, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def saying(*parts: bytes, then_close: bool = False) -> Script:
    """Answers with these parts, each a packet of its own."""

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_close:
            writer.close()

    return script


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def connections(server: Server) -> AsyncIterator[Connections]:
    pool = Connections(await server.start(), "Authorization: Basic eA==\r\n", limit=3)
    yield pool
    pool.close()


async def test_what_is_sent(server: Server, connections: Connections) -> None:
    await connections.request("GET", "/a?b=c")
    await connections.request("POST", "/d", b"{}")
    await connections.request("DELETE", "/e")
    get, post, delete = server.requests
    assert get.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Basic eA==\r\n" in get
    assert post.endswith(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    assert delete.endswith(b"Content-Length: 0\r\n\r\n")
    assert server.connections == 1


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",), 200, b"abcd"),
        ((b"HTTP/1.1 20", b"0 OK\r\ncontent-LENGTH:4\r\n\r", b"\nab", b"cd"), 200, b"abcd"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",), 404, b"{}"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r", b"\n0\r\n\r\n"),
            200,
            b"abcd",
        ),
    ],
)
async def test_answers(
    server: Server, connections: Connections, parts: tuple[bytes, ...], status: int, body: bytes
) -> None:
    server.script = saying(*parts)
    for _ in range(2):
        answer = await connections.request("GET", "/")
        assert (answer.status, answer.body) == (status, body)
    assert server.connections == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70_000,
    ],
)
async def test_nonsense_is_link_down_and_costs_its_connection_alone(
    server: Server, connections: Connections, nonsense: bytes
) -> None:
    server.script = saying(nonsense)
    with pytest.raises(LinkDown):
        await connections.request("GET", "/")
    server.script = ok
    assert (await connections.request("GET", "/x")).body == b"/x"
    assert server.connections == 2


async def test_answer_cut_off_is_link_down_and_nothing_is_sent_twice(server: Server, connections: Connections) -> None:
    server.script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", then_close=True)
    with pytest.raises(LinkDown):
        await connections.request("POST", "/once")
    assert len(server.requests) == 1


async def test_connection_that_the_server_closed_is_not_used_again(server: Server, connections: Connections) -> None:
    server.script = saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", then_close=True)
    for _ in range(3):
        await connections.request("GET", "/")
    server.script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then_close=True)
    for _ in range(3):
        await connections.request("GET", "/")
        async with asyncio.timeout(2):
            while connections._idle[-1].usable:
                await asyncio.sleep(0)
    assert server.connections == 6


async def test_words_that_nobody_asked_for_are_no_answer(server: Server, connections: Connections) -> None:
    extra = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    server.script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + extra)
    for _ in range(3):
        assert (await connections.request("GET", "/")).status == 200
    assert server.connections == 3


async def test_limit_holds_and_all_are_served_in_order(server: Server, connections: Connections) -> None:
    answers = await asyncio.gather(*(connections.request("GET", f"/{n}") for n in range(50)))
    assert [answer.body for answer in answers] == [b"/%d" % n for n in range(50)]
    assert server.connections == 3
    order = [int(request.split(b" ")[1][1:]) for request in server.requests]
    assert all(abs(place - n) <= 3 for place, n in enumerate(order))


async def test_cancelled_requests_give_their_place_back(server: Server, connections: Connections) -> None:
    server.script = never
    stuck = [asyncio.create_task(connections.request("GET", "/stuck")) for _ in range(5)]
    while len(server.requests) < 3:
        server.asked.clear()
        await server.asked.wait()
    for task in (stuck[4], stuck[0], stuck[1], stuck[2]):
        task.cancel()
    server.script = ok
    answer = await asyncio.wait_for(connections.request("GET", "/after"), 2)
    assert answer.body == b"/after"
    assert (await asyncio.wait_for(stuck[3], 2)).status == 200
    ends = await asyncio.gather(*stuck, return_exceptions=True)
    assert sum(isinstance(end, asyncio.CancelledError) for end in ends) == 4
    assert (await asyncio.gather(*(connections.request("GET", "/") for _ in range(9))))[8].status == 200


async def test_close_fails_what_waits_and_what_is_under_way(server: Server, connections: Connections) -> None:
    server.script = never
    tasks = [asyncio.create_task(connections.request("GET", "/")) for _ in range(6)]
    await server.asked.wait()
    connections.close()
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)
    assert {type(end) for end in ends} == {LinkDown}
    with pytest.raises(LinkDown):
        await connections.request("GET", "/")


async def test_nobody_there(unused_tcp_port: int) -> None:
    pool = Connections(f"http://127.0.0.1:{unused_tcp_port}", "", limit=1)
    for _ in range(3):
        with pytest.raises(LinkDown):
            await pool.request("GET", "/")
    pool.close()


def test_on_the_loop_that_the_engine_runs_on() -> None:
    async def exchange() -> None:
        server = Server()
        pool = Connections(await server.start(), "", limit=2)
        answers = await asyncio.gather(*(pool.request("GET", f"/{n}") for n in range(9)))
        assert [answer.body for answer in answers] == [b"/%d" % n for n in range(9)]
        server.script = never
        stuck = asyncio.create_task(pool.request("GET", "/stuck"))
        await asyncio.sleep(0)
        pool.close()
        with pytest.raises(LinkDown):
            await stuck
        await server.stop()

    uvloop.run(asyncio.wait_for(exchange(), 5))
