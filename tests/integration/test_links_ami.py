"""The manager link against a real Asterisk behind a proxy that breaks, and against a server that never answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from engine.config import AsteriskServer
from engine.errors import LinkDown, Refused, RequestTimedOut, UnsafeValue
from engine.telephony.ami.link import AmiLink
from engine.telephony.manager import ManagerEvent, ManagerLost, ManagerUp, UserEvent
from engine.testkit.asterisks import Asterisks, asterisks
from engine.testkit.proxy import FaultProxy

HEARTBEAT = 2.0
"""Seconds, where a lost sign of life is the test; elsewhere a machine that is slow for a while costs no link."""
Connect = Callable[..., Awaitable[AmiLink]]


class Told:
    """The listener: keeps all, wakes who waits."""

    def __init__(self) -> None:
        self.events: list[ManagerEvent] = []
        self._more = asyncio.Event()

    def __call__(self, event: ManagerEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def wait(self, kind: type[ManagerEvent], *, number: int = 1, seconds: float = 60) -> ManagerEvent:
        async with asyncio.timeout(seconds):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < number:
                self._more.clear()
                await self._more.wait()
        return found[number - 1]


class DeafServer:
    """Takes a login, answers pings, counts all other actions and never answers them."""

    def __init__(self) -> None:
        self.actions: list[dict[str, str]] = []
        self.taken = asyncio.Event()
        self.pongs = True
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        try:
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
                if headers["Action"] == "Login" or (headers["Action"] == "Ping" and self.pongs):
                    writer.write(f"Response: Success\r\nActionID: {headers['ActionID']}\r\n\r\n".encode())
                elif headers["Action"] != "Ping":
                    self.actions.append(headers)
                    self.taken.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Asterisks]:
    async with asterisks("trunkline-ami") as both:
        yield both


@pytest.fixture
async def proxy(pair: Asterisks) -> AsyncIterator[FaultProxy]:
    between = await FaultProxy.start("127.0.0.1", int(pair.server.ami.rpartition(":")[2]))
    yield between
    await between.close()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def link(pair: Asterisks, proxy: FaultProxy, told: Told) -> AsyncIterator[AmiLink]:
    server = pair.server.model_copy(update={"ami": f"127.0.0.1:{proxy.port}", "request_timeout": 60.0})
    ami = AmiLink(server, told)
    await ami.start()
    await told.wait(ManagerUp)
    yield ami
    await ami.stop()


@pytest.fixture
async def watchful(pair: Asterisks, proxy: FaultProxy, told: Told) -> AsyncIterator[AmiLink]:
    server = pair.server.model_copy(update={"ami": f"127.0.0.1:{proxy.port}", "request_timeout": 60.0})
    ami = AmiLink(server, told, heartbeat=HEARTBEAT)
    await ami.start()
    await told.wait(ManagerUp)
    yield ami
    await ami.stop()


@pytest.fixture
async def deaf() -> AsyncIterator[DeafServer]:
    server = DeafServer()
    yield server
    await server.stop()


@pytest.fixture
async def connect(deaf: DeafServer, told: Told) -> AsyncIterator[Connect]:
    """Links to the deaf server, stopped at the end."""
    links: list[AmiLink] = []

    async def made(timeout: float, **settings: float) -> AmiLink:
        server = AsteriskServer(
            ami=f"127.0.0.1:{await deaf.start()}",
            ari_password=SecretStr("x"),
            ami_secret=SecretStr("x"),
            request_timeout=timeout,
        )
        link = AmiLink(server, told, **settings)
        links.append(link)
        await link.start()
        await told.wait(ManagerUp)
        return link

    yield made
    for link in links:
        await link.stop()


async def test_user_event_there_and_back(link: AmiLink, told: Told) -> None:
    await link.user_event("Trunkline", {"Command": "hangup", "Request": "57362de4f0"})
    event = await told.wait(UserEvent)
    assert isinstance(event, UserEvent)
    assert event.name == "Trunkline"
    assert event.fields == {"command": "hangup", "request": "57362de4f0"}


async def test_list_answer_is_whole(link: AmiLink) -> None:
    answer = await link.action("CoreShowChannels")
    assert answer[0]["response"] == "Success"
    assert answer[-1]["event"] == "CoreShowChannelsComplete"


async def test_what_asterisk_refuses(link: AmiLink) -> None:
    with pytest.raises(Refused):
        await link.action("Nonsense")


@pytest.mark.parametrize(
    "fields", [{"Caller": "1\r\nAction: Originate"}, {"Caller": "1\nX: y"}, {"X\r\nY": "z"}, {"ActionID": "mine"}]
)
async def test_hostile_header_never_leaves(link: AmiLink, told: Told, fields: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue):
        await link.user_event("Trunkline", fields)
    await link.user_event("After")
    assert isinstance(event := await told.wait(UserEvent), UserEvent)
    assert event.name == "After"


async def test_cut_is_told_and_mended(proxy: FaultProxy, link: AmiLink, told: Told) -> None:
    await proxy.cut()
    await told.wait(ManagerLost)
    assert not link.up
    with pytest.raises(LinkDown):
        await link.action("Ping")
    await proxy.restore()
    await told.wait(ManagerUp, number=2)
    assert (await link.action("Ping"))[0]["ping"] == "Pong"


async def test_half_open_link_is_noticed(proxy: FaultProxy, watchful: AmiLink, told: Told) -> None:
    proxy.stall()
    await told.wait(ManagerLost)
    await proxy.restore()
    await told.wait(ManagerUp, number=2)
    assert watchful.up


async def test_cut_action_is_not_sent_again(deaf: DeafServer, connect: Connect, told: Told) -> None:
    link = await connect(60.0)
    action = asyncio.create_task(link.action("Originate", {"Channel": "PJSIP/101"}))
    await asyncio.wait_for(deaf.taken.wait(), 60)
    deaf.cut()
    with pytest.raises(LinkDown):
        await asyncio.wait_for(action, 60)
    await told.wait(ManagerUp, number=2)
    deaf.taken.clear()
    after = asyncio.create_task(link.action("CoreStatus"))
    await asyncio.wait_for(deaf.taken.wait(), 60)
    assert [each["Action"] for each in deaf.actions] == ["Originate", "CoreStatus"]
    after.cancel()


async def test_action_has_a_deadline(deaf: DeafServer, connect: Connect, told: Told) -> None:
    link = await connect(0.1)
    with pytest.raises(RequestTimedOut):
        await link.action("Originate", {"Channel": "PJSIP/101"})
    assert link.up
    assert len(deaf.actions) == 1


async def test_server_that_stops_answering_pings_is_left(deaf: DeafServer, connect: Connect, told: Told) -> None:
    link = await connect(60.0, heartbeat=HEARTBEAT)
    deaf.pongs = False
    await told.wait(ManagerLost)
    deaf.pongs = True
    await told.wait(ManagerUp, number=2)
    assert link.up


async def test_wrong_secret_never_comes_up_and_stops_cleanly(pair: Asterisks, told: Told) -> None:
    link = AmiLink(pair.server.model_copy(update={"ami_secret": SecretStr("wrong")}), told)
    await link.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(link.wait_up(), 0.5)
    await link.stop()
    assert told.events == []
