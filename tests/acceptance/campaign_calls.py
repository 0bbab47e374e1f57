"""Campaigns as the tests here run them."""

from datetime import UTC, datetime, timedelta
from itertools import count

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
