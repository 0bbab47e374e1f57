"""The call-control API over fakes: tokens, paths, pages, words and numbers."""

import asyncio
import base64
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from engine import ids
from engine.api.call_control.dialect import number_or_text
from engine.api.call_control.views import STATUSES, call_view
from engine.api.server import create_app
from engine.api.table import ROUTES
from engine.calls.events import Event, Kind
from engine.calls.mac import mac_of, told_in
from engine.calls.model import replay
from engine.ops.devices import DeviceWatch, registered
from engine.telephony.manager import ContactStatus, ManagerUp
from tests.unit.api_fakes import AUTH, T0, World, created
from tests.unit.call_control_fakes import TOKEN, TOKEN_2

CALLS = "/cc/accounts/1234/calls"
DEVICES = "/registration/accounts/1234/devices"
BEARER, BEARER_2 = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, TOKEN_2))
CREATE = {"from": {"destination": 101, "type": "extension"}, "to": {"destination": 1234567890, "type": "pstn"},
          "type": "click2dial"}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(world.context()))) as made:
        yield made


async def ask(client, method, path, *, status=200, headers=BEARER, **options):
    answer = await client.request(method, path, headers=headers, **options)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def refused(client, method, path, status, **options):
    told = await ask(client, method, path, status=status, **options)
    assert set(told) == {"error"}
    assert set(told["error"]) == {"code", "message"}
    assert told["error"]["code"] == status
    return told["error"]["message"]


def live(world, request_id="00000000bb", owner="account_1", *more):
    """A call of two parties that talk, in the engine's memory."""
    world.ended_call(request_id, owner)
    new = next(each for each in world.store.appended if getattr(each, "request_id", "") == request_id)
    new = replace(new, params={"agent_number": "101", "customer_number": "919800000001", "caller_id": "15168148111"})
    events = [created(new)]
    for n, (role, number) in enumerate((("agent", "101"), ("customer", "919800000001")), start=1):
        leg = {"leg_id": ids.leg_id(request_id, n), "role": role, "number": number, "endpoint": f"PJSIP/{number}",
               "channel_id": ids.channel_id(request_id, n)}  # fmt: skip
        events += [Event(Kind.LEG_CREATED, T0, n, leg), Event(Kind.LEG_ANSWERED, T0, n)]
    events += [Event(Kind.CALL_BRIDGED, T0, data={"bridge": "b", "legs": [1, 2]}), *more]
    world.engine.calls[request_id] = call = replay(events)
    return call


# -- tokens ------------------------------------------------------------------------------------------------------------


async def token(client, form, status=200, **headers):
    answer = await client.post("/oauth/token", data=form, headers=headers)
    told = await answer.json()
    assert answer.status == status, told
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    return told


FORM = {"grant_type": "client_credentials", "client_id": "account_1", "client_secret": AUTH}


async def test_a_client_gets_a_token_for_its_secret(client, world):
    told = await token(client, FORM)
    assert told == {
        "access_token": "tlt_new",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "read call campaign admin",
    }
    assert world.tokens.issued == [("account_1", AUTH)]


async def test_the_secret_may_come_by_basic_authentication(client):
    basic = base64.b64encode(f"account_1:{AUTH}".encode()).decode()
    told = await token(client, {"grant_type": "client_credentials", "scope": "read"}, Authorization=f"Basic {basic}")
    assert told["scope"] == "read"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_secret": "x" * 300}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
async def test_a_wrong_request_gets_oauths_own_error(client, changes, status, code):
    form = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
    told = await token(client, form, status)
    assert told["error"] == code
    assert AUTH not in json.dumps(told)


async def test_what_is_no_form_is_an_invalid_request(client):
    for options in ({"json": FORM}, {"data": [*FORM.items(), ("grant_type", "x")]}, {"data": {"a": "b" * 9000}}):
        answer = await client.post("/oauth/token", **options)
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request")
    answer = await client.get("/oauth/token")
    assert (answer.status, (await answer.json())["error"]) == (405, "invalid_request")


async def test_a_store_that_is_away_is_temporarily_unavailable(client, world):
    world.store.away = True
    assert (await token(client, FORM, 503))["error"] == "temporarily_unavailable"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"account": "account_1", "auth": AUTH}],
)
async def test_without_a_good_token_there_is_nothing(client, headers):
    await refused(client, "GET", CALLS, 401, headers=headers)


async def test_a_token_lacks_what_its_scopes_lack(client, world):
    world.tokens.identities[TOKEN] = replace(world.tokens.identities[TOKEN], scopes=frozenset({"read"}))
    await ask(client, "GET", CALLS)
    await refused(client, "POST", CALLS, 403, json=CREATE)


async def test_a_token_is_good_on_our_own_routes_too(client):
    assert (await ask(client, "GET", "/api/calls"))["response"]["success"] == "true"


# -- whose -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1235", "9999", "0", "account_1", "1234.0", "01234"])
async def test_another_account_in_the_path_is_unknown(client, number):
    for path in (f"/cc/accounts/{number}/calls", f"/registration/accounts/{number}/devices"):
        await refused(client, "GET", path, 404)


async def test_what_is_foreign_is_unknown_on_every_route(client, world):
    """Of the call-control API, walked through the route table."""
    call = live(world, owner="account_2")
    world.devices.add("account_2")
    known = {"account_id": "1234", "call_id": ids.call_uuid(call.request_id), "leg_id": call.legs[1].leg_id,
             "mac_address": "79-5C-7D-28-1B-B3"}  # fmt: skip
    walked = 0
    for route in ROUTES:
        if route.dialect is not None and len(route.parameters) > 1:
            await refused(client, route.method, route.path.format(**known), 404)
            if route.method == "GET":
                await ask(client, "GET", route.path.format(**{**known, "account_id": 1235}), headers=BEARER_2)
            walked += 1
    assert walked == 9


@pytest.mark.parametrize(
    "call_id", ["x", "7d69cbb8-80a6-4771-9fe0-f1d2600f7735", "00000000bb", ids.call_uuid("00000000bb")[:-1] + "g"]
)
async def test_an_id_that_is_none_of_ours_is_unknown(client, world, call_id):
    live(world)
    await refused(client, "GET", f"{CALLS}/{call_id}", 404)


def test_a_calls_uuid_leads_back_to_it():
    for request_id in ("57362de4f0", "0000000000", "ffffffffff"):
        text = ids.call_uuid(request_id)
        assert str(uuid.UUID(text)) == text
        assert ids.request_of_uuid(text) == ids.request_of_uuid(text.upper()) == request_id
    assert ids.request_of_uuid("57362de4-f000-5000-8000-000000000000") is None


# -- words and numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [("919800000001", 919800000001), ("101", 101), ("0", 0), ("0155", "0155"), ("+4930", "+4930"), ("anonymous", "anonymous"),
     ("123456789012345", 123456789012345), ("1234567890123456", "1234567890123456"), ("", ""), ("*43", "*43"), ("١٢", "١٢")],
)  # fmt: skip
def test_numbers_are_integers_unless_that_changes_them(text, shown):
    assert number_or_text(text) == shown
    assert type(number_or_text(text)) is type(shown)


def told(*events):
    call = {"request_id": "00000000bb", "account": "account_1", "flow": "click_to_call", "direction": "outbound"}
    leg = {"leg_id": "l", "role": "customer", "number": "919800000001", "endpoint": "e", "channel_id": "c"}
    begin = [Event(Kind.CALL_CREATED, T0, data=call), Event(Kind.LEG_CREATED, T0, 1, leg)]
    return call_view(replay([*begin, *events]), 1234)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"sip_code": 486}, "busy"),
        ({"sip_code": 480}, "unanswered"),
        ({"why": "ring_timeout"}, "unanswered"),
        ({"why": "cancelled"}, "unanswered"),
        ({"sip_code": 404}, "failed"),
        ({"sip_code": 503, "q850": 34}, "failed"),
    ],
)
def test_an_end_has_its_word(end, status):
    later = T0 + timedelta(seconds=7.9)
    rang = () if end.get("sip_code") == 404 else (Event(Kind.LEG_RINGING, T0, 1),)
    view = told(*rang, Event(Kind.LEG_ENDED, later, 1, end), Event(Kind.CALL_ENDED, later, data={"end_reason": "x"}))
    assert (view["status"], view["legs"][0]["status"]) == (status, status)
    assert view["end_time"] == int(T0.timestamp()) + 8
    assert view["start_time"] == int(T0.timestamp())


def test_an_answered_call_is_on_call_also_when_it_has_ended():
    up = Event(Kind.LEG_ANSWERED, T0, 1)
    assert told()["status"] == "ringing"
    assert told(up)["status"] == "on-call"
    assert told(up)["end_time"] is None
    over = told(up, Event(Kind.LEG_ENDED, T0, 1), Event(Kind.CALL_ENDED, T0, data={"end_reason": "completed"}))
    assert (over["status"], over["end_time"]) == ("on-call", int(T0.timestamp()))
    assert set(STATUSES) == {"busy", "failed", "unanswered", "ringing", "on-call"}


async def test_a_call_is_the_samples_field_by_field(client, world):
    call = live(world)
    call_id, at = ids.call_uuid(call.request_id), int(T0.timestamp())
    common = {"account_id": 1234, "call_id": call_id, "direction": "outbound", "end_time": None, "start_time": at,
              "status": "on-call", "from": 15168148111}  # fmt: skip
    legs = [{**common, "leg_id": call.legs[n].leg_id, "to": to} for n, to in ((1, 101), (2, 919800000001))]
    expected = {**common, "from": 101, "to": 919800000001, "legs": legs}
    assert await ask(client, "GET", f"{CALLS}/{call_id}") == expected
    assert await ask(client, "GET", f"{CALLS}/{call_id}/legs") == legs
    assert await ask(client, "GET", f"{CALLS}/{call_id}/legs/{legs[1]['leg_id'].upper()}") == legs[1]
    await refused(client, "GET", f"{CALLS}/{call_id}/legs/{uuid.uuid4()}", 404)


# -- pages -------------------------------------------------------------------------------------------------------------


def some_calls(world, numbers):
    for number in numbers:
        world.ended_call(f"{number:010x}")


async def walk(client, uri, between=lambda _page: None):
    seen = []
    while uri is not None:
        page = await ask(client, "GET", uri)
        assert f"page={page['current_page']}" in page["first_page_uri"] or page["current_page"] > 1
        seen += [ids.request_of_uuid(call["call_id"]) for call in page["calls"]]
        between(page)
        assert (page["next_page"] is None) == (page["next_page_uri"] is None)
        uri = page["next_page_uri"]
    return [int(request_id, 16) for request_id in seen], page


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_are_followed_by_their_uris(client, world, order):
    some_calls(world, range(1, 8))
    first = await ask(client, "GET", f"{CALLS}?page_size=3&order={order}")
    assert {name: first[name] for name in first if name not in ("calls", "next_page_uri")} == {
        "current_page": 1, "first_page_uri": f"{CALLS}?page_size=3&order={order}&page=1", "next_page": 2, "order": order,
        "page_size": 3, "pages": 3, "previous_page_uri": None,
    }  # fmt: skip
    assert "page=2" in first["next_page_uri"]
    seen, last = await walk(client, f"{CALLS}?page_size=3&order={order}")
    assert seen == (list(range(1, 8)) if order == "asc" else list(range(7, 0, -1)))
    before = await ask(client, "GET", last["previous_page_uri"])
    assert before["current_page"] == 2
    again = await ask(client, "GET", before["previous_page_uri"])
    assert (again["current_page"], again["calls"], again["previous_page_uri"]) == (1, first["calls"], None)


async def test_pages_are_stable_while_calls_come(client, world):
    some_calls(world, range(100, 110))
    fresh = itertools.count(200)
    seen, _ = await walk(
        client, f"{CALLS}?page_size=2&order=desc", lambda _page: some_calls(world, [next(fresh), next(fresh)])
    )
    assert seen == list(range(109, 99, -1))


async def test_a_page_by_its_number_alone(client, world):
    some_calls(world, range(1, 8))
    page = await ask(client, "GET", f"{CALLS}?page_size=3&page=3&order=asc")
    assert [ids.request_of_uuid(call["call_id"])[-1] for call in page["calls"]] == ["7"]
    assert (page["next_page"], page["pages"]) == (None, 3)
    beyond = await ask(client, "GET", f"{CALLS}?page_size=3&page=9")
    assert (beyond["calls"], beyond["next_page"]) == ([], None)


async def test_an_empty_list_is_a_page(client):
    page = await ask(client, "GET", f"{CALLS}?page_size=0")
    assert (page["calls"], page["page_size"], page["pages"], page["order"]) == ([], 100, 1, "desc")


@pytest.mark.parametrize(
    "query",
    ["page_size=-1", "page_size=1001", "page_size=99999999999999999999", "page_size=ten", "page=0", "page=-1", "order=up",
     "start_time=yesterday", "start_time=-1", "end_time=99999999999999", "before=1.5", "after=1&start_time=2",
     "cursor=n.ffffffffff", "cursor=x", "cursor=n.", "extension=12", "page_size=1&page_size=2", "colour=red"],
)  # fmt: skip
async def test_a_query_that_is_wrong_is_refused(client, world, query):
    world.ended_call()
    await refused(client, "GET", f"{CALLS}?{query}", 422)


async def test_times_and_their_other_names_filter(client, world):
    world.ended_call()
    at = int(T0.timestamp())
    for query, found in (
        (f"start_time={at}", 1),
        (f"after={at + 1}", 0),
        (f"end_time={at}", 0),
        (f"before={at + 1}", 1),
        (f"after={at}&before={at + 1}", 1),
    ):
        page = await ask(client, "GET", f"{CALLS}?{query}")
        assert len(page["calls"]) == found, query
        assert query.split("&")[0].split("=")[1] in page["first_page_uri"]


# -- create ------------------------------------------------------------------------------------------------------------


async def create(client, source, to, kind="click2dial", status=201, **options):
    body = {"from": dict(zip(("type", "destination"), source, strict=True)),
            "to": dict(zip(("type", "destination"), to, strict=True)), "type": kind}  # fmt: skip
    return await ask(client, "POST", CALLS, json=body, status=status, **options)


EXTENSION, PSTN = ("extension", 101), ("pstn", "1234567890")


async def test_a_call_is_created_as_the_document_has_it(client, world):
    made = await ask(client, "POST", CALLS, json=CREATE, status=201)
    assert (made["from"], made["to"], made["status"], made["account_id"]) == (101, 911234567890, "ringing", 1234)
    (call,) = world.engine.started
    assert call.flow == "click_to_call"
    assert call.params["agent_number"] == "101"
    assert call.params["customer_number"] == "911234567890"
    assert call.params["caller_id"] == "15168148111"
    assert await ask(client, "GET", f"{CALLS}/{made['call_id']}") == made


@pytest.mark.parametrize(
    ("source", "to", "kind", "first", "second"),
    [
        (EXTENSION, PSTN, "default", "101", "911234567890"),
        (EXTENSION, PSTN, "click2dialme", "911234567890", "101"),
        (PSTN, ("extension", "102"), "click2dial", "911234567890", "102"),
        (("device", "79:5c:7d:28:1b:b3"), PSTN, "click2dial", "103", "911234567890"),
        (("device", 103), PSTN, "click2dial", "103", "911234567890"),
    ],
)
async def test_who_is_called_first(client, world, *, source, to, kind, first, second):
    world.devices.add("account_1", extension="103")
    made = await create(client, source, to, kind)
    params = world.engine.started[0].params
    assert (params["agent_number"], params["customer_number"]) == (first, second)
    forwards = (first, second) if kind != "click2dialme" else (second, first)
    assert (str(made["from"]), str(made["to"])) == forwards


@pytest.mark.parametrize(
    ("source", "to", "kind", "called", "then"),
    [
        (("feature_code", "*43"), PSTN, "odr", "911234567890", {"application": "echo"}),
        (("feature_code", "*97"), EXTENSION, "odr", "101", {"application": "mailbox"}),
        (("extension", 102), PSTN, "odr", "911234567890", {"number": "102"}),
        (("feature_code", "8000"), PSTN, "odr", "911234567890", {"flow": "ivr", "params": {"menu": "welcome"}}),
        (EXTENSION, ("feature_code", "*43"), "click2dial", "101", {"application": "echo"}),
        (("feature_code", "*43"), EXTENSION, "click2dialme", "101", {"application": "echo"}),
    ],
)
async def test_who_meets_what_a_code_leads_to(client, world, *, source, to, kind, called, then):
    world.engine.leads["8000"] = ("ivr", {"menu": "welcome"})
    made = await create(client, source, to, kind)
    (call,) = world.engine.started
    assert (call.flow, call.params["customer_number"], call.params["then"]) == ("odr", called, then)
    assert str(made["from"]) == str(source[1])


@pytest.mark.parametrize(
    ("source", "to", "kind"),
    [
        (EXTENSION, ("pstn", "12345"), "click2dial"),
        (("extension", "1234567890"), PSTN, "click2dial"),
        (("device", "00-00-00-00-00-01"), PSTN, "click2dial"),
        (("device", "x"), PSTN, "click2dial"),
        (("feature_code", "*99"), PSTN, "odr"),
        (("feature_code", "*97"), PSTN, "odr"),
        (("feature_code", "abc"), PSTN, "odr"),
        (("feature_code", "*43"), ("feature_code", "*43"), "click2dial"),
        (EXTENSION, ("feature_code", "*43"), "odr"),
        (("pstn", "4930123456"), PSTN, "odr"),
        (EXTENSION, ("fax", "1"), "click2dial"),
        (EXTENSION, PSTN, "conference"),
        (("extension", "101&PJSIP/102"), PSTN, "click2dial"),
        (("extension", None), PSTN, "click2dial"),
    ],
)
async def test_what_can_not_be_called_is_refused(client, world, source, to, kind):
    await create(client, source, to, kind, 422)
    assert world.engine.started == []


async def test_bodies_that_are_none(client):
    for body, status in ((b"", 400), (b"{", 400), (b"[]", 400), (b'{"from": 1, "to": 2}', 422), (b"{}", 422)):
        headers = {**BEARER, "Content-Type": "application/json"}
        await refused(client, "POST", CALLS, status, headers=headers, data=body)
    await refused(client, "POST", CALLS, 415, data={"a": "b"})


async def test_the_gate_refuses_and_leaves_a_trace(client, world):
    assert "premium" in await refused(
        client, "POST", CALLS, 403, json={**CREATE, "to": {"destination": "19005551234", "type": "pstn"}}
    )
    assert world.engine.started == []
    page = await ask(client, "GET", CALLS)
    assert [call["status"] for call in page["calls"]] == ["failed"]
    for number in ("911", "112"):
        await create(client, EXTENSION, ("extension", number), "click2dial", 403)


async def test_a_key_makes_one_call(client, world):
    headers = {**BEARER, "Idempotency-Key": "k1"}
    first = await ask(client, "POST", CALLS, json=CREATE, status=201, headers=headers)
    assert await ask(client, "POST", CALLS, json=CREATE, status=201, headers=headers) == first
    assert len(world.engine.started) == 1


# -- change ------------------------------------------------------------------------------------------------------------


async def put(client, call, body, status=200, leg=None):
    path = f"{CALLS}/{ids.call_uuid(call.request_id)}" + (f"/legs/{leg.leg_id}" if leg else "")
    return await ask(client, "PUT", path, json=body, status=status)


TO = {"destination": 1234567890, "type": "pstn"}


@pytest.mark.parametrize(
    ("body", "leaves"),
    [
        ({"to": TO}, 1),
        ({"state": "active", "to": TO, "from": {"destination": 101, "type": "extension"}}, 1),
        ({"state": "active", "to": TO, "from": {"destination": "919800000001", "type": "pstn"}}, 1),
        ({"state": "active", "to": TO, "from": TO}, 1),
    ],
)
async def test_to_transfers(client, world, body, leaves):
    call = live(world)
    told = await put(client, call, body)
    assert told == {"account_id": 1234, "call_id": ids.call_uuid(call.request_id), "call_state": "active",
                    "destination": "911234567890"}  # fmt: skip
    expected = (call.request_id, "transfer", call.legs[leaves].leg_id, {"to": "911234567890"}, "api")
    assert world.engine.controlled == [expected]


async def test_parked_and_back(client, world):
    call = live(world)
    told = await put(client, call, {"state": "parked"})
    assert (told["call_state"], told["destination"]) == ("parked", "919800000001")
    assert world.engine.controlled.pop()[1:4] == ("park", call.legs[2].leg_id, {})
    call.slot, call.parties = "1", (2,)
    told = await put(client, call, {"state": "parked"})
    assert (told["call_state"], world.engine.controlled) == ("parked", [])
    told = await put(client, call, {"state": "active"})
    assert (told["call_state"], told["destination"]) == ("active", "919800000001")
    assert world.engine.controlled.pop()[1:4] == ("retrieve", "", {"to": "101"})
    await put(client, call, {"state": "active", "to": {"destination": "102", "type": "extension"}})
    assert world.engine.controlled.pop()[1:4] == ("retrieve", "", {"to": "102"})


async def test_two_who_have_just_answered_are_waited_for(client, world):
    call = live(world)
    call.apply(Event(Kind.CALL_UNBRIDGED, T0))
    assert call_view(call, 1234)["status"] == "ringing"
    change = asyncio.create_task(put(client, call, {"state": "parked"}))
    await asyncio.sleep(0)
    assert world.engine.controlled == []
    call.apply(Event(Kind.CALL_BRIDGED, T0, data={"bridge": "b", "legs": [1, 2]}))
    assert (await change)["call_state"] == "parked"
    assert world.engine.controlled.pop()[1] == "park"


async def test_active_of_an_active_call_changes_nothing(client, world):
    told = await put(client, live(world), {"state": "active"})
    assert (told["call_state"], world.engine.controlled) == ("active", [])


async def test_a_leg_is_held_and_back(client, world):
    call = live(world)
    told = await put(client, call, {"state": "held"}, leg=call.legs[2])
    assert told == {"account_id": 1234, "call_id": ids.call_uuid(call.request_id), "call_state": "held",
                    "destination": "101", "leg_id": call.legs[2].leg_id}  # fmt: skip
    assert world.engine.controlled.pop()[1:3] == ("hold", call.legs[2].leg_id)
    await put(client, call, {"state": "active"}, leg=call.legs[2])
    assert world.engine.controlled == [], "it was not held"
    call.apply(Event(Kind.LEG_HELD, T0, 2, {"bridge": "b"}))
    await put(client, call, {"state": "held"}, leg=call.legs[2])
    assert world.engine.controlled == [], "it is held already"
    told = await put(client, call, {"state": "active"}, leg=call.legs[2])
    assert (told["call_state"], world.engine.controlled.pop()[1]) == ("active", "resume")
    await put(client, call, {"state": "active"})
    assert world.engine.controlled.pop()[1:3] == ("resume", call.legs[2].leg_id)


@pytest.mark.parametrize("body", [{}, {"state": "held"}, {"state": 1}, {"to": {"destination": "101"}}, {"to": 5}])
async def test_a_change_that_is_none(client, world, body):
    await put(client, live(world), body, 422)


async def test_what_has_ended_can_not_be_changed(client, world):
    world.ended_call()
    path = f"{CALLS}/{ids.call_uuid('00000000aa')}"
    leg = (await ask(client, "GET", path))["legs"][0]["leg_id"]
    for body in ({"state": "parked"}, {"to": TO}):
        await refused(client, "PUT", path, 409, json=body)
    await refused(client, "DELETE", path, 409)
    await refused(client, "PUT", f"{path}/legs/{leg}", 409, json={"state": "held"})
    await refused(client, "DELETE", f"{path}/legs/{leg}", 409)


async def test_ends(client, world):
    call = live(world)
    path = f"{CALLS}/{ids.call_uuid(call.request_id)}"
    told = await ask(client, "DELETE", f"{path}/legs/{call.legs[2].leg_id}")
    assert (told["call_state"], told["leg_id"]) == ("ended", call.legs[2].leg_id)
    assert world.engine.controlled.pop()[1:3] == ("hangup", call.legs[2].leg_id)
    told = await ask(client, "DELETE", path)
    assert (told["call_state"], told["destination"]) == ("ended", "919800000001")
    assert world.engine.ended == [call.request_id]


# -- statistics --------------------------------------------------------------------------------------------------------


async def test_live_calls_are_counted_by_kind(client, world):
    live(world, "0000000001")
    live(world, "0000000002").flow = "callback"
    live(world, "0000000003").flow = "otp"
    live(world, "0000000004").direction = "inbound"
    live(world, "0000000005").campaign_id = "CM0123456789"
    live(world, "0000000006").flow = "dial"
    live(world, "0000000007", "account_2").account = "account_2"
    told = await ask(client, "GET", "/api/get_live_call_statistics", headers={"account": "account_1", "auth": AUTH})
    counts = {"live_calls_c2c": 2, "live_calls_campaign": 1, "live_calls_inbound": 1, "live_calls_otp": 1}
    assert told == {"response": {"result": counts, "success": "true"}}
    assert all(type(count) is int for count in told["response"]["result"].values())


# -- devices -----------------------------------------------------------------------------------------------------------


async def test_devices_are_the_samples_field_by_field(client, world):
    world.devices.add("account_1")
    at = int(T0.timestamp())
    expected = {
        "account_id": 1234, "device_ip": "10.0.0.7", "last_request": at, "last_success": at,
        "mac_address": "79-5C-7D-28-1B-B3", "registration": {"last_success": at},
        "provisioned": {"last_success": None, "last_request": None},
    }  # fmt: skip
    page = await ask(client, "GET", f"{DEVICES}?page_size=100&order=desc")
    assert page["devices"] == [expected]
    assert page["first_page_uri"] == f"{DEVICES}?page_size=100&order=desc&page=1"
    for path in ("79-5C-7D-28-1B-B3", "795c7d281bb3", "101"):
        assert await ask(client, "GET", f"{DEVICES}/{path}") == expected
    await ask(client, "DELETE", f"{DEVICES}/79:5C:7D:28:1B:B3")
    await refused(client, "GET", f"{DEVICES}/79-5C-7D-28-1B-B3", 404)
    await refused(client, "DELETE", f"{DEVICES}/79-5C-7D-28-1B-B3", 404)


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("Yealink SIP-T46S 66.85.0.5 805ec0aabbcc", "80-5E-C0-AA-BB-CC"),
        ("Grandstream GXP2170 1.0.11.23 00:0b:82:aa:bb:cc", "00-0B-82-AA-BB-CC"),
        ("Cisco/SPA504G-7.6.2 (00-25-84-5D-2A-C1)", "00-25-84-5D-2A-C1"),
        ("Linphone/4.2 (belle-sip/1.6.3)", None),
        ("x 01005e000001", None),
        ("build 1234567890123", None),
        ("", None),
    ],
)
def test_a_mac_address_is_found_where_a_phone_tells_it(text, mac):
    assert told_in(text) == mac


def test_a_mac_address_in_all_its_spellings():
    for text in ("79-5c-7d-28-1b-b3", "795C.7D28.1BB3", "79:5C:7D:28:1B:B3", "795c7d281bb3"):
        assert mac_of(text) == "79-5C-7D-28-1B-B3"
    assert [mac_of(text) for text in ("101", "", "79-5C-7D-28-1B-B", "zz5C7D281BB3")] == [None] * 4


def test_when_a_registration_was_made_follows_from_when_it_expires():
    now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    first = registered(now + timedelta(seconds=119.4), None, now)
    assert first == (now, 120)
    renewed, lifetime = registered(now + timedelta(seconds=100), 120, now)
    assert (renewed, lifetime) == (now - timedelta(seconds=20), 120)
    assert registered(now + timedelta(seconds=300), 120, now) == (now, 300), "it asks for longer now"


class FakeManager:
    name, up = "asterisk", True

    def __init__(self):
        self.contacts = {}

    async def action(self, name, fields=None):
        assert name == "Getvar"
        function = fields["Variable"]
        if function.startswith("PJSIP_AOR("):
            extension = function[10:].split(",")[0]
            return [{"value": ",".join(each for each in self.contacts if each.startswith(f"{extension};"))}]
        contact, field = function[len("PJSIP_CONTACT(") : -1].rsplit(",", 1)
        return [{"value": str(self.contacts.get(contact, {}).get(field, ""))}]


class FakeKeeper:
    def __init__(self):
        self.kept = []

    async def contacts(self):
        return {}

    async def keep(self, account, device, *, lifetime, expires_at):
        self.kept.append((account, device, lifetime, expires_at))


async def test_devices_are_kept_as_asterisk_tells_of_them():
    manager, keeper = FakeManager(), FakeKeeper()
    watch = DeviceWatch(keeper, [manager], {"101": "account_1", "102": "account_2"})
    expires = int(datetime.now(UTC).timestamp()) + 300
    manager.contacts["101;@1"] = {
        "uri": "sip:101@10.0.0.7:5062", "user_agent": "Yealink 805ec0aabbcc", "expiration_time": expires,
    }  # fmt: skip
    watch.heard(ManagerUp("asterisk"))
    await watch.look()
    ((account, device, lifetime, _),) = keeper.kept
    assert (account, device.extension, device.mac, device.address) == (
        "account_1",
        "101",
        "80-5E-C0-AA-BB-CC",
        "10.0.0.7",
    )
    assert 299 <= lifetime <= 300
    watch.heard(ContactStatus("asterisk", "101", "101", "sip:101@10.0.0.7:5062", "Reachable", None))
    await watch.look()
    assert len(keeper.kept) == 1, "it has not registered again"
    manager.contacts["102;@2"] = {"uri": "sip:102@[2001:db8::7]:5060", "expiration_time": expires}
    watch.heard(ContactStatus("asterisk", "102", "102", "", "NonQualified", None))
    watch.heard(ContactStatus("asterisk", "999", "999", "", "NonQualified", None))
    await watch.look()
    _, second = keeper.kept
    assert (second[0], second[1].key, second[1].mac, second[1].address) == (
        "account_2", "102@2001:db8::7", None, "2001:db8::7",
    )  # fmt: skip
