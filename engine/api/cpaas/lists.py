"""Lists of contacts and do-not-dial lists, as the cpaas document has them."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from engine.api.encoding import dumps
from engine.api.fields import IDENTIFIER, Bad, Field, Kind, Schema, enum, scalar
from engine.api.route import Answer, Ask, Route
from engine.commands import lists
from engine.commands.idempotency import remembered
from engine.commands.lists import BadRows, Imported
from engine.dialer.contacts.port import Contact
from engine.dialer.contacts.rows import LONGEST_FIELD_NAME, LONGEST_NAME, LONGEST_VALUE

_MOST_SHOWN = 20
"""Contacts whose faults are told of."""


def _contacts(prefix: str) -> Callable[[Any], list[Contact]]:
    """``prefix``: of the keys of a contact, ``contact_`` or ``dnd_contact_``."""

    def parse(value: Any) -> list[Contact]:
        given = _decoded(value)
        if not isinstance(given, list) or not given:
            raise Bad("must be an array of contacts")
        made, wrong = [], []
        for n, each in enumerate(given):
            try:
                made.append(_contact(each, prefix))
            except Bad as error:
                wrong.append(f"contact {n + 1}: {error}")
        if wrong:
            more = f"; and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else ""
            raise Bad("; ".join(wrong[:_MOST_SHOWN]) + more)
        return made

    return parse


def _decoded(value: Any) -> Any:
    """The document calls the array a string, and so it may be one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise Bad("must be an array of contacts") from None


def _contact(given: Any, prefix: str) -> Contact:
    if not isinstance(given, Mapping):
        raise Bad("must be an object")
    values = {"".join(str(key).split()): value for key, value in given.items()}
    number = values.pop(f"{prefix}number", None)
    name = values.pop(f"{prefix}name", None)
    fields = values.pop("contact_fields", None) if prefix == "contact_" else None
    if values:
        raise Bad(f"{min(values)[:64]} is an unknown field")
    if number is None:
        raise Bad(f"{prefix}number is required")
    name = "" if name is None else scalar(name).strip()
    if len(name) > LONGEST_NAME or "\0" in name:
        raise Bad(f"{prefix}name must be at most {LONGEST_NAME} characters")
    return Contact(scalar(number), _safe(name), json.dumps(_fields(fields)))


def _fields(given: Any) -> dict[str, str]:
    """Those that have a value, as texts."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Bad("contact_fields must be an object")
    return {str(name): text for name, value in given.items() if (text := _value(str(name), value))}


def _value(name: str, value: Any) -> str:
    if not 1 <= len(name) <= LONGEST_FIELD_NAME or not name.isprintable() or set("{}") & set(name):
        raise Bad("contact_fields has a key that a field can't have")
    text = "" if value is None else str(value) if isinstance(value, float) else scalar(value)
    if len(text) > LONGEST_VALUE:
        raise Bad(f"{name} has more than {LONGEST_VALUE} characters")
    return _safe(text.strip())


def _safe(text: str) -> str:
    """What no text in PostgreSQL can hold has no sound either."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


_CONTACT = {
    "type": "object",
    "required": ["contact_number"],
    "properties": {
        "contact_name": {"type": "string"},
        "contact_number": {"type": ["string", "integer"]},
        "contact_fields": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
    },
}
_DND_CONTACT = {
    "type": "object",
    "required": ["dnd_contact_number"],
    "properties": {"dnd_contact_name": {"type": "string"}, "dnd_contact_number": {"type": ["string", "integer"]}},
}
LIST_ID = Field("list_id", IDENTIFIER, "A list of the account", "LSaa8f9db7e6")
DND_LIST_ID = Field("dnd_list_id", IDENTIFIER, "A do-not-dial list of the account", "DN95716be314")
ON_ERROR = Field(
    "on_error",
    enum(("fail", "skip")),
    "`fail`: one bad row and nothing is imported; `skip`: bad rows are left out",
    "fail",
    required=False,
    default="fail",
)
NEW_LIST = Schema("CampaignList", Field("list_name", IDENTIFIER, "Unique in the account", "my_campaign_list"))
NEW_DND_LIST = Schema("DndList", Field("dnd_list_name", IDENTIFIER, "Unique in the account", "my_first_DND_list"))
CONTACTS = Schema(
    "Contacts",
    LIST_ID,
    Field(
        "contacts",
        Kind(_contacts("contact_"), {"type": "array", "items": _CONTACT, "minItems": 1}),
        "Who is to be called; `contact_fields` are variables of announcements",
        [
            {
                "contact_name": "ankit",
                "contact_number": "919979270001",
                "contact_fields": {"field1": "Ankit", "field2": "Jayswal", "field3": "500"},
            }
        ],
    ),
)
DND_CONTACTS = Schema(
    "DndContacts",
    DND_LIST_ID,
    Field(
        "dnd_contacts",
        Kind(_contacts("dnd_contact_"), {"type": "array", "items": _DND_CONTACT, "minItems": 1}),
        "Who is not to be called",
        [{"dnd_contact_name": "ankit", "dnd_contact_number": "919979270001"}],
    ),
)
_FILE = "A CSV file of the account's objects (`PUT /api/objects/{name}`)"
CSV = Schema("ContactsCsv", LIST_ID, Field("csv_name", IDENTIFIER, _FILE, "contacts.csv"), ON_ERROR)
DND_CSV = Schema("DndCsv", DND_LIST_ID, Field("dnd_csv_name", IDENTIFIER, _FILE, "dnd_contacts.csv"), ON_ERROR)


async def create_list(ask: Ask) -> Mapping[str, Any]:
    made = await lists.create(ask.ctx, ask.name, ask.fields["list_name"], do_not_dial=False, key=await ask.key())
    return {"list_id": made}


async def create_dnd_list(ask: Ask) -> Mapping[str, Any]:
    made = await lists.create(ask.ctx, ask.name, ask.fields["dnd_list_name"], do_not_dial=True, key=await ask.key())
    return {"dnd_list_id": made}


async def add_contacts(ask: Ask) -> Mapping[str, Any]:
    return await _added(ask, ask.fields["list_id"], ask.fields["contacts"], do_not_dial=False)


async def add_dnd_contacts(ask: Ask) -> Mapping[str, Any]:
    return await _added(ask, ask.fields["dnd_list_id"], ask.fields["dnd_contacts"], do_not_dial=True)


async def _added(ask: Ask, list_id: str, contacts: Sequence[Contact], *, do_not_dial: bool) -> Mapping[str, Any]:
    async def act() -> Mapping[str, Any]:
        done = await lists.add(ask.ctx, ask.account, list_id, contacts, do_not_dial=do_not_dial)
        return _told(done, do_not_dial=do_not_dial)

    return await remembered(ask.ctx, ask.name, await ask.key(), act)


async def import_csv(ask: Ask) -> Mapping[str, Any] | web.StreamResponse:
    return await _imported(ask, "list_id", "csv_name", do_not_dial=False)


async def import_dnd_csv(ask: Ask) -> Mapping[str, Any] | web.StreamResponse:
    return await _imported(ask, "dnd_list_id", "dnd_csv_name", do_not_dial=True)


async def _imported(
    ask: Ask, list_field: str, file_field: str, *, do_not_dial: bool
) -> Mapping[str, Any] | web.StreamResponse:
    fields = ask.fields

    async def act() -> Mapping[str, Any]:
        done = await lists.load(
            ask.ctx,
            ask.account,
            fields[list_field],
            fields[file_field],
            do_not_dial=do_not_dial,
            skip=fields["on_error"] == "skip",
            field_name=file_field,
        )
        return _told(done, do_not_dial=do_not_dial)

    try:
        return await remembered(ask.ctx, ask.name, await ask.key(), act)
    except BadRows as error:
        return _refused(error)


def _told(done: Imported, *, do_not_dial: bool) -> Mapping[str, Any]:
    """The document's message; what it knows nothing of is told only where there is something to tell."""
    kind = "DND " if do_not_dial else ""
    told: dict[str, Any] = {"message": f"({done.added}) {kind}contacts imported successfully"}
    if done.duplicates:
        told["duplicates"] = done.duplicates
    if done.bad:
        told |= {"bad_rows": done.bad, "rows": list(done.shown)}
    return told


def _refused(error: BadRows) -> web.Response:
    body = {"success": "false", "message": error.message, "errors": {"rows": list(error.shown)}, "bad_rows": error.bad}
    return web.Response(status=422, body=dumps({"response": body}), content_type="application/json")


_COUNT = {"type": "integer"}
_ROWS = {
    "type": "array",
    "items": {"type": "object", "properties": {"line": _COUNT, "error": {"type": "string"}}},
}


def _answer(kind: str = "") -> Mapping[int, Answer]:
    return {
        200: Answer(
            "They are on the list",
            {
                "message": {"type": "string"},
                "duplicates": {
                    **_COUNT,
                    "description": "Numbers left out that came twice or were there; absent when none",
                },
                "bad_rows": {**_COUNT, "description": "Rows left out by `on_error: skip`; absent when none"},
                "rows": {**_ROWS, "description": "The first 100 of them"},
            },
            {"message": f"(2) {kind}contacts imported successfully"},
        )
    }


def _made(name: str, example: str) -> Mapping[int, Answer]:
    pattern = f"^{example[:2]}[0-9a-f]{{10}}$"
    return {200: Answer("The new list", {name: {"type": "string", "pattern": pattern}}, {name: example})}


def _route(path: str, summary: str, handler: Any, body: Schema, answers: Mapping[int, Answer], **more: Any) -> Route:
    return Route("POST", f"/api/{path}", summary, handler, scope="campaign", body=body, answers=answers, **more)


ROUTES = (
    _route(
        "create_campaign_list",
        "Make a list of contacts",
        create_list,
        NEW_LIST,
        _made("list_id", "LSdb6a12e1f1"),
        creates=True,
        errors=(409, 503),
    ),
    _route(
        "add_contact_to_list",
        "Add contacts to a list; numbers that are on it stay as they are",
        add_contacts,
        CONTACTS,
        _answer(),
        creates=True,
        errors=(404, 409, 503),
    ),
    _route(
        "import_broadcast_contacts_csv",
        "Import contacts from a CSV file; answers when it is done",
        import_csv,
        CSV,
        _answer(),
        creates=True,
        errors=(404, 409, 503),
    ),
    _route(
        "create_campaign_dnd_list",
        "Make a do-not-dial list",
        create_dnd_list,
        NEW_DND_LIST,
        _made("dnd_list_id", "DNda1b361461"),
        creates=True,
        errors=(409, 503),
    ),
    _route(
        "add_dnd_contact_to_list",
        "Add numbers to a do-not-dial list; running campaigns heed them at once",
        add_dnd_contacts,
        DND_CONTACTS,
        _answer("DND "),
        creates=True,
        errors=(404, 409, 503),
    ),
    _route(
        "import_dnd_contacts_csv",
        "Import numbers from a CSV file into a do-not-dial list",
        import_dnd_csv,
        DND_CSV,
        _answer("DND "),
        creates=True,
        errors=(404, 409, 503),
    ),
)
