"""/api/otp_templates: what is said when a one-time password is announced."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, Bad, Field, Kind, Schema, enum, whole
from engine.api.route import Answer, Ask, Route
from engine.api.views import iso
from engine.commands import otp_templates
from engine.store.port import OtpTemplate

MAX_PAGE = 500


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Bad("must be a string")
    return value.strip()


TEXT = Kind(_text, {"type": "string", "maxLength": otp_templates.LONGEST_TEXT})
_NAME = Field("name", IDENTIFIER, "For people", "code")
_SAID = Field("text", TEXT, "Plain text with `{otp}` where the password is spoken", "Your code is {otp}")
_LANGUAGE = Field(
    "language", TEXT, "Of calls that name neither voice nor language", "en-US", required=False, default=""
)
_OTP_TYPE = Field(
    "otp_type",
    enum(otp_templates.TYPES),
    "What its passwords are made of",
    "digits",
    required=False,
    default="digits",
)
BODY = Schema("OtpTemplate", _NAME, _SAID, _LANGUAGE, _OTP_TYPE)
CHANGES = Schema(
    "OtpTemplateChanges",
    *(
        Field(each.name, each.kind, each.doc, each.example, required=False)
        for each in (_NAME, _SAID, _LANGUAGE, _OTP_TYPE)
    ),
)
PAGE = Schema(
    "OtpTemplatePage",
    Field("limit", whole(1, MAX_PAGE), "Templates on a page", 100, required=False, default=100),
    Field("cursor", IDENTIFIER, "`next` of the page before", "AN2222314c96", required=False),
)
TEMPLATE_ID = Field("template_id", IDENTIFIER, "As it was answered when it was made", "AN2222314c96")


async def create(ask: Ask) -> Mapping[str, Any]:
    made = await otp_templates.create(ask.ctx, ask.name, ask.fields, await ask.key())
    return {"id": made.id, "template": template_view(made)}


async def listed(ask: Ask) -> Mapping[str, Any]:
    page, following = await otp_templates.page(
        ask.ctx, ask.name, limit=ask.fields["limit"], after=ask.fields["cursor"]
    )  # fmt: skip
    return {"templates": [template_view(each) for each in page], "next": following}


async def show(ask: Ask) -> Mapping[str, Any]:
    return {"template": template_view(await otp_templates.show(ask.ctx, ask.name, ask.path("template_id")))}


async def change(ask: Ask) -> Mapping[str, Any]:
    changed = await otp_templates.change(ask.ctx, ask.name, ask.path("template_id"), ask.fields)
    return {"id": changed.id, "template": template_view(changed)}


async def remove(ask: Ask) -> Mapping[str, Any]:
    template_id = ask.path("template_id")
    await otp_templates.remove(ask.ctx, ask.name, template_id)
    return {"id": template_id, "message": "template deleted successfully"}


def template_view(template: OtpTemplate) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "text": template.text,
        "language": template.language,
        "otp_type": template.otp_type,
        "state": template.state,
        "created_at": iso(template.created_at),
        "updated_at": iso(template.updated_at),
        "approved_at": iso(template.approved_at),
    }


_ID = {"type": "string", "pattern": "^AN[0-9a-f]{10}$"}
_TIME = {"type": "string", "format": "date-time"}
_SCHEMA = {
    "type": "object",
    "properties": {
        "id": _ID,
        "name": {"type": "string"},
        "text": {"type": "string"},
        "language": {"type": "string"},
        "otp_type": {"type": "string", "enum": list(otp_templates.TYPES)},
        "state": {"type": "string", "enum": ["draft", "approved"]},
        "created_at": _TIME,
        "updated_at": _TIME,
        "approved_at": {"type": ["string", "null"], "format": "date-time"},
    },
}
_SEEN = "2026-11-22T00:20:52.123Z"
_EXAMPLE = {
    "id": "AN2222314c96",
    "name": "code",
    "text": "Your code is {otp}",
    "language": "",
    "otp_type": "digits",
    "state": "draft",
    "created_at": _SEEN,
    "updated_at": _SEEN,
    "approved_at": None,
}
_ONE = Answer("The template", {"id": _ID, "template": _SCHEMA}, {"id": _EXAMPLE["id"], "template": _EXAMPLE})

ROUTES = (
    Route(
        "POST",
        "/api/otp_templates",
        "Make a template, a draft until `trunkline otp-templates approve` approves it",
        create,
        scope="admin",
        body=BODY,
        creates=True,
        errors=(409, 503),
        answers={200: _ONE},
    ),
    Route(
        "GET",
        "/api/otp_templates",
        "Templates of the account, by id",
        listed,
        scope="read",
        query=PAGE,
        errors=(503,),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last",
                {"templates": {"type": "array", "items": _SCHEMA}, "next": {"type": ["string", "null"]}},
                {"templates": [_EXAMPLE], "next": None},
            )
        },
    ),
    Route(
        "GET",
        "/api/otp_templates/{template_id}",
        "One template",
        show,
        scope="read",
        parameters=(TEMPLATE_ID,),
        errors=(404, 503),
        answers={200: Answer("The template", {"template": _SCHEMA}, {"template": _EXAMPLE})},
    ),
    Route(
        "PATCH",
        "/api/otp_templates/{template_id}",
        "Change a template; with another text, language or type it is a draft again",
        change,
        scope="admin",
        body=CHANGES,
        parameters=(TEMPLATE_ID,),
        errors=(404, 503),
        answers={200: _ONE},
    ),
    Route(
        "DELETE",
        "/api/otp_templates/{template_id}",
        "Delete a template; calls under way go on",
        remove,
        scope="admin",
        parameters=(TEMPLATE_ID,),
        errors=(404, 503),
        answers={
            200: Answer(
                "It is gone",
                {"id": _ID, "message": {"type": "string"}},
                {"id": _EXAMPLE["id"], "message": "template deleted successfully"},
            )
        },
    ),
)
