"""Parts of the ARI link that need no Asterisk."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.errors import Clash, Gone, LinkDown, Refused, RequestTimedOut, TelephonyError
from engine.telephony.ari.http import CONNECTIONS, AriHttp, refusal
from engine.telephony.ari.link import is_secure
from engine.telephony.ari.rest import SOCKETS, TURNS, RestSockets, has_rest
from engine.telephony.backoff import Backoff
from tests.waiting import until


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, Gone), (409, Clash), (412, Clash), (422, Clash), (400, Refused), (401, Refused), (500, Refused), (503, Refused)],
)  # fmt: skip
def test_each_status_has_its_error(status: int, kind: type[TelephonyError]) -> None:
    error = refusal(status, b'{"message":"x"}')
    assert type(error) is kind
    if isinstance(error, Refused):
        assert error.status == status


@pytest.mark.parametrize(
    ("version", "secure"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", True),
        ("22.10.0", False),
        ("22.9.3", False),
        ("20.20.1", True),
        ("20.5.0~dfsg", False),
        ("21.3.0", False),
        ("18.1", False),
        ("23.0.0", True),
        ("GIT-master-abcdef", True),
    ],
)
def test_security_floor(version: str, *, secure: bool) -> None:
    assert is_secure(version) is secure


def test_backoff_grows_to_its_cap_with_jitter() -> None:
    backoff = Backoff(0.1, 5.0)
    for ceiling in (0.1, 0.15, 0.225, 0.3375):
        assert ceiling / 2 <= backoff.next() <= ceiling
    backoff.reset()
    assert backoff.next() <= 0.1
    for _ in range(10_000):
        assert backoff.next() <= 5.0
    assert len({backoff.next() for _ in range(10)}) > 1


async def test_request_without_answer_ends_at_its_deadline(tmp_path: Path) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_get("/never", never)
    async with TestServer(application) as server:
        http = AriHttp("u", "p", timeout=0.1, heartbeat=1)
        with pytest.raises(RequestTimedOut):
            await http.request("GET", str(server.make_url("/never")))
        with pytest.raises(RequestTimedOut):
            await http.download(str(server.make_url("/never")), tmp_path / "x")
        await http.close()


async def test_close_fails_what_is_under_way() -> None:
    asked = []

    async def never(request: web.Request) -> web.Response:
        asked.append(request)
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_get("/never", never)
    async with TestServer(application) as server:
        http = AriHttp("u", "p", timeout=60, heartbeat=60)
        waiting = [asyncio.create_task(http.request("GET", str(server.make_url("/never")))) for _ in range(30)]
        await until(lambda: len(asked) == CONNECTIONS)
        await http.close()
        ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
        assert {type(end) for end in ends} == {LinkDown}
        with pytest.raises(LinkDown):
            await http.request("GET", str(server.make_url("/never")))


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Bound and not listening: nobody else's, and whoever connects is refused."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield int(kept.getsockname()[1])


async def test_nobody_there_is_link_down(deaf_port: int) -> None:
    http = AriHttp("u", "p", timeout=60, heartbeat=60)
    with pytest.raises(LinkDown):
        await http.request("GET", f"http://127.0.0.1:{deaf_port}/")
    with pytest.raises(LinkDown):
        await http.ws_connect(f"http://127.0.0.1:{deaf_port}/")
    await http.close()


async def test_credentials_go_in_a_header_and_not_to_another_host() -> None:
    seen: list[web.Request] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_get("/{path:.*}", redirect)
    async with TestServer(application) as server:
        http = AriHttp("user", "p&w=?#%+ x", timeout=60, heartbeat=60)
        with pytest.raises(Refused):
            await http.request("GET", str(server.make_url("/x")))
        await http.close()
    (request,) = seen
    assert request.query_string == ""
    assert request.headers["Authorization"] == "Basic dXNlcjpwJnc9PyMlKyB4"


@pytest.mark.parametrize(
    ("version", "has"),
    [("22.10.1+dfsg", True), ("22.3.0", False), ("20.14.0", True), ("20.13.1", False), ("21.9.0", False),
     ("23.0.0", True), ("18.1", False), ("GIT-master-abcdef", False)],
)  # fmt: skip
def test_who_takes_requests_on_websockets(version: str, *, has: bool) -> None:
    assert has_rest(version) is has


class Asterisk:
    """Answers what ``said`` has for a URI, never what it has not, and leaves at ``/leave``."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            asked = json.loads(message.data)
            self.asked.append(asked)
            if asked["uri"] == "leave":
                await socket.close()
            elif asked["uri"] in self.said:
                await socket.send_json({"type": "RESTResponse", "request_id": "of nobody", "status_code": 200})
                answer = {"type": "RESTResponse", "request_id": asked["request_id"], **self.said[asked["uri"]]}
                await socket.send_json(answer)
        return socket


@pytest.fixture
async def asterisk() -> Asterisk:
    return Asterisk()


@pytest.fixture
async def rest(request: pytest.FixtureRequest, asterisk: Asterisk) -> AsyncIterator[RestSockets]:
    application = web.Application()
    application.router.add_get("/events", asterisk.serve)
    async with TestServer(application) as server:
        http, sockets = AriHttp("u", "p", timeout=60, heartbeat=60), RestSockets(getattr(request, "param", 60.0))
        await sockets.open(http, str(server.make_url("/events")), "app")
        yield sockets
        await sockets.close()
        await http.close()


async def test_a_request_on_a_websocket_has_its_own_answer(asterisk: Asterisk, rest: RestSockets) -> None:
    asterisk.said = {f"{n}": {"status_code": 200, "message_body": f'{{"n": {n}}}'} for n in range(3 * TURNS)}
    answers = await asyncio.gather(*(rest.request("POST", uri, {"a": 1}) for uri in asterisk.said))
    assert [answer.json() for answer in answers] == [{"n": n} for n in range(3 * TURNS)]
    assert asterisk.asked[0]["message_body"] == '{"a": 1}'
    asterisk.said["nothing"] = {"status_code": 204}
    assert (await rest.request("DELETE", "nothing", None)).json() is None
    asterisk.said["gone"] = {"status_code": 404, "message_body": '{"message": "Channel not found"}'}
    with pytest.raises(Gone):
        await rest.request("POST", "gone", None)


@pytest.mark.parametrize("rest", [0.1], indirect=True)
async def test_a_request_on_a_websocket_has_a_deadline(rest: RestSockets) -> None:
    with pytest.raises(RequestTimedOut):
        await rest.request("GET", "x", None)


@pytest.mark.parametrize("rest", [2.0], indirect=True)
async def test_a_websocket_that_left_a_request_without_an_answer_is_asked_nothing_more(
    asterisk: Asterisk, rest: RestSockets
) -> None:
    """Asterisk does one after the other on it. When none is left, the link is to be made anew."""
    asterisk.said["y"] = {"status_code": 204}
    for _ in range(SOCKETS - 1):
        with pytest.raises(RequestTimedOut):
            await rest.request("GET", "x", None)
    await asyncio.gather(*(rest.request("GET", "y", None) for _ in range(3 * TURNS)))
    assert not rest.broken.is_set()
    with pytest.raises(RequestTimedOut):
        await rest.request("GET", "x", None)
    assert rest.broken.is_set()


async def test_a_websocket_that_ends_takes_all_with_it(rest: RestSockets) -> None:
    ends = await asyncio.gather(*(rest.request("GET", "leave", None) for _ in range(TURNS)), return_exceptions=True)
    assert {type(end) for end in ends} == {LinkDown}
    assert rest.broken.is_set()
    with pytest.raises(LinkDown):
        await rest.request("GET", "x", None)
