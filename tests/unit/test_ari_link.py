"""Parts of the ARI link that need no Asterisk."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.errors import Clash, Gone, LinkDown, Refused, RequestTimedOut, TelephonyError
from engine.telephony.ari.http import AriHttp, refusal
from engine.telephony.ari.link import is_secure
from engine.telephony.backoff import Backoff


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
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_get("/never", never)
    async with TestServer(application) as server:
        http = AriHttp("u", "p", timeout=10, heartbeat=1)
        waiting = [asyncio.create_task(http.request("GET", str(server.make_url("/never")))) for _ in range(30)]
        await asyncio.sleep(0.1)
        await http.close()
        ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
        assert {type(end) for end in ends} == {LinkDown}
        with pytest.raises(LinkDown):
            await http.request("GET", str(server.make_url("/never")))


async def test_nobody_there_is_link_down(unused_tcp_port: int) -> None:
    http = AriHttp("u", "p", timeout=1, heartbeat=1)
    with pytest.raises(LinkDown):
        await http.request("GET", f"http://127.0.0.1:{unused_tcp_port}/")
    with pytest.raises(LinkDown):
        await http.ws_connect(f"http://127.0.0.1:{unused_tcp_port}/")
    await http.close()


async def test_credentials_go_in_a_header_and_not_to_another_host() -> None:
    seen: list[web.Request] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_get("/{path:.*}", redirect)
    async with TestServer(application) as server:
        http = AriHttp("user", "p&w=?#%+ x", timeout=1, heartbeat=1)
        with pytest.raises(Refused):
            await http.request("GET", str(server.make_url("/x")))
        await http.close()
    (request,) = seen
    assert request.query_string == ""
    assert request.headers["Authorization"] == "Basic dXNlcjpwJnc9PyMlKyB4"
