"""Campaigns as the tests here run them."""

from datetime import UTC, datetime, timedelta
from itertools import count

from engine import ids
from engine.testkit.client import CALLER_ID
from engine.testkit.poll import eventually

_NAMES = count(1)
OVER = ("completed", "stopped")


def wall(seconds=0.0):
    """As the document writes times, UTC."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


async def contact_list(api, *contacts):
    """Numbers, or whole contacts."""
    list_id = (
        (await api.post("/api/create_campaign_list", {"list_name": f"contacts {next(_NAMES)}"}))
        .expect()
        .response["list_id"]
    )
    if contacts:
        whole = [each if isinstance(each, dict) else {"contact_number": each} for each in contacts]
        (await api.post("/api/add_contact_to_list", {"list_id": list_id, "contacts": whole})).expect()
    return list_id


async def dnd_list(api, *numbers):
    made = await api.post("/api/create_campaign_dnd_list", {"dnd_list_name": f"no {next(_NAMES)}"})
    list_id = made.expect().response["dnd_list_id"]
    contacts = [{"dnd_contact_number": number} for number in numbers]
    (await api.post("/api/add_dnd_contact_to_list", {"dnd_list_id": list_id, "dnd_contacts": contacts})).expect()
    return list_id


def fields(list_id, **changes):
    body = {
        "list_id": list_id,
        "campaign_name": f"campaign {next(_NAMES)}",
        "campaign_type": "0",
        "campaign_caller_id": CALLER_ID,
        "dynamic_announcement": "1",
        "recorded_filename": "",
        "announcement_text": "hello",
        "campaign_start_date": wall(-60),
        "campaign_end_date": wall(3600),
        "time_zone": "UTC",
        "calls_per_minute": "1200",
        "retry_time": "1",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def create(api, list_id, **changes):
    reply = await api.post("/api/create_campaign", fields(list_id, **changes))
    return reply.expect().response["campaign_id"]


async def progress(api, campaign_id):
    return (await api.get(f"/api/campaigns/{campaign_id}")).expect().response["campaign"]


async def wait_over(api, campaign_id, within=60.0):
    async def look():
        found = await progress(api, campaign_id)
        return found if found["status"] in OVER and not found["under_way"] else None

    async def tell():
        return str(await progress(api, campaign_id))

    return await eventually(look, within=within, what=f"end of {campaign_id}", tell=tell, every=0.1)


async def cdrs(api, campaign_id):
    return (await api.post("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id})).expect().response["result"]


async def details(api, campaign_id):
    found = (await api.get("/api/get_campaign_details")).expect().response["result"]
    return next(each for each in found if each["campaign_id"] == campaign_id)


async def statistics(api, campaign_id):
    reply = await api.post("/api/get_campaign_cdr_statistics", {"campaign_id": campaign_id})
    return {name: value[0] for name, value in reply.expect().response["result"].items()}


OUTCOMES = {
    "0486": "BUSY",
    "0603": "CHANUNAVAIL",
    "0404": "CHANUNAVAIL",
    "0480": "NOANSWER",
    "0503": "CONGESTION",
    "4123": "ANSWER",
    "3000": "ANSWER",
    "7100": "ANSWER",
}
"""Last digits → what the carrier gives."""


def mixed(number, each):
    """``each`` numbers of every outcome, in turns → the outcome."""
    return {number(end): outcome for _ in range(each) for end, outcome in OUTCOMES.items()}


def _died_with(call, deaths):
    """An event of a busy Asterisk may be a second old when it comes."""
    return any(call.started < at < call.ended + 1 for at in deaths)


async def was_cut_off(stack, row):
    """Whether the try ended because what carried it died, before its answer came to us."""
    call = (await stack.api.get(f"/api/calls/{ids.request_of(row['uniqueid'])}")).expect().response["call"]
    return call["reconciled"] and call["answered_at"] is None


async def as_the_carrier_gave_it(stack, campaign_id, contacts, unwanted, *, most, deaths=()):
    """Every contact has its outcome, was tried at most ``most`` times and never twice at once; CDRs are tries and DND
    rows, no more and no less; counters tell the same as the CDRs. Who answered at one of Asterisk's ``deaths`` (Unix
    time) may have been called again: nobody heard of the answer."""
    over = await progress(stack.api, campaign_id)
    rows = await cdrs(stack.api, campaign_id)
    tries = {}
    for row in rows:
        tries.setdefault(row["dialed_number"], []).append(row)
    assert set(tries) == {*contacts, *unwanted}
    for number, outcome in contacts.items():
        statuses = [row["dial_status"] for row in tries[number]]
        if statuses[-1] != outcome:
            assert len(statuses) == most, (number, statuses)
            assert await was_cut_off(stack, tries[number][-1]), (number, statuses)
        assert len(statuses) <= most, (number, statuses)
        assert len(stack.calls_of(number)) <= len(statuses), number
        if outcome == "ANSWER":
            assert statuses.count("ANSWER") == 1, (number, statuses)
            calls = [each for each in stack.calls_of(number) if not _died_with(each, deaths)]
            assert len(calls) <= 1, number
    for number in unwanted:
        assert [row["dial_status"] for row in tries[number]] == ["DND"]
        assert stack.calls_of(number) == []
    assert (over["done"], over["total"]) == (len(contacts) + len(unwanted),) * 2
    assert len(rows) == over["calls"] + len(unwanted)
    told = await statistics(stack.api, campaign_id)
    assert told["total_calls"] == len(rows)
    for name, status in (("busy_calls", "BUSY"), ("answer_calls", "ANSWER"), ("dnd_calls", "DND")):
        assert told[name] == sum(row["dial_status"] == status for row in rows)
    assert over["reasons"]["ANSWER"] == sum(outcome == "ANSWER" for outcome in contacts.values())
    return rows
