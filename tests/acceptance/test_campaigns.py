"""Campaigns from the API to the callees' ears and back into CDRs and counters."""

import io
import json

import asyncpg
import numpy as np
import pytest
import soundfile

from engine.testkit import audio, numbers
from engine.testkit.poll import eventually
from tests.acceptance import campaign_calls as campaign
from tests.acceptance.conversations import EPOCH
from tests.receiver import Receiver

OUTCOMES = {
    numbers.BUSY: ("BUSY", "BUSY"),
    numbers.DECLINED: ("CHANUNAVAIL", "FAILED"),
    numbers.UNALLOCATED: ("CHANUNAVAIL", "FAILED"),
    numbers.UNAVAILABLE: ("NOANSWER", "NO ANSWER"),
    numbers.CONGESTION: ("CONGESTION", "FAILED"),
    "4123": ("ANSWER", "ANSWERED"),
    "3001": ("ANSWER", "ANSWERED"),
    "7100": ("ANSWER", "ANSWERED"),
}


async def test_each_contact_has_the_outcome_that_the_carrier_gave_it(stack):
    contacts = {numbers.ending(end): outcome for end, outcome in OUTCOMES.items() for _ in range(3)}
    unwanted = [numbers.plain() for _ in range(3)]
    people = [
        {"contact_name": "Ankit", "contact_number": number, "contact_fields": {"field1": str(n)}}
        for n, number in enumerate([*contacts, *unwanted])
    ]
    list_id = await campaign.contact_list(stack.api, *people)
    dnd = await campaign.dnd_list(stack.api, *unwanted)
    before = (await stack.api.get("/api/get_cdr_statistics")).expect().response["result"]
    campaign_id = await campaign.create(
        stack.api, list_id, dnd_list_id=dnd, announcement_text="{contact_name},, press {field1} now or later please"
    )
    over = await campaign.wait_over(stack.api, campaign_id)
    rows = await campaign.cdrs(stack.api, campaign_id)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert sorted(row["dialed_number"] for row in rows) == sorted([*contacts, *unwanted])
    for row in rows:
        as_the_sample(row, list_id, stack.json["account"])
        if row["dialed_number"] in unwanted:
            as_the_dnd_sample(row)
        else:
            assert (row["dial_status"], row["call_status"]) == contacts[row["dialed_number"]], row
            assert row["is_dnd"] == "0"
        if row["dialed_number"].endswith("4123"):
            assert row["dtmf_inputs"] == "123"
    assert over["status"] == "completed"
    assert (over["total"], over["done"], over["answered"]) == (27, 27, 9)
    assert over["reasons"] == {"ANSWER": 9, "BUSY": 3, "CHANUNAVAIL": 6, "NOANSWER": 3, "CONGESTION": 3, "DND": 3}
    assert over["keys"] == {"1": 3, "2": 3, "3": 3}
    assert await campaign.statistics(stack.api, campaign_id) == {
        "answer_calls": 9, "busy_calls": 3, "cancel_calls": 0, "chanunavail_calls": 6, "congestion_calls": 3,
        "dnd_calls": 3, "noanswer_calls": 3, "total_calls": 27,
    }  # fmt: skip
    after = (await stack.api.get("/api/get_cdr_statistics")).expect().response["result"]
    assert set(after) == {"answer_calls", "busy_calls", "cancel_calls", "chanunavail_calls", "congestion_calls", "noanswer_calls", "total_calls"}  # fmt: skip
    assert after["total_calls"][0] - before["total_calls"][0] == 27
    assert after["busy_calls"][0] - before["busy_calls"][0] == 3
    for number in unwanted:
        assert stack.calls_of(number) == []
    assert (await campaign.details(stack.api, campaign_id))["campaign_status"] == "3"
    (await stack.api.post("/api/stop_campaign", {"campaign_id": campaign_id})).expect(409)


def as_the_sample(row, list_id, account):
    assert set(row) == {
        "account_id", "agent_number", "answer", "billsec", "call_date", "call_direction", "call_duration", "call_status",
        "caller_id", "customer_number", "destination_context", "dial_status", "dialed_number", "dtmf_inputs", "end", "id",
        "is_dnd", "list_id", "recording_name", "request_id", "uniqueid",
    }  # fmt: skip
    assert (row["call_direction"], row["destination_context"]) == ("outbound-campaign", "local_call_campaign_type_0")
    assert (row["customer_number"], row["request_id"], row["agent_number"]) == ("", "", "")
    assert (row["list_id"], row["account_id"]) == (list_id, account)


def as_the_dnd_sample(row):
    epoch = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert EPOCH.year == 1970
    assert (row["dial_status"], row["call_status"], row["is_dnd"]) == ("DND", None, "1")
    assert (row["billsec"], row["call_duration"], row["uniqueid"]) == (None, None, "")
    assert (row["answer"], row["end"]) == (epoch, epoch)
    assert not row["call_date"].startswith("Thu, 01 Jan 1970")


async def test_who_does_not_answer_is_tried_again(stack):
    busy, gone = numbers.ending(numbers.BUSY), numbers.ending(numbers.UNALLOCATED)
    list_id = await campaign.contact_list(stack.api, busy, gone, "112")
    campaign_id = await campaign.create(
        stack.api, list_id, max_retries="2", retry_time="0", retry_on_statuses="BUSY, CHANUNAVAIL"
    )
    over = await campaign.wait_over(stack.api, campaign_id)
    tries = [row["dialed_number"] for row in await campaign.cdrs(stack.api, campaign_id)]
    assert (tries.count(busy), tries.count(gone)) == (3, 1)
    assert (over["done"], over["calls"]) == (3, 4)
    assert over["reasons"] == {"BUSY": 1, "CHANUNAVAIL": 1, "REFUSED": 1}, "an emergency number is never dialled"


async def test_a_stop_lets_go_of_whom_it_rings_and_dials_nobody_any_more(stack):
    ringing = [numbers.ending(numbers.RINGS_FOR_EVER) for _ in range(3)]
    later = [numbers.plain() for _ in range(3)]
    list_id = await campaign.contact_list(stack.api, *ringing, *later)
    campaign_id = await campaign.create(
        stack.api, list_id, max_concurrent="3", max_retries="3", retry_on_statuses="CANCEL"
    )

    async def all_ring():
        return (await campaign.progress(stack.api, campaign_id))["under_way"] == 3

    await eventually(all_ring, within=60, what="three calls under way")
    reply = await stack.api.post("/stop_campaign", {"campaign_id": f" {campaign_id} "})
    assert reply.expect().response == {"message": " campaign stopped successfully", "success": "true"}
    over = await campaign.wait_over(stack.api, campaign_id)
    rows = await campaign.cdrs(stack.api, campaign_id)
    assert {row["dialed_number"] for row in rows} == set(ringing)
    assert {(row["dial_status"], row["call_status"]) for row in rows} == {("CANCEL", "NO ANSWER")}
    assert over["reasons"] == {"CANCEL": 3, "CANCELLED": 3}
    assert (await campaign.details(stack.api, campaign_id))["campaign_status"] == "4"
    assert all(stack.calls_of(number) == [] for number in later)


async def test_paused_it_dials_nobody_and_resumed_it_goes_on(stack):
    first, second = numbers.ending("3006"), numbers.plain()
    list_id = await campaign.contact_list(stack.api, first, second)
    campaign_id = await campaign.create(
        stack.api, list_id, max_concurrent="1", announcement_text="a long text that takes its time to be said"
    )

    async def under_way():
        return (await campaign.progress(stack.api, campaign_id))["under_way"] == 1

    await eventually(under_way, within=60, what="a call under way")
    paused = (await stack.api.post(f"/api/campaigns/{campaign_id}/pause", {})).expect().response["campaign"]
    assert (paused["status"], paused["campaign_status"]) == ("paused", "2")
    (await stack.api.post(f"/api/campaigns/{campaign_id}/pause", {})).expect(409)

    async def done():
        return (await campaign.progress(stack.api, campaign_id))["done"] == 1

    await eventually(done, within=60, what="end of the first call")
    assert stack.calls_of(second) == []
    changed = await stack.api.request(
        "PATCH", f"/api/campaigns/{campaign_id}", body={"calls_per_minute": "600", "max_concurrent": 2}
    )
    assert changed.expect().response["campaign"]["calls_per_minute"] == 600
    (await stack.api.request("DELETE", f"/api/campaigns/{campaign_id}")).expect(409)
    (await stack.api.post(f"/api/campaigns/{campaign_id}/resume", {})).expect()
    assert (await campaign.wait_over(stack.api, campaign_id))["done"] == 2
    (await stack.api.post(f"/api/campaigns/{campaign_id}/resume", {})).expect(409)
    (await stack.api.request("DELETE", f"/api/campaigns/{campaign_id}")).expect()
    (await stack.api.get(f"/api/campaigns/{campaign_id}")).expect(404)


async def test_one_that_starts_later_waits(stack):
    list_id = await campaign.contact_list(stack.api, "911", numbers.plain())
    dnd = await campaign.dnd_list(stack.api, "919979270001")
    campaign_id = await campaign.create(
        stack.api, list_id, dnd_list_id=dnd, campaign_start_date="2035-07-11 14:30:00",
        campaign_end_date="2035-07-12 01:30:00", time_zone="Asia/Kolkata", repeat_count="3", max_retries="1", retry_time="60",
        calls_per_minute="10",
    )  # fmt: skip
    told = await campaign.details(stack.api, campaign_id)
    assert told == {
        "calls_per_minute": "10", "campaign_caller_id": "15168148111", "campaign_end_date": "Wed, 11 Jul 2035 20:00:00 GMT",
        "campaign_id": campaign_id, "campaign_name": told["campaign_name"],
        "campaign_start_date": "Wed, 11 Jul 2035 09:00:00 GMT", "campaign_status": "0", "campaign_type": "0",
        "max_retries": "1", "repeat_announcement_count": "3", "retry_time": "60",
    }  # fmt: skip
    preview = (await stack.api.get(f"/api/campaigns/{campaign_id}/preview")).expect().response["preview"]
    assert (preview["contacts"], preview["callable"], preview["not_callable"]) == (2, 1, {"emergency": 1})
    assert preview["when"] == [{"from": "2035-07-11T09:00:00.000Z", "contacts": 1}]
    for each in (list_id, dnd):
        (await stack.api.request("DELETE", f"/api/campaign_lists/{each}")).expect(409)
        (await stack.api2.request("DELETE", f"/api/campaign_lists/{each}")).expect(404)
    (await stack.api.post("/api/stop_campaign", {"campaign_id": campaign_id})).expect()
    for each in (list_id, dnd):
        (await stack.api.request("DELETE", f"/api/campaign_lists/{each}")).expect()
    assert (await stack.api.post("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id})).expect().response == {
        "message": "cdr not found", "result": [], "success": "true",
    }  # fmt: skip


async def test_the_documents_example_as_it_is_printed(stack):
    contacts = [{"contact_number": numbers.plain(), "contact_fields": {"field1": "a", "field2": "b", "field3": "500"}}]
    list_id, dnd = await campaign.contact_list(stack.api, *contacts), await campaign.dnd_list(stack.api, "919979270001")
    body = {
        "list_id": list_id, "dnd_list_id": dnd, "campaign_name": f"test_broadcast_campaign _test_volume {list_id}",
        "campaign_type": "0", "campaign_caller_id": "15168148111", "dynamic_announcement": "1", "recorded_filename": "",
        "announcement_text": "Dear, {field1} , {field2}, Your due balance is,, {field3},,INR only",
        "campaign_start_date": "2035-09-25 14:05:00", "campaign_end_date": "2035-09-26 20:00:00",
        "time_zone": "Asia/Kolkata", "repeat": "2", "max_retries": "1", "retry_time": "60", "calls_per_min ute": "10",
        "voice": "Matthew", "volume": "x- soft", "rate": "x- fast", "pitch": "medium", "language_code": "en- US",
        "tts_engine_type": "standard",
    }  # fmt: skip
    reply = (await stack.api.post("/api/create_campaign", body)).expect()
    assert set(reply.response) == {"campaign_id", "success"}
    (await stack.api.post("/api/stop_campaign", {"campaign_id": reply.response["campaign_id"]})).expect()


async def test_a_recorded_file_is_heard_as_often_as_asked(stack):
    number = numbers.ending(numbers.SILENT)
    (await stack.api.request("PUT", "/api/objects/announcement.wav", body=tone(1.0))).expect()
    list_id = await campaign.contact_list(stack.api, number)
    recorded = {"dynamic_announcement": "0", "recorded_filename": "announcement.wav", "announcement_text": ""}
    campaign_id = await campaign.create(stack.api, list_id, repeat="2", **recorded)
    await campaign.wait_over(stack.api, campaign_id)
    assert (await campaign.cdrs(stack.api, campaign_id))[0]["dial_status"] == "ANSWER"
    heard = (await stack.callee(number)).samples
    assert 1.2 < audio.tone_seconds(heard, 1000) < 2.6


def tone(seconds):
    """A WAV of 1000 Hz."""
    out = io.BytesIO()
    soundfile.write(out, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(int(seconds * 8000)) / 8000), 8000, format="WAV")
    return out.getvalue()


async def test_type_1_leads_into_the_menu(stack):
    """`welcome`: 9 says goodbye and hangs up."""
    presses = numbers.ending("4999")
    list_id = await campaign.contact_list(stack.api, presses)
    campaign_id = await campaign.create(
        stack.api, list_id, campaign_type="1", announcement_text="abc", connect_to="ivr:welcome"
    )
    over = await campaign.wait_over(stack.api, campaign_id, 90)
    row = (await campaign.cdrs(stack.api, campaign_id))[0]
    assert (row["dial_status"], row["destination_context"]) == ("ANSWER", "local_call_campaign_type_1")
    assert row["dtmf_inputs"] == "999"
    assert over["keys"] == {"9": 3}
    assert row["billsec"] > 1


async def test_type_1_connects_to_a_sip_address_and_to_a_mailbox(stack):
    host, _, port = stack.json["carrier"].rpartition(":")
    bot = numbers.ending("3002")
    contacts = [numbers.ending("7123"), numbers.ending("3006")]
    first, second = [await campaign.contact_list(stack.api, each) for each in contacts]
    by_sip = await campaign.create(
        stack.api, first, campaign_type="1", announcement_text="a", connect_to=f"sip:{bot}@{host}:{port}"
    )
    by_mailbox = await campaign.create(
        stack.api, second, campaign_type="1", announcement_text="a", connect_to="mailbox:103"
    )
    await campaign.wait_over(stack.api, by_sip)
    await campaign.wait_over(stack.api, by_mailbox)
    (row,) = await campaign.cdrs(stack.api, by_sip)
    assert (row["dialed_number"], row["dial_status"]) == (contacts[0], "ANSWER")
    assert audio.tone_present((await stack.callee(bot)).samples, numbers.tone_hz(contacts[0]))
    (row,) = await campaign.cdrs(stack.api, by_mailbox)
    assert (row["dialed_number"], row["dial_status"]) == (contacts[1], "ANSWER")
    assert row["billsec"] > 3


async def test_web_hooks_are_told_of_its_life(stack):
    receiver = Receiver()
    await receiver.start()
    try:
        hook = (await stack.api.post("/api/webhooks", {"url": receiver.url("/"), "types": ["campaign.*"]})).expect()
        list_id = await campaign.contact_list(stack.api, numbers.ending(numbers.BUSY))
        campaign_id = await campaign.create(stack.api, list_id)
        await campaign.wait_over(stack.api, campaign_id)

        async def told():
            found = [body for _, _, body, _ in receiver.got if body["data"]["campaign_id"] == campaign_id]
            return found if len(found) == 3 else None

        found = await eventually(told, within=60, what="three messages")
        await stack.api.request("DELETE", f"/api/webhooks/{hook.response['id']}")
    finally:
        await receiver.runner.cleanup()
    assert [each["type"] for each in found] == ["campaign.created", "campaign.started", "campaign.completed"]
    assert found[-1]["data"]["results"] == {"BUSY": 1}
    assert (found[-1]["data"]["status"], found[-1]["data"]["total"]) == ("completed", 1)


async def test_a_great_many_records_come_as_one_answer(stack):
    list_id = await campaign.contact_list(stack.api, numbers.plain())
    later = {"campaign_start_date": "2035-01-01 00:00:00", "campaign_end_date": "2035-01-02 00:00:00"}
    campaign_id = await campaign.create(stack.api, list_id, **later)
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute(
        "INSERT INTO cdr (request_id, conversation, account_id, agent_number, customer_number, caller_id, dialed_number,"
        " call_direction, destination_context, dial_status, call_date, uniqueid, end_reason, campaign_id, list_id)"
        " SELECT 'bulk-' || n, 0, 'account_1', '', '', '', n, 'outbound-campaign', 'local_call_campaign_type_0', 'BUSY', '2001-01-01'::timestamptz,"
        f" '', 'busy', '{campaign_id}', '{list_id}' FROM generate_series(1, 2500) AS n"
    )
    rows = await campaign.cdrs(stack.api, campaign_id)
    assert [row["dialed_number"] for row in rows] == [str(n) for n in range(1, 2501)]
    told = await campaign.statistics(stack.api, campaign_id)
    assert (told["busy_calls"], told["total_calls"]) == (2500, 2500)
    await connection.execute("DELETE FROM cdr WHERE campaign_id = $1", campaign_id)
    await connection.close()
    (await stack.api.request("DELETE", f"/api/campaigns/{campaign_id}")).expect()


LONG_TEXT = "hello, this is a call from somebody who would like to talk to you, please stay on the line"
"""Long enough for a phone to answer meanwhile, also on a busy machine."""


async def test_type_1_connects_to_a_phone_and_keeps_the_ledger(stack):
    contact = numbers.plain()
    list_id = await campaign.contact_list(stack.api, contact)
    async with await stack.phone("104") as phone:
        await phone.register()
        campaign_id = await campaign.create(
            stack.api, list_id, campaign_type="1", connect_to="104", announcement_text=LONG_TEXT
        )
        incoming = await phone.next_call()

        async def talking():
            live = await stack.api.calls()
            return [call for call in live if (call["campaign_id"], call["state"]) == (campaign_id, "talking")] or None

        await eventually(talking, within=60, what="a conversation")

        async def hearing():
            return audio.tone_present(incoming.heard, numbers.tone_hz(contact), min_seconds=0.1)

        await eventually(hearing, within=60, what="the contact at the phone")
        await incoming.hang_up()
        over = await campaign.wait_over(stack.api, campaign_id)
    assert audio.tone_present(incoming.heard, numbers.tone_hz(contact), min_seconds=0.1)
    assert over["abandonment"] == {"live_answers": 1, "abandoned": 0, "percent": 0.0, "limit": 3.0}
    row = (await campaign.cdrs(stack.api, campaign_id))[0]
    assert (row["dialed_number"], row["dial_status"]) == (contact, "ANSWER")
    table = (await stack.api.get(f"/api/campaigns/{campaign_id}/abandonment.csv")).expect()
    lines = table.body.decode().splitlines()
    assert lines[0].startswith("campaign_id,request_id,number,answered_at")
    assert len(lines) == 2
    assert lines[1].endswith(",connected")


async def test_nobody_there_is_an_abandoned_call_and_the_hard_stop(stack):
    contacts = [numbers.ending(numbers.SILENT) for _ in range(3)]
    list_id = await campaign.contact_list(stack.api, *contacts)
    campaign_id = await campaign.create(
        stack.api, list_id, campaign_type="1", connect_to="105", max_concurrent="1", safe_harbour_text="sorry"
    )

    async def paused():
        found = await campaign.progress(stack.api, campaign_id)
        return found if found["status"] == "paused" else None

    found = await eventually(paused, within=60, what="hard stop")
    assert (found["reason"], found["done"]) == ("abandonment", 1)
    assert found["abandonment"]["abandoned"] == 1
    (await stack.api.post(f"/api/campaigns/{campaign_id}/resume", {})).expect(409)
    assert (await stack.callee(contacts[0])).samples.any()
    assert stack.calls_of(contacts[1]) == []
    (await stack.api.post("/api/stop_campaign", {"campaign_id": campaign_id})).expect()


WRONG = {
    "end before start": ({"campaign_start_date": "2035-01-02 00:00:00", "campaign_end_date": "2035-01-01 00:00:00"}, "campaign_end_date"),
    "zero length": ({"campaign_start_date": "2035-01-01 00:00:00", "campaign_end_date": "2035-01-01 00:00:00"}, "campaign_end_date"),
    "past end": ({"campaign_start_date": "2023-09-25 14:05:00", "campaign_end_date": "2023-09-26 20:00:00"}, "campaign_end_date"),
    "no blank": ({"campaign_start_date": "2023-12-1810:00:00"}, "campaign_start_date"),
    "no such hour": ({"campaign_end_date": "2035-03-25 02:30:00", "time_zone": "Europe/Paris"}, "campaign_end_date"),
    "zone": ({"time_zone": "Mars/Olympus"}, "time_zone"),
    "pace 0": ({"calls_per_minute": "0"}, "calls_per_minute"),
    "pace negative": ({"calls_per_minute": "-1"}, "calls_per_minute"),
    "pace absurd": ({"calls_per_minute": "1000000"}, "calls_per_minute"),
    "no pace": ({"calls_per_minute": None}, "calls_per_minute"),
    "type": ({"campaign_type": "2"}, "campaign_type"),
    "no text": ({"announcement_text": ""}, "announcement_text"),
    "brace": ({"announcement_text": "hello {field1"}, "announcement_text"),
    "variable": ({"announcement_text": "hello {nowhere}"}, "announcement_text"),
    "markup": ({"announcement_text": "<b>hello</b>"}, "announcement_text"),
    "no file": ({"dynamic_announcement": "0", "recorded_filename": ""}, "recorded_filename"),
    "unknown file": ({"dynamic_announcement": "0", "recorded_filename": "nowhere.wav"}, "recorded_filename"),
    "path": ({"dynamic_announcement": "0", "recorded_filename": "../account_2/a.wav"}, "recorded_filename"),
    "status": ({"retry_on_statuses": "NOANSER,LATER"}, "retry_on_statuses"),
    "two retries": ({"max_retries": "1", "retry_attempts": "2"}, "retry_attempts"),
    "two repeats": ({"repeat": "1", "repeat_count": "2"}, "repeat_count"),
    "voice": ({"voice": "Nobody"}, "voice"),
    "rate": ({"rate": "quick"}, "rate"),
    "schedule": ({"schedule": {"mon": ["09:00-09:00"]}}, "schedule"),
    "day": ({"schedule": {"someday": ["09:00-10:00"]}}, "schedule"),
    "zone without schedule": ({"callee_zone": "true"}, "callee_zone"),
    "target of type 0": ({"connect_to": "101"}, "connect_to"),
    "menu": ({"campaign_type": "1", "connect_to": "ivr:nowhere"}, "connect_to"),
    "group": ({"campaign_type": "1", "connect_to": "group:nobody"}, "connect_to"),
    "uri": ({"campaign_type": "1", "connect_to": "sip:a b@c"}, "connect_to"),
    "caller": ({"campaign_caller_id": "x"}, "campaign_caller_id"),
    "name": ({"campaign_name": " "}, "campaign_name"),
    "unknown": ({"colour": "red"}, "colour"),
}  # fmt: skip


@pytest.fixture(scope="module")
async def some_list(stack):
    return await campaign.contact_list(stack.api, numbers.plain())


@pytest.mark.parametrize("what", WRONG)
async def test_what_makes_no_campaign(stack, some_list, what):
    changes, name = WRONG[what]
    errors = (
        (await stack.api.post("/api/create_campaign", campaign.fields(some_list, **changes)))
        .expect(422)
        .response["errors"]
    )
    assert errors.keys() == {name}


async def test_lists_that_make_no_campaign(stack, some_list):
    empty = await campaign.contact_list(stack.api)
    refused = await stack.api.post("/api/create_campaign", campaign.fields(empty))
    assert refused.expect(422).response["errors"].keys() == {"list_id"}
    (await stack.api2.post("/api/create_campaign", campaign.fields(some_list))).expect(404)
    for changes in ({"list_id": "LS0123456789"}, {"dnd_list_id": "DN0123456789"}, {"dnd_list_id": some_list}):
        (await stack.api.post("/api/create_campaign", {**campaign.fields(some_list), **changes})).expect(404)
    (await stack.api.post("/api/create_campaign", campaign.fields(some_list, campaign_caller_id="15550000000"))).expect(
        403
    )
    for path in ("stop_campaign", "get_campaign_cdr_statistics", "get_cdr_by_campaign_id"):
        (await stack.api.post(f"/api/{path}", {"campaign_id": "CM0123456789"})).expect(404)
    (await stack.api.get("/api/campaigns/nonsense")).expect(404)


async def test_a_name_is_taken_once_and_a_key_makes_one(stack, some_list):
    later = {"campaign_start_date": "2035-01-01 00:00:00", "campaign_end_date": "2035-01-02 00:00:00"}
    body = campaign.fields(some_list, **later)
    key = {"Idempotency-Key": f"key of {body['campaign_name']}"}
    first = (await stack.api.post("/api/create_campaign", body, **key)).expect().response["campaign_id"]
    assert (await stack.api.post("/api/create_campaign", body, **key)).expect().response["campaign_id"] == first
    assert (await stack.api.post("/api/create_campaign", body)).expect(422).response["errors"].keys() == {
        "campaign_name"
    }
    (await stack.api.post("/api/stop_campaign", {"campaign_id": first})).expect()
    (await stack.api.post("/api/stop_campaign", {"campaign_id": first})).expect(409)


async def test_contacts_that_lack_a_variable(stack):
    whole, lacking = numbers.plain(), numbers.plain()
    contacts = [{"contact_number": whole, "contact_fields": {"field1": "x"}}, {"contact_number": lacking}]
    list_id = await campaign.contact_list(stack.api, *contacts)
    refused = await stack.api.post("/api/create_campaign", campaign.fields(list_id, announcement_text="hello {field1}"))
    assert lacking in refused.expect(422).response["errors"]["announcement_text"]
    campaign_id = await campaign.create(stack.api, list_id, announcement_text="hello {field1}", missing_fields="skip")
    over = await campaign.wait_over(stack.api, campaign_id)
    assert over["reasons"] == {"ANSWER": 1, "SKIPPED": 1}


async def test_the_command_line_sees_and_stops_it(stack):
    list_id = await campaign.contact_list(stack.api, numbers.plain(), numbers.plain())
    later = {"campaign_start_date": "2035-01-01 00:00:00", "campaign_end_date": "2035-01-02 00:00:00"}
    campaign_id = await campaign.create(stack.api, list_id, campaign_type="1", **later)
    listed = json.loads(await stack.trunkline("campaigns", "list", "--json"))
    assert campaign_id in [each["campaign_id"] for each in listed]
    assert "2 of 2 contacts can be called" in await stack.trunkline("campaigns", "preview", campaign_id)
    stopped = await stack.trunkline("campaigns", "stop", campaign_id)
    assert "0/2" in stopped
    assert "ivr:welcome" in stopped
    assert "stopped" in await stack.trunkline("campaigns", "watch", campaign_id)
