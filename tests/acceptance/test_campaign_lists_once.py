"""``Idempotency-Key`` on what fills lists: sent twice, it is done once, and answered as the first time."""

from engine.testkit.client import new_key
from engine.testkit.numbers import plain
from tests.acceptance import campaign_calls as campaign


async def test_contacts_are_added_once(stack):
    list_id, key = await campaign.contact_list(stack.api), {"Idempotency-Key": new_key()}
    body = {"list_id": list_id, "contacts": [{"contact_number": plain()}, {"contact_number": plain()}]}

    async def add(changed=None, headers=None):
        return await stack.api.request("POST", "/api/add_contact_to_list", body=changed or body, headers=headers)

    first = (await add(headers=key)).expect().response
    assert first["message"] == "(2) contacts imported successfully"
    assert (await add(headers=key)).expect().response == first
    again = (await add()).expect().response
    assert (again["message"], again["duplicates"]) == ("(0) contacts imported successfully", 2)
    (await add(body | {"contacts": [{"contact_number": plain()}]}, headers=key)).expect(409)


async def test_files_are_imported_once_and_a_refused_one_may_come_again(stack):
    list_id, key = await campaign.contact_list(stack.api), {"Idempotency-Key": new_key()}
    name = f"{plain()}.csv"
    body = {"list_id": list_id, "csv_name": name}

    async def import_(lines):
        (await stack.api.request("PUT", f"/api/objects/{name}", body=lines.encode())).expect()
        return await stack.api.request("POST", "/api/import_broadcast_contacts_csv", body=body, headers=key)

    (await import_(f"contact_number\n{plain()}\nnobody\n")).expect(422)
    first = (await import_(f"contact_number\n{plain()}\n{plain()}\n")).expect().response
    assert first["message"] == "(2) contacts imported successfully"
    assert (await import_(f"contact_number\n{plain()}\n")).expect().response == first


async def test_a_campaign_is_made_once_whatever_became_of_its_list(stack):
    list_id, key = await campaign.contact_list(stack.api, plain()), {"Idempotency-Key": new_key()}
    body = campaign.fields(list_id, campaign_start_date=campaign.wall(1800))

    async def create():
        reply = await stack.api.request("POST", "/api/create_campaign", body=body, headers=key)
        return reply.expect().response["campaign_id"]

    made = await create()
    (await stack.api.post("/api/stop_campaign", {"campaign_id": made})).expect()
    (await stack.api.request("DELETE", f"/api/campaign_lists/{list_id}")).expect()
    assert await create() == made
