"""``kill -9`` of the engine in the middle of a campaign: nobody is forgotten, nobody is called twice."""

import random
import time

import pytest

from engine.testkit import numbers
from engine.testkit.poll import eventually
from tests.acceptance import campaign_calls as campaign

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio(loop_scope="session")]


EACH = 1250


async def done_at_least(stack, campaign_id, share, within):
    async def look():
        found = await campaign.progress(stack.api, campaign_id)
        return found["done"] >= share * found["total"]

    await eventually(look, within=within, what=f"{share:.0%} of the campaign", every=0.1)


async def kill(stack, name="engine"):
    pid = stack.kill(name)
    await stack.wait_ready(name=name, but=pid, within=90)


async def test_the_next_engine_goes_on(stack):
    contacts, unwanted = campaign.mixed(numbers.ending, 3), [numbers.plain() for _ in range(3)]
    list_id = await campaign.contact_list(stack.api, *contacts, *unwanted)
    dnd = await campaign.dnd_list(stack.api, *unwanted)
    campaign_id = await campaign.create(
        stack.api, list_id, dnd_list_id=dnd, max_retries="3", retry_time="0", calls_per_minute="400"
    )
    await done_at_least(stack, campaign_id, 0.4, 60)
    await kill(stack)
    over = await campaign.wait_over(stack.api, campaign_id, 120)
    assert over["status"] == "completed"
    await campaign.as_the_carrier_gave_it(stack, campaign_id, contacts, unwanted, most=4)


@pytest.mark.long
async def test_ten_thousand_contacts_five_killed_engines_and_an_asterisk(stack):
    contacts = campaign.mixed(lambda end: f"91{next(_serial):06d}{end}", EACH)
    unwanted = [f"91{next(_serial):06d}7000" for _ in range(200)]
    lines = "".join(f"{number}\n" for number in (*contacts, *unwanted)).encode()
    (await stack.api.request("PUT", "/api/objects/ten_thousand.csv", body=b"contact_number\n" + lines)).expect()
    list_id = await campaign.contact_list(stack.api)
    body = {"list_id": list_id, "csv_name": "ten_thousand.csv"}
    (await stack.api.post("/api/import_broadcast_contacts_csv", body)).expect()
    dnd = await campaign.dnd_list(stack.api, *unwanted)
    pace = {"calls_per_minute": "6000", "max_concurrent": "200", "campaign_end_date": campaign.wall(3 * 3600)}
    retry = {"max_retries": "3", "retry_time": "1", "retry_on_statuses": "NOANSWER,BUSY,CHANUNAVAIL,CONGESTION,CANCEL"}
    campaign_id = await campaign.create(stack.api, list_id, dnd_list_id=dnd, **pace, **retry)
    for n in range(6):
        await done_at_least(stack, campaign_id, (n + random.random()) / 8, 1800)
        if n == 3:
            died = time.time()
        await kill(stack, "asterisk" if n == 3 else "engine")
    await campaign.wait_over(stack.api, campaign_id, 3600)
    await campaign.as_the_carrier_gave_it(stack, campaign_id, contacts, unwanted, most=4, deaths=(died,))


_serial = iter(range(100_000, 1_000_000))
