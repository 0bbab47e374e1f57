"""POST /api/click2call: the good path, every bad input of issue 3, idempotency and the gate."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from aiohttp.test_utils import TestClient, TestServer

from engine.api import body
from engine.api.server import create_app
from engine.calls.events import Kind
from engine.calls.routing import Route
from engine.errors import LinkDown, Unavailable
from engine.store.port import CallEvent, ClosedCall
from tests.unit.api_fakes import AUTH, HEADERS, World

BODY = {
    "agent_number": "919979270001",
    "caller_id": "15168148111",
    "destination_number": "918000680002",
    "recording_option": "on",
    "transcript": "on",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(world.context()))) as made:
        yield made


async def post(client: TestClient, given=None, *, status=200, headers=None, **changes):
    sent = {**BODY, **changes} if given is None else given
    answer = await client.post("/api/click2call", json=sent, headers={**HEADERS, **(headers or {})})
    assert answer.status == status, await answer.text()
    return (await answer.json())["response"]


async def raw(client: TestClient, data, content_type="application/json"):
    headers = {**HEADERS, "Content-Type": content_type}
    answer = await client.post("/api/click2call", data=data, headers=headers)
    return answer.status, (await answer.json())["response"]


async def test_starts_a_committed_call_and_gives_its_id(client, world):
    assert await post(client) == {"request_id": "0000000001", "success": "true"}
    (call,) = world.engine.started
    assert (call.flow, call.account, call.engine, call.direction) == ("click_to_call", "account_1", "e1", "outbound")
    assert call.params == {
        "agent_number": "919979270001",
        "customer_number": "918000680002",
        "caller_id": "15168148111",
        "recording_option": "both",
        "transcript": True,
    }


async def test_takes_numbers_for_strings_ten_digits_and_defaults(client, world):
    body = {"agent_number": 9979270001, "destination_number": "+918000680002", "caller_id": 15168148111}
    await post(client, body)
    params = world.engine.started[0].params
    assert params["agent_number"] == "919979270001"
    assert params["customer_number"] == "918000680002"
    assert (params["recording_option"], params["transcript"]) == ("off", False)


async def test_drops_white_space_in_known_keys_and_enum_words(client, world):
    body = {**BODY, " agent_numb er": BODY["agent_number"], "recording_option": " cust omer "}
    del body["agent_number"]
    await post(client, body)
    assert world.engine.started[0].params["recording_option"] == "customer"


async def test_headers_may_come_in_any_case(client):
    answer = await client.post("/api/click2call", json=BODY, headers={"ACCOUNT": "account_1", "Auth": AUTH})
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"account": "account_1"},
        {"auth": AUTH},
        {"account": "account_1", "auth": "wrong"},
        {"account": "nobody", "auth": AUTH},
        {"account": "account_2", "auth": AUTH},
        {"account": "account_1", "auth": "x" * 3000},
        {"account": "account_1", "auth": "ä\udcff"},
    ],
)
async def test_wrong_credentials_are_told_nothing(client, world, headers):
    answer = await client.post("/api/click2call", json=BODY, headers=headers)
    assert answer.status == 401
    assert (await answer.json())["response"] == {
        "success": "false",
        "message": "missing or wrong credentials",
        "errors": {},
    }
    assert not world.engine.started


async def test_a_credential_needs_its_scope(client, world):
    world.scope("read")
    assert (await post(client, status=403))["errors"] == {"rule": "scope"}
    world.scope("admin")
    await post(client)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"{", "not JSON"),
        (b'{"agent_number": NaN}', "not JSON"),
        (b"agent_number=1", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 3000, "deep"),
        (b'{"agent_number": ' + b"9" * 4500 + b"}", "over"),
        (b"[]", "JSON object"),
        (b'"text"', "JSON object"),
        ("{“agent_number”:”919979270001″}".encode(), "typographic quotes"),
    ],
)
async def test_what_is_not_json_is_400(client, world, data, says):
    status, told = await raw(client, data)
    assert status == (413 if says == "over" else 400)
    assert says in told["message"]
    assert told["success"] == "false"
    assert not world.engine.started


async def test_typographic_quotes_are_named(client):
    _, told = await raw(client, "{“agent_number”:”1″}".encode())
    assert "“ ” ″" in told["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_another_content_type_is_415(client, content_type):
    status, _ = await raw(client, json.dumps(BODY).encode(), content_type)
    assert status == 415


async def test_a_charset_does_not_matter(client):
    status, _ = await raw(client, json.dumps(BODY).encode(), "application/json; charset=utf-8")
    assert status == 200


async def test_a_body_over_the_limit_is_413(client):
    status, _ = await raw(client, b" " * 5000)
    assert status == 413


async def test_a_chunked_body_over_the_limit_is_413(client):
    async def chunks():
        for _ in range(6):
            yield b" " * 1000

    status, _ = await raw(client, chunks())
    assert status == 413


async def test_a_body_that_does_not_come_is_408(client, monkeypatch):
    monkeypatch.setattr(body, "READ_WITHIN", 0.05)
    never = asyncio.Event()

    async def stalled():
        yield b'{"agent_number":'
        await never.wait()

    headers = {**HEADERS, "Content-Type": "application/json"}
    answer = await client.post("/api/click2call", data=stalled(), headers=headers)
    assert answer.status == 408
    never.set()


async def test_every_wrong_field_is_named_at_once(client):
    body = {"agent_number": "abc", "recording_option": "loud", "transcript": True, "colour": "red"}
    told = await post(client, body, status=422)
    assert set(told["errors"]) == {
        "agent_number",
        "destination_number",
        "caller_id",
        "recording_option",
        "transcript",
        "colour",
    }
    assert told["errors"]["destination_number"] == "is required"
    assert told["errors"]["colour"] == "unknown field"
    assert told["errors"]["recording_option"] == "must be one of both, on, agent, customer, off"


@pytest.mark.parametrize("field", ["agent_number", "destination_number", "caller_id"])
@pytest.mark.parametrize(
    "value",
    [
        "91997927000A",
        "919979270001\r\nX-Evil: 1",
        "919979270001\n",
        "919979270001&PJSIP/101",
        "919979270001|1",
        '"919979270001"',
        "'919979270001'",
        "${EXTEN}",
        "919979270001@carrier",
        "9" * 16,
        "9" * 400,
        "",
        " ",
        "12",
        "919979270001\x00",
        "٩١٩٩٧٩٢٧٠٠٠١",
        "+",
        "-919979270001",
        -919979270001,
        91.5,
        True,
        ["919979270001"],
        {"number": "919979270001"},
    ],
)
async def test_what_is_not_a_number_is_422(client, world, field, value):
    told = await post(client, status=422, **{field: value})
    assert list(told["errors"]) == [field]
    assert not world.engine.started


async def test_null_is_missing(client):
    told = await post(client, status=422, agent_number=None)
    assert told["errors"] == {"agent_number": "is required"}


async def test_a_key_that_comes_twice_is_422(client):
    status, told = await raw(client, b'{"agent_number":"1","agent_number":"2"}')
    assert (status, told["errors"]) == (422, {"agent_number": "appears twice"})
    told = await post(client, {**BODY, "agent_ number": "919979270009"}, status=422)
    assert told["errors"] == {"agent_number": "appears twice"}


async def test_a_lone_surrogate_comes_back_harmless(client):
    status, _ = await raw(client, b'{"\\ud800": 1}')
    assert status == 422


async def test_a_caller_id_of_another_is_403_and_leaves_a_trace(client, world):
    told = await post(client, status=403, caller_id="15550001111")
    assert told["errors"] == {"rule": "caller_id"}
    assert not world.engine.started
    kinds = [record.event.kind for record in world.store.appended if isinstance(record, CallEvent)]
    assert kinds == [Kind.CALL_CREATED, Kind.CALL_REFUSED, Kind.CALL_ENDED]
    (closed,) = [record for record in world.store.appended if isinstance(record, ClosedCall)]
    assert (closed.end_reason, closed.records) == ("gate", ())
    assert world.store.durable == len(world.store.appended)
    assert world.registry.get_sample_value("trunkline_refusals_total", {"rule": "caller_id"}) == 1


@pytest.mark.parametrize(
    ("destination", "rule"), [("19005551234", "premium"), ("8816555123", "satellite"), ("112", "emergency")]
)
async def test_closed_ranges_are_403(client, destination, rule):
    number = f"+{destination}" if len(destination) == 10 else destination
    assert (await post(client, status=403, destination_number=number))["errors"] == {"rule": rule}


async def test_an_agent_number_passes_the_same_gate(client):
    assert (await post(client, status=403, agent_number="19005551234"))["errors"] == {"rule": "premium"}


async def test_concurrent_calls_and_prefixes_are_limited(client, world):
    world.limit(concurrent_calls=1)
    await post(client)
    assert (await post(client, status=403))["errors"] == {"rule": "concurrent_calls"}
    world.limit(allowed_prefixes=("44",))
    assert (await post(client, status=403))["errors"] == {"rule": "prefix"}


async def test_a_number_without_route_is_403(client, world):
    world.store.table = [Route(1, "outbound", "91997", "trunk", "carrier")]
    assert (await post(client, status=403))["errors"] == {"rule": "route"}


async def test_asterisk_away_is_503_with_advice_and_nothing_left_behind(client, world):
    world.engine.refuses = Unavailable("no Asterisk is up", retry_after=7)
    answer = await client.post("/api/click2call", json=BODY, headers=HEADERS)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "7"
    assert not world.store.appended


async def test_postgresql_away_is_503(client, world):
    world.store.away = True
    answer = await client.post("/api/click2call", json=BODY, headers=HEADERS)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_telephony_error_is_503_and_an_unforeseen_one_500_without_its_text(client, world):
    world.engine.refuses = LinkDown("ari password")
    assert "password" not in (await post(client, status=503))["message"]
    world.engine.refuses = RuntimeError("secret")
    told = await post(client, status=500)
    assert "secret" not in json.dumps(told)
    assert told["errors"]["incident"]


async def test_requests_per_minute(client, world):
    world.limit(requests_per_minute=2)
    await post(client)
    await post(client)
    answer = await client.post("/api/click2call", json=BODY, headers=HEADERS)
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert len(world.engine.started) == 2


class TestIdempotency:
    KEY: ClassVar = {"Idempotency-Key": "order 1"}

    async def test_same_key_and_body_give_the_first_answer(self, client, world):
        first = await post(client, headers=self.KEY)
        assert await post(client, dict(reversed(BODY.items())), headers=self.KEY) == first
        assert len(world.engine.started) == 1

    async def test_another_body_is_409(self, client, world):
        await post(client, headers=self.KEY)
        await post(client, status=409, headers=self.KEY, recording_option="off")
        assert len(world.engine.started) == 1

    @pytest.mark.parametrize("key", ["", "x" * 256, "ä", "tab\there"])
    async def test_an_unfit_key_is_422(self, client, world, key):
        told = await post(client, status=422, headers={"Idempotency-Key": key})
        assert list(told["errors"]) == ["Idempotency-Key"]
        assert not world.engine.started

    async def test_a_refused_request_frees_its_key(self, client, world):
        world.engine.refuses = Unavailable("draining")
        await post(client, status=503, headers=self.KEY)
        world.engine.refuses = None
        await post(client, headers=self.KEY)
        assert len(world.engine.started) == 1

    async def test_two_at_once_have_one_effect(self, client, world):
        world.engine.hold.clear()
        both = [asyncio.create_task(post(client, headers=self.KEY)) for _ in range(2)]
        while not world.engine.started:
            await asyncio.sleep(0)
        world.engine.hold.set()
        first, second = await asyncio.gather(*both)
        assert first == second
        assert len(world.engine.started) == 1

    async def test_accounts_do_not_share_keys(self, client, world):
        await post(client, headers=self.KEY)
        await post(client, headers={**self.KEY, "account": "account_2", "auth": "s3cret-of-account-2"})
        assert len(world.engine.started) == 2
