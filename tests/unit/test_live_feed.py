"""The live feed: who is told what, in which order, and how it is taken up again."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from engine.api import events
from engine.api.server import create_app
from engine.errors import StoreAway
from engine.ops.feed import FeedCollector
from engine.webhooks import feed as feeds
from engine.webhooks.feed import CHANGED, Dropped, Feed
from tests.unit.api_fakes import HEADERS, HEADERS_2, World
from tests.unit.call_control_fakes import TOKEN, FakeFeedLog
from tests.waiting import until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(world.context()))) as made:
        yield made
        await world.feed.close()


def tell(world, *types, account="account_1"):
    for type_ in types:
        world.feed_log.tell(type_, account)
    world.feed.heard(CHANGED)


async def blocks(answer):
    """Server-sent events as dicts of their fields."""
    found: dict[str, str] = {}
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        if not line:
            yield found
            found = {}
        else:
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")


async def take(answer, number):
    found = []
    async with asyncio.timeout(60):
        async for block in blocks(answer):
            if "data" in block:
                found.append(block)
                if len(found) == number:
                    return found
    raise AssertionError(f"the stream ended after {found}")


async def test_an_account_is_told_what_happens_to_it(client, world):
    tell(world, "call.created")
    answer = await client.get("/api/events", headers=HEADERS)
    assert answer.status == 200
    assert answer.content_type == "text/event-stream"
    tell(world, "call.ringing")
    tell(world, "call.ringing", account="account_2")
    tell(world, "call.ended")
    first, second = await take(answer, 2)
    assert (first["id"], first["event"], second["id"], second["event"]) == ("2", "call.ringing", "4", "call.ended")
    assert json.loads(first["data"]) == {"type": "call.ringing", "timestamp": "2026-03-01T12:00:00.000Z", "data": {}}
    answer.close()


async def test_the_first_block_names_the_place_to_come_back_to(client, world):
    tell(world, "call.created", "call.ended")
    answer = await client.get("/api/events", headers=HEADERS)
    async with asyncio.timeout(60):
        assert await anext(blocks(answer)) == {"retry": "2000", "id": "2"}
    answer.close()


@pytest.mark.parametrize("how", ["header", "query"])
async def test_what_was_missed_comes_first_and_once(client, world, how):
    tell(world, *["call.ringing"] * 1200)
    headers = {**HEADERS, "Last-Event-ID": "100"} if how == "header" else HEADERS
    answer = await client.get("/api/events" + ("?after=100" if how == "query" else ""), headers=headers)
    tell(world, "call.ended")
    found = await take(answer, 1101)
    assert [int(block["id"]) for block in found] == list(range(101, 1202))
    answer.close()


async def test_only_the_types_that_are_wanted(client, world):
    answer = await client.get("/api/events?types=call.ended,room.*&after=0", headers=HEADERS)
    tell(world, "call.created", "room.entered", "campaign.started", "call.ended", "room.left")
    assert [block["event"] for block in await take(answer, 3)] == ["room.entered", "call.ended", "room.left"]
    answer.close()


async def test_an_end_waits_for_its_records(client, world):
    answer = await client.get("/api/events", headers=HEADERS)
    world.feed_log.tell("call.ended", unfinished=True)
    world.feed_log.tell("call.created")
    world.feed.heard(CHANGED)
    await until(lambda: world.feed_log.asked > 2)
    world.feed_log.finish()
    assert [block["event"] for block in await take(answer, 2)] == ["call.ended", "call.created"]
    answer.close()


async def test_over_a_websocket(client, world):
    tell(world, "call.created")
    async with client.ws_connect("/api/events?after=0", headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        await socket.send_str("what a client says is not listened to")
        tell(world, "call.ended")
        async with asyncio.timeout(60):
            found = [await socket.receive_json(), await socket.receive_json()]
    assert [(each["id"], each["type"]) for each in found] == [(1, "call.created"), (2, "call.ended")]
    assert set(found[0]) == {"id", "type", "timestamp", "data"}
    await until(lambda: world.feed.listeners == 0)


@pytest.mark.parametrize("path", ["/api/events", "/api/events?after=0"])
async def test_who_may_not_listen_any_more_is_let_go(client, world, monkeypatch, path):
    monkeypatch.setattr(events, "JUDGED_EVERY", 0.0)
    monkeypatch.setattr(events, "_LOOK", 0.01)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await client.get(path, headers=headers)
    tell(world, "call.created")
    assert len(await take(answer, 1)) == 1
    async with client.ws_connect(path, headers=headers) as socket:
        await until(lambda: world.feed.listeners == 2)
        world.tokens.identities.clear()
        async with asyncio.timeout(30):
            await answer.content.read()
            while (message := await socket.receive()).type is WSMsgType.TEXT:
                pass
    assert message.data == WSCloseCode.TRY_AGAIN_LATER
    assert (await client.get(path, headers=headers)).status == 401


async def test_a_store_that_is_away_lets_nobody_go(client, world, monkeypatch):
    asked = []

    async def away(*_):
        asked.append(None)
        raise StoreAway("away")

    monkeypatch.setattr(events, "JUDGED_EVERY", 0.0)
    monkeypatch.setattr(events, "_LOOK", 0.01)
    monkeypatch.setattr(events, "identify", away)
    answer = await client.get("/api/events", headers=HEADERS)
    await until(lambda: len(asked) > 2)
    tell(world, "call.created")
    assert len(await take(answer, 1)) == 1
    answer.close()


async def test_silence_has_signs_of_life(client, world, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT", 0.0)
    monkeypatch.setattr(events, "_LOOK", 0.01)
    answer = await client.get("/api/events", headers=HEADERS)
    async with asyncio.timeout(60):
        while (await answer.content.readline()) != b": alive\n":
            pass
    answer.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/events", {}, 401),
        ("/api/events", {"Authorization": "Bearer wrong"}, 401),
        ("/api/events?after=x", HEADERS, 422),
        ("/api/events?after=-1", HEADERS, 422),
        ("/api/events?after=99999999999999999999", HEADERS, 422),
        ("/api/events", {**HEADERS, "Last-Event-ID": "x"}, 422),
        ("/api/events?since=1", HEADERS, 422),
    ],
)
async def test_bad_input(client, path, headers, status):
    answer = await client.get(path, headers=headers)
    assert answer.status == status


async def test_a_store_that_is_away_is_503(client, world):
    world.feed_log.away = True
    answer = await client.get("/api/events", headers=HEADERS)
    assert answer.status == 503
    assert "Retry-After" in answer.headers


async def test_an_outage_is_waited_out(client, world):
    answer = await client.get("/api/events", headers=HEADERS)
    world.feed_log.away = True
    tell(world, "call.created")
    await until(lambda: world.feed_log.refused > 0)
    world.feed_log.away = False
    assert [block["event"] for block in await take(answer, 1)] == ["call.created"]
    answer.close()


async def test_a_listener_who_leaves_is_forgotten_and_nobody_is_notified(client, world):
    answer = await client.get("/api/events", headers=HEADERS)
    async with client.ws_connect("/api/events", headers=HEADERS_2):
        await until(lambda: world.feed.listeners == 2)
        assert world.feed_log.attended == 1
        answer.close()
    await until(lambda: world.feed.listeners == 0 and world.feed_log.attended == 0)
    again = await client.get("/api/events", headers=HEADERS)
    tell(world, "call.created")
    assert len(await take(again, 1)) == 1
    again.close()


async def test_who_is_too_far_behind_is_let_go(monkeypatch):
    monkeypatch.setattr(feeds, "BEHIND", 10)
    log = FakeFeedLog()
    feed = Feed(log, "e1")
    async with feed.listen("account_1") as slow, feed.listen("account_1") as quick:
        for _ in range(3):
            for _ in range(5):
                log.tell("call.ringing")
            feed.heard(CHANGED)
            for _ in range(5):
                assert await quick.next(20)
        with pytest.raises(Dropped):
            await slow.next(20)
        with pytest.raises(Dropped):
            await slow.next(20)
    registry = CollectorRegistry()
    registry.register(FeedCollector(feed))
    assert registry.get_sample_value("trunkline_feed_dropped_total") == 1
    assert registry.get_sample_value("trunkline_feed_listeners") == 0
    await feed.close()


async def test_an_engine_that_stops_lets_its_listeners_go(client, world):
    stream = await client.get("/api/events", headers=HEADERS)
    async with client.ws_connect("/api/events", headers=HEADERS) as socket:
        await until(lambda: world.feed.listeners == 2)
        await world.feed.close()
        async with asyncio.timeout(60):
            assert (await socket.receive()).data == WSCloseCode.TRY_AGAIN_LATER
            assert (await stream.content.read()).endswith(b"\n\n")
    late = await client.get("/api/events", headers=HEADERS)
    assert late.status == 503


async def test_listening_needs_the_store():
    log = FakeFeedLog(away=True)
    with pytest.raises(StoreAway):
        async with Feed(log, "e1").listen("account_1"):
            pass


async def test_who_takes_nothing_is_cut_off(client, world, monkeypatch):
    monkeypatch.setattr(events, "PATIENCE", 0.3)
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    writer.write(f"GET /api/events HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    assert b"200" in await reader.readline()
    await until(lambda: world.feed.listeners == 1)
    for _ in range(300):
        world.feed_log.tell("call.ringing", data={"text": "x" * 100_000})
    world.feed.heard(CHANGED)
    await until(lambda: world.feed.listeners == 0)
    writer.close()
