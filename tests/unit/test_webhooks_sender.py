"""Speaking to servers that somebody else named: where a request goes, what it brings back, when it gives up."""

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from engine.errors import AddressRefused, FetchFailed
from engine.webhooks import sender as module
from engine.webhooks.addresses import networks
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from engine.webhooks.urls import parse

LOOPBACK = networks(["127.0.0.0/8"])


class Names:
    """A name server: each question takes the next of the answers, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = []

    async def __call__(self, host, port):
        self.questions.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Receiver:
    """An HTTP server on several loopback addresses with one port; keeps what came, and where."""

    def __init__(self):
        self.got = []
        self.answer = lambda _request: web.Response(status=204)

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        first = web.TCPSite(self.runner, "127.0.0.1", 0)
        await first.start()
        self.port = self.runner.addresses[0][1]
        await web.TCPSite(self.runner, "127.0.0.2", self.port).start()

    async def _handle(self, request):
        here = request.transport.get_extra_info("sockname")[0]
        self.got.append((here, request.method, request.path_qs, dict(request.headers), await request.read()))
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.runner.cleanup()


def sender(*answers, allow=LOOPBACK):
    names = Names(*(answers or (["127.0.0.1"],)))
    return Sender(Guard(allow, names)), names


async def post(receiver, *answers, path="/hook", allow=LOOPBACK, **headers):
    made, _ = sender(*answers, allow=allow)
    async with made:
        return await made.post(f"http://hooks.example:{receiver.port}{path}", b"{}", headers)


async def test_a_post_arrives_with_its_host_and_headers(receiver):
    outcome = await post(receiver, path="/a?b=c", **{"webhook-id": "m1"})
    assert outcome.delivered
    assert outcome.status == 204
    _, method, path, headers, body = receiver.got[0]
    assert (method, path, body) == ("POST", "/a?b=c", b"{}")
    assert headers["Host"] == f"hooks.example:{receiver.port}"
    assert headers["webhook-id"] == "m1"
    assert "Cookie" not in headers


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"])
async def test_a_name_that_leads_inside_is_refused(receiver, address):
    outcome = await post(receiver, [address], allow=())
    assert outcome.status is None
    assert "no public address" in outcome.error
    assert receiver.got == []


async def test_of_several_addresses_only_permitted_ones_are_used(receiver):
    outcome = await post(receiver, ["10.0.0.1", "127.0.0.2"], allow=networks(["127.0.0.2/32"]))
    assert outcome.delivered
    assert receiver.got[0][0] == "127.0.0.2"


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to(receiver):
    """Rebinding: the name server's second answer is never asked for, and a later one is judged like the first."""
    made, names = sender(["127.0.0.1"], ["127.0.0.2"], allow=networks(["127.0.0.1/32"]))
    async with made:
        await made.guard.check(parse(f"http://hooks.example:{receiver.port}/"))
        names.answers = [["127.0.0.1"], ["127.0.0.2"]]
        names.questions.clear()
        assert (await made.post(f"http://hooks.example:{receiver.port}/", b"", {"Connection": "close"})).delivered
        assert len(names.questions) == 1
        assert [got[0] for got in receiver.got] == ["127.0.0.1"]
        again = await made.post(f"http://hooks.example:{receiver.port}/", b"", {})
    assert not again.delivered
    assert "no public address" in again.error
    assert len(receiver.got) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "[64:ff9b::7f00:1]"])
async def test_an_address_in_the_url_is_refused_without_a_connection(receiver, host):
    made, names = sender(allow=())
    async with made:
        outcome = await made.post(f"http://{host}:{receiver.port}/", b"", {})
    assert "no public address" in outcome.error
    assert names.questions == []
    assert receiver.got == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver, status):
    target = f"http://127.0.0.2:{receiver.port}/inside"
    receiver.answer = lambda _: web.Response(status=status, headers={"Location": target})
    outcome = await post(receiver)
    assert (outcome.status, outcome.delivered) == (status, False)
    assert "redirects are not followed" in outcome.error
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_other_answers_are_failures(receiver, status):
    receiver.answer = lambda _: web.Response(status=status, text="secrets of somebody's server")
    outcome = await post(receiver)
    assert (outcome.status, outcome.error) == (status, f"answered {status}")


async def test_an_answer_without_end_is_cut_off(receiver):
    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(10_000):
            await answer.write(b"x" * 1024)
        return answer

    receiver.answer = endless
    async with asyncio.timeout(60):
        assert (await post(receiver)).delivered


async def test_a_slow_answer_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(module, "TOTAL", 0.2)
    gone = asyncio.Event()
    receiver.answer = lambda _: gone.wait()
    outcome = await post(receiver)
    gone.set()
    assert outcome.error == "took too long"


async def test_who_does_not_accept_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_WITHIN", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        made, _ = sender()
        async with made:
            outcome = await made.post(f"http://hooks.example:{full.getsockname()[1]}/", b"", {})
        for each in waiting:
            each.close()
    assert not outcome.delivered
    assert outcome.error.startswith("no connection within")


async def test_what_goes_wrong_is_told_by_class(receiver):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        made, names = sender()
        async with made:
            url = f"http://hooks.example:{unused.getsockname()[1]}/"
            assert (await made.post(url, b"", {})).error == "can't be connected to"
            tls = await made.post(f"https://hooks.example:{receiver.port}/", b"", {})
            assert tls.error in ("TLS failed", "closed the connection")
            names.answers = [OSError("no such name")]
            assert (await made.post("http://nobody.example/", b"", {})).error == "its name is not known"
            assert "http" in (await made.post("ftp://hooks.example/", b"", {})).error


async def test_a_server_that_speaks_nonsense():
    async def nonsense(reader, writer):
        await reader.read(100)
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    made, _ = sender()
    async with made, server:
        outcome = await made.post(f"http://hooks.example:{server.sockets[0].getsockname()[1]}/", b"", {})
    assert outcome.error == "did not answer in HTTP"
    assert outcome.status is None


async def test_a_name_server_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("engine.webhooks.resolve.WITHIN", 0.1)

    async def hang(_host, _port):
        await asyncio.Event().wait()

    async with Sender(Guard(LOOPBACK, hang)) as made:
        assert not (await made.post("http://hooks.example/", b"", {})).delivered


async def test_connections_that_begin_together_ask_for_the_name_once(receiver):
    asked = asyncio.Event()
    questions = []

    async def slow(host, _port):
        questions.append(host)
        await asked.wait()
        return ["127.0.0.1"]

    async with Sender(Guard(LOOPBACK, slow)) as made:
        posts = [asyncio.create_task(made.post(f"http://hooks.example:{receiver.port}/", b"", {})) for _ in range(5)]
        while not questions:
            await asyncio.sleep(0)
        asked.set()
        assert all(outcome.delivered for outcome in await asyncio.gather(*posts))
    assert questions == ["hooks.example"]


# -- what is checked when a URL is given to us -------------------------------------------------------------------


@pytest.mark.parametrize("answer", [["10.0.0.1"], ["127.0.0.1", "::1"], ["169.254.169.254"]])
async def test_a_name_that_leads_inside_now_is_refused_at_once(answer):
    with pytest.raises(AddressRefused):
        await Guard((), Names(answer)).check(parse("https://inside.example/"))


async def test_a_name_that_nobody_knows_yet_is_no_reason_to_refuse():
    await Guard((), Names(OSError())).check(parse("https://soon.example/"))


@pytest.mark.parametrize("host", ["metadata.google.internal", "localhost", "db.local"])
async def test_names_inside_a_network_are_refused_although_unknown(host):
    with pytest.raises(AddressRefused):
        await Guard((), Names(OSError())).check(parse(f"http://{host}/"))


async def test_the_systems_resolver_knows_localhost(receiver):
    async with Sender(Guard(LOOPBACK)) as made:
        assert (await made.post(f"http://localhost:{receiver.port}/", b"", {})).delivered
    async with Sender(Guard(())) as made:
        assert not (await made.post(f"http://localhost:{receiver.port}/", b"", {})).delivered


# -- fetching ----------------------------------------------------------------------------------------------------


async def fetch(receiver, *, max_bytes=1000, types=("audio/",), path="/a.wav"):
    """At once and in pieces: both give the same, or are refused for the same reason."""
    made, _ = sender()
    asked = {"url": f"http://media.example:{receiver.port}{path}", "max_bytes": max_bytes, "types": types}
    async with made:
        try:
            found = await made.fetch(**asked)
        except FetchFailed as refusal:
            with pytest.raises(FetchFailed, match=re.escape(str(refusal))):
                [piece async for piece in made.pieces(**asked)]
            raise
        assert b"".join([piece async for piece in made.pieces(**asked)]) == found.body
        return found


def audio(body, **headers):
    return lambda _: web.Response(body=body, headers={"Content-Type": "audio/wav; rate=8000", **headers})


async def test_a_file_is_fetched(receiver):
    receiver.answer = audio(b"RIFF" * 10)
    found = await fetch(receiver)
    assert (found.body, found.content_type) == (b"RIFF" * 10, "audio/wav")
    assert receiver.got[0][3]["Accept-Encoding"] == "identity"


async def test_a_file_of_another_type_is_refused(receiver):
    receiver.answer = lambda _: web.Response(text="<html>")
    with pytest.raises(FetchFailed, match="of type text/plain"):
        await fetch(receiver)
    assert (await fetch(receiver, types=("text/plain",))).body == b"<html>"
    assert (await fetch(receiver, types=())).body == b"<html>"


async def test_a_large_file_is_refused_by_its_announced_size(receiver):
    receiver.answer = audio(b"x" * 1001)
    with pytest.raises(FetchFailed, match="over 1000 bytes"):
        await fetch(receiver)


async def test_a_large_file_is_refused_although_it_announced_nothing(receiver):
    async def stream(request):
        answer = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        await answer.prepare(request)
        for _ in range(1000):
            await answer.write(b"x" * 1024)
        return answer

    receiver.answer = stream
    with pytest.raises(FetchFailed, match="over 1000 bytes"):
        await fetch(receiver)


async def test_nothing_is_decompressed(receiver):
    receiver.answer = audio(gzip.compress(b"\0" * 10_000_000), **{"Content-Encoding": "gzip"})
    with pytest.raises(FetchFailed, match="compressed"):
        await fetch(receiver, max_bytes=1 << 20)


@pytest.mark.parametrize("status", [302, 404, 204, 206, 500])
async def test_a_file_comes_with_status_200_or_not_at_all(receiver, status):
    receiver.answer = lambda _: web.Response(status=status, headers={"Location": "/b.wav"} if status == 302 else {})
    with pytest.raises(FetchFailed, match=str(status)):
        await fetch(receiver)
    assert len(receiver.got) == 2


async def test_a_file_inside_is_refused():
    async with Sender(Guard((), Names(["10.0.0.1"]))) as made:
        with pytest.raises(FetchFailed, match="no public address"):
            await made.fetch("http://media.example/a.wav", max_bytes=10)
        with pytest.raises(FetchFailed, match="user name"):
            await made.fetch("http://a:b@media.example/a.wav", max_bytes=10)
