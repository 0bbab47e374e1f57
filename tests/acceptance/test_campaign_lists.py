"""Lists of contacts and do-not-dial lists over the API."""

import json
from itertools import count

import pytest

_NAMES = count(1)


def unique(word):
    return f"{word} {next(_NAMES)}"


async def new_list(api, *, do_not_dial=False):
    word = "dnd_list" if do_not_dial else "list"
    path = "/api/create_campaign_dnd_list" if do_not_dial else "/api/create_campaign_list"
    reply = (await api.post(path, {f"{word}_name": unique("list")})).expect()
    assert set(reply.response) == {f"{word}_id", "success"}
    return reply.response[f"{word}_id"]


async def put(api, name, data):
    (await api.request("PUT", f"/api/objects/{name}", body=data)).expect()


async def test_lists_as_the_document_has_them(stack):
    list_id, dnd_list_id = await new_list(stack.api), await new_list(stack.api, do_not_dial=True)
    assert (list_id[:2], dnd_list_id[:2]) == ("LS", "DN")
    contacts = [
        {"contact_name": "ankit", "contact_number": "919979270001",
         "co ntact_fields": {"field1": "Ankit", "field2": "Jayswal", "field3": "500"}},
        {"contact_name": "abc", "contact_numb er": 918000680002, "contact_fields": {"field1": "abc"}},
    ]  # fmt: skip
    reply = await stack.api.post("/api/add_contact_to_list", {"list_id": f" {list_id} ", "contacts": contacts})
    assert reply.expect().response == {"message": "(2) contacts imported successfully", "success": "true"}
    again = {"list_id": list_id, "contacts": json.dumps(contacts)}
    assert (await stack.api.post("/api/add_contact_to_list", again)).expect().response["duplicates"] == 2
    dnd = [{"dnd_contact_name": "ankit", "dnd_contact_number": "919979270001"}, {"dnd_contact_number": "9180006800"}]
    reply = await stack.api.post("/api/add_dnd_contact_to_list", {"dnd_list_id": dnd_list_id, "dnd_contacts": dnd})
    assert reply.expect().response == {"message": "(2) DND contacts imported successfully", "success": "true"}


async def test_files_as_the_document_has_them(stack):
    list_id, dnd_list_id = await new_list(stack.api), await new_list(stack.api, do_not_dial=True)
    await put(
        stack.api,
        "contacts_dynamic.csv",
        "contact_number;contact_name;stadt\r\n919979270001;Jörg;Köln\r\n918000680002;b;c\r\n".encode("cp1252"),
    )
    body = {"list_id": list_id, "csv_name": "contacts_dynamic.csv"}
    reply = await stack.api.post("/api/import_broadcast_contacts_csv", body)
    assert reply.expect().response == {"message": "(2) contacts imported successfully", "success": "true"}
    await put(stack.api, "dnd.csv", b"dnd_contact_number\n919979270001\n918000680002\n918000680002\n")
    body = {"dnd_list_id": dnd_list_id, "dnd_csv_name": "dnd.csv"}
    reply = await stack.api.post("/api/import_dnd_contacts_csv", body)
    assert reply.expect().response == {
        "message": "(2) DND contacts imported successfully",
        "duplicates": 1,
        "success": "true",
    }


async def test_a_bad_row_and_nothing_is_imported_unless_it_is_skipped(stack):
    list_id = await new_list(stack.api)
    await put(stack.api, "bad.csv", b"contact_number,contact_name\n919979270001,a\nnobody,b\n918000680002,c\n")
    body = {"list_id": list_id, "csv_name": "bad.csv"}
    refused = (await stack.api.post("/api/import_broadcast_contacts_csv", body)).expect(422).response
    assert refused["success"] == "false"
    assert refused["bad_rows"] == 1
    assert [row["line"] for row in refused["errors"]["rows"]] == [3]
    assert "number" in refused["errors"]["rows"][0]["error"]
    done = (await stack.api.post("/api/import_broadcast_contacts_csv", {**body, "on_error": "skip"})).expect().response
    assert (done["message"], done["bad_rows"]) == ("(2) contacts imported successfully", 1)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (bytes(range(256)) * 4, "binary"),
        (b"PK\x03\x04" + b"\x00" * 100, "workbook"),
        (b"contact_name,field1\nAnkit,1\n", "contact_number"),
        (b"x" * (900 << 10), "longer"),
        (b"", "empty"),
        (b"contact_number\n", "no row"),
    ],
)
async def test_files_that_are_no_list(stack, data, told):
    list_id = await new_list(stack.api)
    await put(stack.api, "wrong.csv", data)
    body = {"list_id": list_id, "csv_name": "wrong.csv"}
    errors = (await stack.api.post("/api/import_broadcast_contacts_csv", body)).expect(422).response["errors"]
    assert told in errors["csv_name"]


async def test_what_is_not_there(stack):
    contacts = [{"contact_number": "919979270001"}]
    for list_id in ("LS0123456789", "DN0123456789", "nonsense", "../x"):
        await refuse(stack.api, 404, "add_contact_to_list", list_id=list_id, contacts=contacts)
    mine = await new_list(stack.api)
    await refuse(stack.api2, 404, "add_contact_to_list", list_id=mine, contacts=contacts)
    await refuse(stack.api2, 404, "import_broadcast_contacts_csv", list_id=mine, csv_name="a.csv")
    await refuse(stack.api, 404, "import_broadcast_contacts_csv", list_id=mine, csv_name="no_such.csv")
    errors = await refuse(stack.api, 422, "import_broadcast_contacts_csv", list_id=mine, csv_name="../account_2/a.csv")
    assert errors.keys() == {"csv_name"}


async def refuse(api, status, path, **body):
    return (await api.post(f"/api/{path}", body)).expect(status).response["errors"]


@pytest.mark.parametrize(
    "contacts",
    [
        [],
        "",
        "nonsense",
        {},
        ["919979270001"],
        [{}],
        [{"contact_number": "12"}],
        [{"contact_number": "919979270001", "x": 1}],
        [{"contact_number": "919979270001", "contact_fields": [1]}],
        [{"contact_number": "919979270001", "contact_fields": {"a": {"b": 1}}}],
        [{"contact_number": "919979270001", "contact_name": "x" * 300}],
    ],
)
async def test_contacts_that_are_none(stack, contacts):
    list_id = await new_list(stack.api)
    errors = await refuse(stack.api, 422, "add_contact_to_list", list_id=list_id, contacts=contacts)
    assert errors.keys() == {"contacts"}


async def test_a_name_is_taken_once(stack):
    name = unique("taken")
    (await stack.api.post("/api/create_campaign_list", {"list_name": name})).expect()
    assert await refuse(stack.api, 422, "create_campaign_list", list_name=name)
    (await stack.api2.post("/api/create_campaign_list", {"list_name": name})).expect()
    for wrong in ("", " ", "x" * 200, None):
        assert (await refuse(stack.api, 422, "create_campaign_list", list_name=wrong)).keys() == {"list_name"}
