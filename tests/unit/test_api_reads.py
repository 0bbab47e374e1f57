"""CDRs, calls, recordings, health, and the description of all of it."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from engine.api.cpaas.cdr_view import SCHEMA as CDR_SCHEMA
from engine.api.problems import MEANING, STATUS
from engine.api.server import create_app
from engine.api.table import OPEN_ROUTES, ROUTES
from engine.api.views import CALL_EXAMPLE, CALL_SCHEMA, EVENT_SCHEMA, LEG_SCHEMA
from engine.errors import RequestError, Unavailable
from engine.store.port import RecordingRow
from tests.unit.api_fakes import HEADERS, HEADERS_2, T0, World
from tests.unit.test_api_click_to_call import BODY

ENDED = "00000000aa"


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


async def by_request(client, request_id, **options):
    return await ask(client, "POST", "/api/get_cdr_by_request_id", json={"request_id": request_id}, **options)


async def by_date(client, start, end, *, status=200, **fields):
    body = {"start_call_date": start, "end_call_date": end, **fields}
    return await ask(client, "POST", "/api/get_cdr_by_date", json=body, status=status)


async def test_a_cdr_is_the_samples_field_by_field(client, world):
    world.ended_call()
    world.cdr()
    assert await by_request(client, f"  {ENDED} ") == {
        "message": "cdr found",
        "result": [
            {
                "account_id": "account_1",
                "agent_number": "919979270001",
                "answer": "Sun, 01 Mar 2026 12:00:10 GMT",
                "billsec": 7.26955,
                "call_date": "Sun, 01 Mar 2026 12:00:17 GMT",
                "call_direction": "outbound-api",
                "call_duration": 17.0,
                "call_status": "ANSWERED",
                "caller_id": "15168148111",
                "customer_number": "918000680002",
                "destination_context": "click2call",
                "dial_status": "ANSWER",
                "dialed_number": "918000680002",
                "dtmf_inputs": "",
                "end": "Sun, 01 Mar 2026 12:00:17 GMT",
                "id": 352,
                "recording_name": "",
                "request_id": ENDED,
                "uniqueid": "tl-00000000aa-1",
            }
        ],
        "success": "true",
    }


async def test_an_unanswered_cdr_was_answered_at_the_epoch(client, world):
    world.ended_call()
    world.cdr(answered_at=None, billsec=0.0, dial_status="NOANSWER", call_status="NO ANSWER")
    (row,) = (await by_request(client, ENDED))["result"]
    assert row["answer"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert isinstance(row["billsec"], float)


async def test_a_campaigns_cdr_has_its_own_fields(client, world):
    world.ended_call()
    world.cdr(
        campaign_id="CM1", list_id="LS1", is_dnd=True, billsec=None, call_duration=None, call_status=None,
        answered_at=None, ended_at=None, uniqueid="",
    )  # fmt: skip
    (row,) = (await by_request(client, ENDED))["result"]
    assert (row["is_dnd"], row["list_id"], row["request_id"], row["customer_number"]) == ("1", "LS1", "", "")
    assert (row["billsec"], row["call_duration"], row["call_status"]) == (None, None, None)
    assert row["end"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert set(row) == set(CDR_SCHEMA["properties"])


async def test_a_running_call_has_no_cdr_yet(client):
    request_id = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    assert await by_request(client, request_id) == {"message": "cdr not found", "result": [], "success": "true"}


@pytest.mark.parametrize("request_id", ["ffffffffff", "no such id", "../../etc", "x" * 128, 12])
async def test_an_unknown_request_is_404(client, request_id):
    await by_request(client, request_id, status=404)


@pytest.mark.parametrize("request_id", ["", "  ", None, True, [], "x" * 129, "a\x00b"])
async def test_a_request_id_that_is_none_is_422(client, request_id):
    told = await by_request(client, request_id, status=422)
    assert list(told["errors"]) == ["request_id"]


async def test_a_foreign_request_is_unknown(client, world):
    world.ended_call()
    own_engine = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    for request_id in (ENDED, own_engine):
        foreign = await by_request(client, request_id, status=404, headers=HEADERS_2)
        assert foreign == await by_request(client, "ffffffffff", status=404)
        for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            await ask(client, method, f"/api/calls/{request_id}{path}", status=404, headers=HEADERS_2)
    assert world.engine.ended == []


async def test_cdrs_by_date_are_whole_utc_days(client, world):
    for at in (
        "2026-02-28T23:59:59.999999",
        "2026-03-01T00:00:00",
        "2026-03-02T23:59:59.999999",
        "2026-03-03T00:00:00",
    ):
        world.cdr(id=len(world.store.cdrs), call_date=datetime.fromisoformat(at).replace(tzinfo=UTC))
    found = await by_date(client, "2026-03-01", "2026-03-02")
    assert [row["id"] for row in found["result"]] == [1, 2]
    found = await by_date(client, " 2026-03-01", "2026-03-02 ", record_count="1", offset=1)
    assert [row["id"] for row in found["result"]] == [2]
    assert await by_date(client, "2025-01-01", "2025-01-01") == {
        "message": "cdr not found",
        "result": [],
        "success": "true",
    }
    assert len((await by_date(client, "0001-01-01", "9999-12-31"))["result"]) == 4


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"start_call_date": "2026-13-01"}, "start_call_date"),
        ({"start_call_date": "2026-02-30"}, "start_call_date"),
        ({"start_call_date": "01.02.2026"}, "start_call_date"),
        ({"start_call_date": "2026-03-0110:00:00"}, "start_call_date"),
        ({"start_call_date": ""}, "start_call_date"),
        ({"end_call_date": 20260301}, "end_call_date"),
        ({"end_call_date": "2026-02-01"}, "end_call_date"),
        ({"record_count": "0"}, "record_count"),
        ({"record_count": "-1"}, "record_count"),
        ({"record_count": "ten"}, "record_count"),
        ({"record_count": 10_001}, "record_count"),
        ({"record_count": 1.5}, "record_count"),
        ({"record_count": "9" * 30}, "record_count"),
        ({"offset": "-5"}, "offset"),
        ({"offset": True}, "offset"),
        ({"page": 1}, "page"),
    ],
)
async def test_bad_fields_by_date_are_422(client, fields, wrong):
    body = {"start_call_date": "2026-03-01", "end_call_date": "2026-03-02", **fields}
    told = await ask(client, "POST", "/api/get_cdr_by_date", json=body, status=422)
    assert list(told["errors"]) == [wrong]


async def test_a_call_is_shown_as_the_contract_says(client, world):
    world.ended_call()
    call = (await ask(client, "GET", f"/api/calls/{ENDED}"))["call"]
    assert call["state"] == "ended"
    assert call["end_reason"] == "busy"
    assert call["created_at"] == "2026-03-01T12:00:00.123Z"
    assert call["answered_at"] is None
    (leg,) = call["legs"]
    assert (leg["sip_code"], leg["q850"], leg["ringing_at"]) == (486, 17, "2026-03-01T12:00:01.123Z")
    assert set(call) == set(CALL_EXAMPLE) == set(CALL_SCHEMA["properties"])
    assert set(leg) == set(CALL_EXAMPLE["legs"][0]) == set(LEG_SCHEMA["properties"])


async def test_a_live_call_is_shown_from_memory(client, world):
    request_id = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    world.store.kept.clear()
    assert (await ask(client, "GET", f"/api/calls/{request_id}"))["call"]["state"] == "queued"


async def test_the_timeline_is_in_order(client, world):
    world.ended_call()
    events = (await ask(client, "GET", f"/api/calls/{ENDED}/events"))["events"]
    assert [event["type"] for event in events] == [
        "call.created",
        "leg.created",
        "leg.ringing",
        "leg.ended",
        "call.ended",
    ]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    assert all(set(event) == set(EVENT_SCHEMA["properties"]) for event in events)


async def test_calls_are_listed_by_state_and_page(client, world):
    for n in range(5):
        world.ended_call(f"00000000b{n}")
    world.ended_call("00000000ff", "account_2")
    live = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    shown = await ask(client, "GET", "/api/calls")
    assert ([call["request_id"] for call in shown["calls"]], shown["next"]) == ([live], None)
    page = await ask(client, "GET", "/api/calls?state=ended&limit=3")
    assert [call["request_id"] for call in page["calls"]] == ["00000000b4", "00000000b3", "00000000b2"]
    page = await ask(client, "GET", f"/api/calls?state=ended&limit=3&cursor={page['next']}")
    assert [call["request_id"] for call in page["calls"]] == ["00000000b1", "00000000b0"]
    assert page["next"] is None
    assert (await ask(client, "GET", "/api/calls?state=scheduled"))["calls"] == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("state=gone", "state"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("cursor=zz", "cursor"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
        ("state=%ff%fe", "state"),
    ],
)
async def test_a_bad_query_is_422(client, query, wrong):
    told = await ask(client, "GET", f"/api/calls?{query}", status=422)
    assert list(told["errors"]) == [wrong]


async def test_delete_ends_a_live_call_and_is_409_after(client, world):
    request_id = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    await ask(client, "DELETE", f"/api/calls/{request_id}")
    assert world.engine.ended == [request_id]
    world.ended_call()
    await ask(client, "DELETE", f"/api/calls/{ENDED}", status=409)
    await ask(client, "DELETE", "/api/calls/ffffffffff", status=404)


async def test_a_get_may_have_a_content_type_and_a_delete_a_body(client, world):
    headers = {**HEADERS, "Content-Type": "application/json"}
    await ask(client, "GET", "/api/calls", headers=headers)
    request_id = (await ask(client, "POST", "/api/click2call", json=BODY))["request_id"]
    await ask(client, "DELETE", f"/api/calls/{request_id}", json={})


async def test_scopes_of_reads_and_ends(client, world):
    world.ended_call()
    world.scope("call")
    await ask(client, "GET", "/api/calls", status=403)
    await by_request(client, ENDED, status=403)
    world.scope("read")
    await ask(client, "GET", "/api/calls")
    await ask(client, "DELETE", f"/api/calls/{ENDED}", status=403)


class TestRecordings:
    @pytest.fixture(autouse=True)
    def files(self, world):
        folder = world.folder / "recordings" / "account_1"
        folder.mkdir(parents=True)
        (folder / "00000000aa.wav").write_bytes(bytes(range(100)))
        (folder.parent / "secret.wav").write_bytes(b"secret")
        for name, state in (("00000000aa.wav", "ready"), ("new.wav", "recording"), ("bad.wav", "failed"),
                            ("lost.wav", "ready")):  # fmt: skip
            world.store.recordings[name] = RecordingRow(name, ENDED, "account_1", "both", state, "asterisk")

    async def test_whole_and_by_range(self, client):
        answer = await client.get("/api/recordings/00000000aa.wav", headers=HEADERS)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
        assert await answer.read() == bytes(range(100))
        answer = await client.get("/api/recordings/00000000aa.wav", headers={**HEADERS, "Range": "bytes=10-19"})
        assert (answer.status, answer.headers["Content-Range"]) == (206, "bytes 10-19/100")
        assert await answer.read() == bytes(range(10, 20))
        answer = await client.get("/api/recordings/00000000aa.wav", headers={**HEADERS, "Range": "bytes=500-"})
        assert answer.status == 416

    async def test_its_head_alone(self, client):
        answer = await client.head("/api/recordings/00000000aa.wav", headers=HEADERS)
        assert (answer.status, answer.headers["Content-Length"]) == (200, "100")

    async def test_until_merged_202(self, client):
        answer = await client.get("/api/recordings/new.wav", headers=HEADERS)
        assert (answer.status, answer.headers["Retry-After"]) == (202, "1")

    @pytest.mark.parametrize(
        "name", ["bad.wav", "lost.wav", "none.wav", "..%2Fsecret.wav", "%2e%2e%2fsecret.wav", "..", ".hidden", "a%00b"]
    )
    async def test_failed_lost_unknown_and_climbing_names_are_404(self, client, name):
        from yarl import URL

        url = client.make_url("/").join(URL(f"/api/recordings/{name}", encoded=True))
        answer = await client.session.get(url, headers=HEADERS)
        assert answer.status == 404
        assert (await answer.json())["response"]["success"] == "false"

    async def test_a_foreign_one_is_404(self, client):
        await ask(client, "GET", "/api/recordings/00000000aa.wav", status=404, headers=HEADERS_2)


async def test_health_needs_no_credentials(client, world):
    assert (await client.get("/healthz")).status == 200
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["parts"]) == (200, world.engine.parts)
    world.engine.parts["ami"] = False
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["parts"]["ami"]) == (503, False)
    world.engine.parts["ami"] = True
    world.engine.refuses = Unavailable("draining")
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["reason"]) == (503, "draining")


async def test_metrics_count_requests_by_route(client):
    await by_request(client, "ffffffffff", status=404)
    text = await (await client.get("/metrics")).text()
    line = 'trunkline_http_requests_total{method="POST",route="/api/get_cdr_by_request_id",status="404"} 1.0'
    assert line in text


async def test_unknown_paths_and_methods_are_told_in_the_envelope(client):
    assert (await ask(client, "GET", "/api/nothing", status=404))["success"] == "false"
    answer = await client.get("/api/click2call", headers=HEADERS)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_every_answer_is_named_and_not_cached(client):
    for path, headers in (("/api/calls", HEADERS), ("/api/calls", {}), ("/api/none", {}), ("/healthz", {})):
        answer = await client.get(path, headers=headers)
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "trunkline"


class TestDescription:
    async def test_has_every_route_and_no_other(self, client):
        api = await (await client.get("/api/openapi.json")).json()
        assert api["openapi"].startswith("3.1")
        described = {(method.upper(), path) for path, item in api["paths"].items() for method in item}
        served = {(route.method, route.path) for route in ROUTES} | {
            (route.method, route.path) for route in OPEN_ROUTES
        }
        assert described == served
        ids = [item[method]["operationId"] for item in api["paths"].values() for method in item]
        assert len(ids) == len(set(ids))

    async def test_references_resolve(self, client):
        text = await (await client.get("/api/openapi.json")).text()
        api = json.loads(text)
        for name in re.findall(r'"#/components/schemas/(\w+)"', text):
            assert name in api["components"]["schemas"]

    async def test_examples_of_bodies_are_accepted(self):
        for route in ROUTES:
            if route.body is not None:
                example = route.body.openapi()["example"]
                assert set(route.body.parse(example)) == {field.name for field in route.body.fields}

    async def test_the_page_and_its_parts_are_served_here(self, client):
        page = await (await client.get("/api/docs")).text()
        parts = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(parts) >= 3
        for part in parts:
            assert part.startswith("/")
            assert (await client.get(part)).status == 200
        script = await (await client.get("/api/docs.js")).text()
        assert "http" not in script.replace("https", "http")

    def test_every_request_error_has_a_status_and_every_status_a_meaning(self):
        def leaves(kind):
            return [leaf for child in kind.__subclasses__() for leaf in (leaves(child) or [child])]

        assert {kind for kind in leaves(RequestError) if kind.__module__ == "engine.errors"} <= set(STATUS)
        assert set(STATUS.values()) <= set(MEANING)


async def test_a_large_answer_has_every_row_once(client, world):
    for n in range(250):
        world.cdr(id=n)
    found = await by_date(client, "2026-03-01", "2026-03-01")
    assert [row["id"] for row in found["result"]] == list(range(250))
    for n in range(120):
        world.ended_call(f"{n:010x}")
    page = await ask(client, "GET", "/api/calls?state=ended&limit=110")
    assert [call["request_id"] for call in page["calls"]] == [f"{n:010x}" for n in range(119, 9, -1)]
    assert page["next"] == f"{10:010x}"


async def test_a_time_long_ago_is_shown_in_utc(client, world):
    from engine.api.views import iso

    local = T0.astimezone(tz=None) + timedelta(hours=1)
    assert iso(local) == "2026-03-01T13:00:00.123Z"
