"""The FastAGI door without an Asterisk: what strangers send, what Asterisk says, and what becomes of each."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import FastAgi
from engine.errors import ConfigError, Gone
from engine.telephony.agi.line import AgiLine, Reply
from engine.telephony.agi.line import parse as parse_reply
from engine.telephony.agi.request import MOST_LINES, AgiRequest, BadRequest, parse, read_request
from engine.telephony.agi.server import AgiServer

HEAD = [
    b"agi_network: yes",
    b"agi_network_script: menu?name=welcome&x=%20y",
    b"agi_channel: PJSIP/101-00000001",
    b"agi_uniqueid: 1795318125.0",
    b"agi_callerid: 101",
    b"agi_extension: *2441",
    b"agi_context: doors",
    b"agi_arg_1: dialed=102",
    b"agi_arg_2: plain",
]
BLOCK = b"\n".join(HEAD) + b"\n\n"


# -- the request -------------------------------------------------------------------------------------------------------


def test_a_request_is_read() -> None:
    request = parse(HEAD)
    assert (request.flow, request.channel_id, request.caller) == ("menu", "1795318125.0", "101")
    assert request.params == {"name": "welcome", "x": " y", "dialed": "102", "arg_2": "plain"}
    assert (request.channel, request.exten) == ("PJSIP/101-00000001", "*2441")


@pytest.mark.parametrize(
    ("script", "flow"),
    [(b"dial", "dial"), (b"/dial/", "dial"), (b"../../etc", ""), (b"", ""), (b"Dial", ""), (b"a" * 65, ""), (b"%64ial", "dial")],
)  # fmt: skip
def test_the_flow_is_the_path_of_the_url(script: bytes, flow: str) -> None:
    assert parse([*HEAD, b"agi_network_script: " + script]).flow == flow


@pytest.mark.parametrize(
    "lines",
    [
        [b"GET / HTTP/1.1"],
        [b"agi_network: yes"],
        [*HEAD, b"agi_uniqueid: 1;2"],
        [*HEAD, b"agi_channel: "],
        [*HEAD, b"\xff\xfe\x00"],
        [*HEAD, b"agi_network_script: x?" + b"&".join(b"a%d=1" % n for n in range(40))],
    ],
)
def test_what_is_no_request(lines: list[bytes]) -> None:
    with pytest.raises(BadRequest):
        parse(lines)


def test_parameters_that_could_do_harm_are_left_out() -> None:
    query = b"agi_network_script: dial?ok=1&Bad=1&b%0a=2&line=a%0ab&long=" + b"x" * 300 + b"&nul=%00"
    assert parse([*HEAD[2:7], query]).params == {"ok": "1"}


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_whatever_comes_is_a_request_or_none(lines: list[bytes]) -> None:
    with contextlib.suppress(BadRequest):
        parse(lines)


@given(st.binary(max_size=2000))
async def test_whatever_bytes_come_end_in_time(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=8192)
    reader.feed_data(data)
    reader.feed_eof()
    with contextlib.suppress(BadRequest):
        await read_request(reader)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "cut off"),
        (b"agi_network: yes\n", "cut off"),
        (b"GET / HTTP/1.1\r\n", "not AGI"),
        (b"agi_x: " + b"y" * 5000 + b"\n", "a line is too long"),
        (b"agi_x: " + b"y" * 50_000, "a line is too long"),
        (b"agi_x: y\n" * (MOST_LINES + 1), "too many lines"),
    ],
)
async def test_what_is_cut_off_or_too_much(sent: bytes, why: str) -> None:
    reader = asyncio.StreamReader(limit=8192)
    reader.feed_data(sent)
    reader.feed_eof()
    with pytest.raises(BadRequest, match=why):
        await read_request(reader)


async def test_who_says_nothing_is_not_waited_for() -> None:
    with pytest.raises(BadRequest, match="too slow"):
        await read_request(asyncio.StreamReader(), first_within=0.01)
    dripping = asyncio.StreamReader()
    dripping.feed_data(b"agi_network: yes\n")
    with pytest.raises(BadRequest, match="too slow"):
        await read_request(dripping, all_within=0.01)


# -- replies -----------------------------------------------------------------------------------------------------------


def test_replies() -> None:
    assert parse_reply("200 result=0") == Reply()
    assert parse_reply("200 result=53 endpos=10880") == Reply(200, 53, "", 10880)
    assert parse_reply("200 result=1 (a (b) c)") == Reply(200, 1, "a (b) c")
    assert parse_reply("511 Command Not Permitted on a dead channel") == Reply(511)
    assert parse_reply("hello") is None
    assert Reply(result=53).key == "5"
    assert Reply(result=1).key == Reply(result=-1).key == Reply(result=49, value="timeout").key == ""


@given(st.binary(max_size=80))
def test_whatever_is_said_is_a_reply_or_none(line: bytes) -> None:
    parse_reply(line.decode(errors="replace"))
    parse_reply(f"200 result={'9' * 5000} {line!r}")


# -- the server --------------------------------------------------------------------------------------------------------


class Door:
    """A server that keeps callers until they go."""

    def __init__(self) -> None:
        self.requests: list[AgiRequest] = []
        self.lines: list[AgiLine] = []
        self.came = asyncio.Event()

    async def __call__(self, line: AgiLine, request: AgiRequest) -> None:
        gone = asyncio.Event()
        line.on_end = gone.set
        self.requests.append(request)
        self.lines.append(line)
        self.came.set()
        await gone.wait()


@contextlib.asynccontextmanager
async def serving(door: Callable[..., object], **settings: object) -> AsyncIterator[AgiServer]:
    limits = {name: settings.pop(name) for name in ("waiting", "first_within", "all_within") if name in settings}
    server = AgiServer(FastAgi(port=0, **settings), door, **limits)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def connect(server: AgiServer, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


async def test_strangers_are_turned_away_and_callers_served() -> None:
    door = Door()
    async with serving(door, first_within=2) as server:
        strangers = [
            await connect(server, sent) for sent in (b"", b"\r\n\r\n", secrets.token_bytes(500), b"agi_x: y\n\n")
        ]
        closing = [await connect(server) for _ in range(5)]
        for _, writer in closing:
            writer.close()
        _, caller = await connect(server, BLOCK)
        async with asyncio.timeout(60):
            await door.came.wait()
        for reader, writer in strangers:
            await ended(reader)
            writer.close()
        assert server.live == 1
        assert sum(server.turned_away.values()) >= len(strangers)
        caller.close()


async def test_the_newest_push_out_who_waits_longest() -> None:
    door = Door()
    async with serving(door, waiting=3) as server:
        idle = [await connect(server) for _ in range(8)]
        for reader, _ in idle[:4]:
            await ended(reader)
        _, caller = await connect(server, BLOCK)
        async with asyncio.timeout(60):
            await door.came.wait()
        for _, writer in [*idle, (None, caller)]:
            writer.close()


async def test_no_more_callers_than_there_may_be() -> None:
    door = Door()
    async with serving(door, connections=1) as server:
        _, first = await connect(server, BLOCK)
        async with asyncio.timeout(60):
            await door.came.wait()
        reader, second = await connect(server, BLOCK)
        await ended(reader)
        assert server.turned_away["too many callers"] == 1
        first.close()
        second.close()


async def test_an_address_that_is_not_allowed() -> None:
    door = Door()
    async with serving(door, allow=("10.0.0.0/8",)) as server:
        reader, writer = await connect(server, BLOCK)
        await ended(reader)
        writer.close()
    assert not door.requests


async def test_a_port_that_is_taken_is_an_error_with_its_name() -> None:
    async with serving(Door()) as server:
        with pytest.raises(ConfigError, match=f"fastagi: 127.0.0.1:{server.port}"):
            await AgiServer(FastAgi(port=server.port), Door()).start()


# -- the line ----------------------------------------------------------------------------------------------------------


class Asterisk:
    """The other end, which answers as Asterisk 22 does. ``plays``: what it is in the middle of."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heard: list[str] = []
        self.plays = ""
        self.silent: set[str] = set()
        """Beginnings of commands that get no reply."""
        self.overlooks = False
        """The next question lies in its buffer until there is another one."""

    async def run(self) -> None:
        while line := (await self.reader.readline()).decode().strip():
            self.heard.append(line)
            if self.overlooks and line.startswith("GET FULL"):
                self.overlooks = False
                line = (await self.reader.readline()).decode().strip()
                self.heard.append(line)
                self.say(f"200 result=1 ({self.heard[-2].split()[-1]})")
            if self.plays.startswith("WAIT"):
                self.say("200 result=1")
            self.plays = ""
            if line.startswith(("STREAM FILE", "WAIT FOR DIGIT")):
                self.plays = line
            elif match := re.fullmatch(r"GET FULL VARIABLE (tl\d+)", line):
                self.say(f"200 result=1 ({match[1]})")
            elif not line.startswith(tuple(self.silent) or "\0"):
                self.say("200 result=0")

    def say(self, line: str) -> None:
        self.writer.write(f"{line}\n".encode())

    def presses(self, key: str) -> None:
        assert self.plays
        self.say(f"200 result={ord(key)}" + (" endpos=800" if self.plays.startswith("STREAM") else ""))
        self.plays = ""


@pytest.fixture
async def ends() -> AsyncIterator[tuple[AgiLine, Asterisk]]:
    door = Door()
    async with serving(door) as server:
        asterisk = Asterisk(*await connect(server, BLOCK))
        playing = asyncio.create_task(asterisk.run())
        async with asyncio.timeout(60):
            await door.came.wait()
        line = door.lines[0]
        line.quiet = True
        yield line, asterisk
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        asterisk.writer.close()


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not ready():
            await asyncio.sleep(0.001)


async def test_commands_and_their_answers(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    asterisk.silent.add("GET VARIABLE")
    assert await line.ask("ANSWER") == Reply()
    asking = asyncio.create_task(line.ask("GET VARIABLE X"))
    await until(lambda: "GET VARIABLE X" in asterisk.heard)
    asterisk.say("520-Invalid command syntax.  Proper usage follows:\nUsage: 200 result=1\n520 End of proper usage.")
    assert (await asking).code == 520
    assert await line.ask("NOOP") == Reply()


async def test_keys_are_heard_while_nothing_is_to_be_done(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    keys: list[str] = []
    line.on_key = keys.append
    line.listen()
    for key in "1#":
        await until(lambda: asterisk.plays)
        asterisk.presses(key)
        await until(lambda key=key: keys[-1:] == [key])
    assert await line.ask("ANSWER") == Reply()
    await until(lambda: asterisk.plays)
    assert keys == ["1", "#"]


async def test_a_command_ends_what_yields_and_each_gets_its_own_answer(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    for text in ('STREAM FILE "a" ""', "WAIT FOR DIGIT -1"):
        playing = line.send(text, yields=True)
        await until(lambda text=text: asterisk.plays == text)
        assert await line.ask("ANSWER") == Reply()
        assert (await playing).cut


async def test_what_ends_by_itself_just_then_has_its_own_answer(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    playing = line.send('STREAM FILE "a" ""', yields=True)
    await until(lambda: asterisk.plays)
    await asyncio.sleep(0.02)  # it has settled: the question goes out at once
    asterisk.presses("7")
    line.interrupt()
    assert (await playing).key == "7"
    assert await line.ask("ANSWER") == Reply()


async def test_asked_again_where_asterisk_overlooked_the_question(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    asterisk.overlooks = True
    playing = line.send('STREAM FILE "a" ""', yields=True)
    assert await line.ask("ANSWER") == Reply()
    assert (await playing).cut
    assert asterisk.heard[:4] == ['STREAM FILE "a" ""', *(f"GET FULL VARIABLE tl{n}" for n in (1, 2)), "ANSWER"]


async def test_a_hang_up_is_told_and_the_dead_still_answer(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    told = asyncio.Event()
    line.on_hangup = told.set
    line.listen()
    await until(lambda: asterisk.plays)
    asterisk.say("200 result=-1 endpos=80\nHANGUP")
    async with asyncio.timeout(60):
        await told.wait()
    assert line.hung_up
    assert await line.ask("GET VARIABLE HANGUPCAUSE") == Reply()
    asterisk.say("HANGUP")


async def test_a_dead_channel_that_does_not_say_so(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    told = asyncio.Event()
    line.on_hangup = told.set
    asterisk.silent.add("EXEC")
    asking = asyncio.create_task(line.ask("EXEC Ringing"))
    await until(lambda: asterisk.heard)
    asterisk.say("511 Command Not Permitted on a dead channel or intercept routine")
    with pytest.raises(Gone):
        await asking
    async with asyncio.timeout(60):
        await told.wait()


async def test_the_end_of_the_connection_ends_all_that_waits(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    asterisk.silent.add("EXEC")
    waiting = [line.send("EXEC VoiceMail"), line.send("EXEC Wait")]
    await until(lambda: asterisk.heard)
    asterisk.writer.close()
    assert all(reply.gone for reply in await asyncio.gather(*waiting))
    with pytest.raises(Gone):
        line.send("ANSWER")


async def test_who_answers_a_wait_at_once_is_not_asked_without_a_pause(ends: tuple[AgiLine, Asterisk]) -> None:
    line, asterisk = ends
    line.no_silence = True
    line.listen()
    for _ in range(3):
        await until(lambda: asterisk.plays)
        asterisk.plays = ""
        asterisk.say("200 result=0")
    assert len(asterisk.heard) < 6
