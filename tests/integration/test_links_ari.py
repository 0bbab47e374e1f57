"""The ARI link against a real Asterisk behind a proxy that breaks."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from engine.config import AsteriskServer
from engine.errors import Gone, LinkDown, RequestTimedOut
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.events import ChannelEntered, ChannelGone, ChannelUp, LinkLost, LinkRestored
from engine.testkit.asterisks import TRUNK, Asterisks, asterisks
from engine.testkit.poll import eventually
from engine.testkit.proxy import FaultProxy
from tests.contract.switches import Heard

APP = "trunkline-links"
HEARTBEAT = 2.0
"""Seconds, where a lost sign of life is the test; elsewhere a machine that is slow for a while costs no link."""


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Asterisks]:
    async with asterisks(APP) as both:
        yield both


@pytest.fixture
async def proxy(pair: Asterisks) -> AsyncIterator[FaultProxy]:
    between = await FaultProxy.start("127.0.0.1", port_of(pair.server.ari))
    yield between
    await between.close()


@pytest.fixture
async def server(pair: Asterisks, proxy: FaultProxy) -> AsyncIterator[AsteriskServer]:
    yield pair.server.model_copy(update={"ari": f"http://127.0.0.1:{proxy.port}/ari"})
    await pair.forgets(APP)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def switch(server: AsteriskServer, heard: Heard) -> AsyncIterator[AriSwitch]:
    ari = AriSwitch(server, APP, heard)
    await ari.start()
    await heard.wait(LinkRestored)
    yield ari
    if ari.up:
        for channel in await ari.channels():
            await ari.hangup(channel.id)
        await empty(ari)
    await ari.stop()


async def empty(ari: AriSwitch) -> None:
    """Lists lag behind events by a moment."""

    async def look() -> bool:
        return not await ari.channels()

    await eventually(look, within=60, what="Asterisk without a channel")


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


def new_channel() -> str:
    return f"tl-{secrets.token_hex(5)}-1"


async def wanted(pair: Asterisks) -> set[str]:
    """Event types that Asterisk sends to our application; all, where it names none."""
    password = pair.server.ari_password.get_secret_value()
    headers = {"Authorization": aiohttp.encode_basic_auth(pair.server.ari_user, password)}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{pair.server.ari}/applications/{APP}") as answer,
    ):
        return {each["type"] for each in (await answer.json())["events_allowed"]}


async def test_cut_is_told_at_once_and_mended(
    pair: Asterisks, server: AsteriskServer, proxy: FaultProxy, switch: AriSwitch, heard: Heard
) -> None:
    call = new_channel()
    await switch.create_channel(call, f"PJSIP/15550000000@{TRUNK}", caller_id="")
    await heard.wait(ChannelEntered, call)
    asked = await wanted(pair)
    assert "Dial" in asked
    assert "ChannelVarset" not in asked
    await proxy.cut()
    await heard.wait(LinkLost)
    assert not switch.up
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(LinkDown):
            await switch.hangup(call)
    assert time.monotonic() - began < server.request_timeout, "none of them waited for its deadline"
    await proxy.restore()
    await heard.wait(LinkRestored, number=2)
    assert switch.up
    assert "Dial" in await wanted(pair)
    assert [channel.id for channel in await switch.channels()] == [call]


async def test_channel_answers_in_the_gap_and_its_events_come_to_the_next_link(
    proxy: FaultProxy, switch: AriSwitch, heard: Heard
) -> None:
    call = new_channel()
    await switch.create_channel(call, f"PJSIP/15550001111@{TRUNK}", caller_id="")
    await heard.wait(ChannelEntered, call)
    await switch.dial(call, timeout=60)
    await proxy.drop()
    await heard.wait(LinkLost)
    await heard.wait(LinkRestored, number=2)
    async with asyncio.timeout(60):
        while (await switch.channels())[0].state != "Up":
            await asyncio.sleep(0.05)
    await switch.play(call, f"{call}.p", ["tone:busy"])
    assert len(heard.of(LinkLost)) == 1


async def test_half_open_link_is_noticed(server: AsteriskServer, proxy: FaultProxy, heard: Heard) -> None:
    switch = AriSwitch(server, APP, heard, heartbeat=HEARTBEAT)
    await switch.start()
    await heard.wait(LinkRestored)
    proxy.stall()
    waiting = asyncio.create_task(switch.channels())
    await heard.wait(LinkLost)
    with pytest.raises((LinkDown, RequestTimedOut)):
        await waiting
    await proxy.restore()
    await heard.wait(LinkRestored, number=2)
    assert await switch.channels() == []
    await switch.stop()


async def test_requests_without_answer_end_a_link_whose_stream_stands(
    pair: Asterisks, server: AsteriskServer, heard: Heard
) -> None:
    """Asterisk's web server hangs but its websocket's keep-alive goes on: only our own probe can tell."""
    switch = AriSwitch(server, APP, heard, heartbeat=HEARTBEAT)
    await switch.start()
    await heard.wait(LinkRestored)

    async def no_answer(*_: object, **__: object) -> None:
        raise RequestTimedOut("probe")

    link = switch._link
    assert link._operations is not None
    link._operations.send = no_answer  # type: ignore[assignment]
    await heard.wait(LinkLost)
    await heard.wait(LinkRestored, number=2)
    await switch.stop()


@pytest.mark.parametrize("calls", [0, 1])
async def test_a_link_that_asterisk_forgot_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, pair: Asterisks, server: AsteriskServer, heard: Heard, calls: int
) -> None:
    """Asterisk's late clean-up after another websocket, here brought about by one that takes the name and goes. With a
    live channel the application stays in Asterisk's list and is as deaf."""
    short = server.model_copy(update={"request_timeout": 5.0})
    switch = AriSwitch(short, APP, heard, heartbeat=HEARTBEAT)
    monkeypatch.setattr(switch._link, "_replaced", lambda: None)
    await switch.start()
    await heard.wait(LinkRestored)
    for _ in range(calls):
        await switch.create_channel(call := new_channel(), f"PJSIP/15550000000@{TRUNK}", caller_id="")
        await heard.wait(ChannelEntered, call)
    async with aiohttp.ClientSession() as session:
        key = f"{pair.server.ari_user}:{pair.server.ari_password.get_secret_value()}"
        other = await session.ws_connect(f"{pair.server.ari}/events", params={"app": APP, "api_key": key})
        await other.close()
    await heard.wait(LinkLost)
    await heard.wait(LinkRestored, number=2)
    for channel in await switch.channels():
        await switch.hangup(channel.id)
        await heard.wait(ChannelGone, channel.id)
    await switch.stop()


async def test_slow_link_is_no_lost_link(proxy: FaultProxy, switch: AriSwitch, heard: Heard) -> None:
    proxy.slow(0.05)
    for _ in range(5):
        await switch.channels()
    assert not heard.of(LinkLost)


async def test_asterisk_killed_and_back(pair: Asterisks, switch: AriSwitch, heard: Heard) -> None:
    await pair.ours.stop(signal.SIGKILL)
    await heard.wait(LinkLost)
    await pair.ours.start()
    await heard.wait(LinkRestored, number=2)
    call = new_channel()
    await switch.create_channel(call, f"PJSIP/15550001111@{TRUNK}", caller_id="15168148111")
    await heard.wait(ChannelEntered, call)
    await switch.dial(call, timeout=60)
    await heard.wait(ChannelUp, call)


async def test_many_requests_at_once_use_few_connections(proxy: FaultProxy, switch: AriSwitch) -> None:
    before = proxy.accepted
    await asyncio.gather(*(switch.channels() for _ in range(300)))
    assert proxy.accepted - before <= 20


async def test_a_release_without_requests_on_websockets_is_asked_over_http(
    server: AsteriskServer, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.telephony.ari.link.has_rest", lambda _version: False)
    switch = AriSwitch(server, APP, heard)
    await switch.start()
    await heard.wait(LinkRestored)
    call = new_channel()
    variables = {"TIMEOUT(absolute)": "600"}
    await switch.create_channel(call, f"PJSIP/15550001111@{TRUNK}", caller_id="15168148111", variables=variables)
    await heard.wait(ChannelEntered, call)
    await switch.dial(call, timeout=60)
    await heard.wait(ChannelUp, call)
    await asyncio.gather(*(switch.channels() for _ in range(100)))
    await switch.hangup(call)
    await heard.wait(ChannelGone, call)
    with pytest.raises(Gone):
        await switch.play(call, "never", ["sound:beep"])
    await switch.stop()


async def test_listener_that_fails_costs_nobody_the_link(server: AsteriskServer, heard: Heard) -> None:
    def fails_once(event: object) -> None:
        heard(event)  # type: ignore[arg-type]
        if len(heard.of(ChannelEntered)) == 1 and isinstance(event, ChannelEntered):
            raise RuntimeError("listener")

    switch = AriSwitch(server, APP, fails_once)
    await switch.start()
    await heard.wait(LinkRestored)
    for call in (new_channel(), new_channel()):
        await switch.create_channel(call, f"PJSIP/15550000000@{TRUNK}", caller_id="")
        await heard.wait(ChannelEntered, call)
        await switch.hangup(call)
        await heard.wait(ChannelGone, call)
    assert not heard.of(LinkLost)
    await empty(switch)
    await switch.stop()


async def test_wrong_password_never_comes_up_and_stops_cleanly(server: AsteriskServer, heard: Heard) -> None:
    switch = AriSwitch(server.model_copy(update={"ari_user": "nobody"}), APP, heard)
    await switch.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(switch.wait_up(), 0.5)
    with pytest.raises(LinkDown):
        await switch.channels()
    await switch.stop()
    assert heard.events == []


async def test_taken_over_link_counts_as_lost(server: AsteriskServer, switch: AriSwitch, heard: Heard) -> None:
    others = Heard()
    other = AriSwitch(server, APP, others)
    await other.start()
    await others.wait(LinkRestored)
    await heard.wait(LinkLost)
    assert other.up
    await other.stop()


async def test_deliberate_stop_tells_no_loss(server: AsteriskServer, heard: Heard) -> None:
    switch = AriSwitch(server, APP, heard)
    await switch.start()
    await heard.wait(LinkRestored)
    await switch.stop()
    assert not heard.of(LinkLost)
    assert not switch.up
