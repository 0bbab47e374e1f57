"""/api/webhooks as an account uses it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from engine.api.server import create_app
from engine.webhooks.types import FAMILIES, TYPES
from tests.unit.api_fakes import HEADERS, HEADERS_2, World
from tests.unit.webhook_fakes import delivery

URL = "https://example.com/hook"
BODY = {"url": URL, "types": ["call.ended"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(world.context()))) as made:
        yield made


async def ask(client, method, path, *, status=200, headers=HEADERS, **options):
    answer = await client.request(method, path, headers=headers, **options)
    assert answer.status == status, await answer.text()
    return (await answer.json())["response"]


async def subscribe(client, **fields):
    return await ask(client, "POST", "/api/webhooks", json={**BODY, **fields})


async def test_a_subscription_has_an_id_and_a_secret_that_is_shown_once(client):
    made = await subscribe(client, types=["call.*", "call.ended", "call.*"])
    assert made["secret"].startswith("whsec_")
    hook = {"id": made["id"], "url": URL, "types": ["call.*", "call.ended"], "created_at": "2026-03-01T12:00:00.123Z"}
    assert made["webhook"] == hook
    assert (await ask(client, "GET", f"/api/webhooks/{made['id']}"))["webhook"] == hook
    listed = await client.get("/api/webhooks", headers=HEADERS)
    assert (await listed.json())["response"]["webhooks"] == [hook]
    assert "whsec_" not in await listed.text()


@pytest.mark.parametrize("name", [*TYPES, *FAMILIES])
async def test_every_type_of_the_contract_can_be_had(client, name):
    assert (await subscribe(client, types=[name]))["webhook"]["types"] == [name]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"types": ["call.exploded"]}, "types"),
        ({"types": ["call.ended", "everything"]}, "types"),
        ({"types": []}, "types"),
        ({"types": "call.ended"}, "types"),
        ({"types": [["call.ended"]]}, "types"),
        ({"types": None}, "types"),
        ({"types": ["call.ended"] * 65}, "types"),
        ({"url": None}, "url"),
        ({"url": 17}, "url"),
        ({"url": ""}, "url"),
        ({"url": "example.com"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://example.com/" + "a" * 2048}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://10.1.2.3/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "http://[::1]/"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "http://[fd00:ec2::254]/"}, "url"),
        ({"url": "http://2130706433/"}, "url"),
        ({"url": "http://inside.example/"}, "url"),
        ({"url": "http://metadata.google.internal/"}, "url"),
        ({"url": "http://localhost:8080/"}, "url"),
        ({"url": "https://example.com:25/"}, "url"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field(client, world, fields, wrong):
    world.hooks.names["inside.example"] = ["10.0.0.9"]
    refused = await ask(client, "POST", "/api/webhooks", json={**BODY, **fields}, status=422)
    assert set(refused["errors"]) == {wrong}
    assert world.hooks.hooks == {}


async def test_international_names_are_kept_as_they_are_asked_for(client):
    made = await subscribe(client, url="https://bücher.example/ü")
    assert made["webhook"]["url"] == "https://xn--bcher-kva.example/%C3%BC"


async def test_the_same_key_gives_the_first_answer_and_one_subscription(client, world):
    headers = {**HEADERS, "Idempotency-Key": "once"}
    first = await ask(client, "POST", "/api/webhooks", json=BODY, headers=headers)
    assert await ask(client, "POST", "/api/webhooks", json=BODY, headers=headers) == first
    other = {**BODY, "types": ["call.*"]}
    await ask(client, "POST", "/api/webhooks", json=other, headers=headers, status=409)
    assert len(world.hooks.hooks) == 1


async def test_an_account_may_have_so_many(client, world):
    world.hooks.most = 1
    await subscribe(client)
    await ask(client, "POST", "/api/webhooks", json=BODY, status=409)


async def test_what_is_deleted_is_gone(client):
    made = await subscribe(client)
    path = f"/api/webhooks/{made['id']}"
    assert (await ask(client, "DELETE", path))["id"] == made["id"]
    await ask(client, "DELETE", path, status=404)
    await ask(client, "GET", path, status=404)
    await ask(client, "GET", f"{path}/deliveries", status=404)
    assert (await ask(client, "GET", "/api/webhooks"))["webhooks"] == []


async def test_another_accounts_hook_is_an_unknown_one(client):
    made = await subscribe(client)
    path = f"/api/webhooks/{made['id']}"
    for method, end in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/deliveries"),
        ("POST", "/test"),
        ("POST", "/deliveries/1"),
    ):
        await ask(client, method, path + end, headers=HEADERS_2, status=404)
    assert (await ask(client, "GET", "/api/webhooks", headers=HEADERS_2))["webhooks"] == []


async def test_scopes(client, world):
    made = await subscribe(client)
    world.scope("read", "call")
    await ask(client, "GET", "/api/webhooks")
    for method, path in (
        ("POST", "/api/webhooks"),
        ("DELETE", f"/api/webhooks/{made['id']}"),
        ("POST", f"/api/webhooks/{made['id']}/test"),
        ("GET", "/api/webhook_secret"),
        ("POST", "/api/webhook_secret"),
    ):
        await ask(client, method, path, json=BODY if path == "/api/webhooks" else None, status=403)


async def test_the_log_has_pages_newest_first(client, world):
    made = await subscribe(client)
    world.hooks.log += [delivery(n, made["id"], state="dead" if n == 2 else "delivered") for n in range(1, 6)]
    path = f"/api/webhooks/{made['id']}/deliveries"
    first = await ask(client, "GET", f"{path}?limit=2")
    assert [each["id"] for each in first["deliveries"]] == [5, 4]
    second = await ask(client, "GET", f"{path}?limit=3&cursor={first['next']}")
    assert [each["id"] for each in second["deliveries"]] == [3, 2, 1]
    assert second["next"] is None
    dead = (await ask(client, "GET", f"{path}?state=dead"))["deliveries"]
    assert [each["id"] for each in dead] == [2]
    for bad in ("limit=0", "limit=501", "state=lost", "cursor=x", "page=1"):
        await ask(client, "GET", f"{path}?{bad}", status=422)


async def test_a_delivery_can_be_made_again(client, world):
    made = await subscribe(client)
    world.hooks.log.append(delivery(1, made["id"], state="dead", attempts=9))
    path = f"/api/webhooks/{made['id']}/deliveries"
    assert (await ask(client, "POST", f"{path}/1"))["id"] == 1
    assert world.hooks.log[0].state == "waiting"
    for unknown in ("2", "x", "-1", "9" * 30):
        await ask(client, "POST", f"{path}/{unknown}", status=404)
    world.hooks.under_way.add(1)
    await ask(client, "POST", f"{path}/1", status=409)


async def test_a_test_message_is_enqueued_whatever_the_hook_takes(client, world):
    made = await subscribe(client)
    told = await ask(client, "POST", f"/api/webhooks/{made['id']}/test")
    assert told["delivery_id"] == 1
    assert (world.hooks.log[0].type, world.hooks.log[0].webhook) == ("webhook.test", made["id"])


async def test_the_accounts_secret_stays_until_it_is_rotated(client):
    first = (await ask(client, "GET", "/api/webhook_secret"))["secret"]
    assert (await ask(client, "GET", "/api/webhook_secret"))["secret"] == first
    second = (await ask(client, "POST", "/api/webhook_secret"))["secret"]
    assert second.startswith("whsec_")
    assert second != first
    assert (await ask(client, "GET", "/api/webhook_secret", headers=HEADERS_2))["secret"] not in (first, second)


async def test_while_postgresql_is_away(client, world):
    world.hooks.away = True
    await ask(client, "POST", "/api/webhooks", json=BODY, status=503)
    await ask(client, "GET", "/api/webhooks", status=503)
