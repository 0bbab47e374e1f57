"""POST /api/modify_call."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, PHONE, Field, Kind, Schema, enum, scalar
from engine.api.route import Answer, Ask, Route
from engine.commands.modify_call import ATTENDED, BLIND, MESSAGES, ModifyCall, execute
from engine.errors import InvalidFields


def _number(value: Any) -> str:
    """A number, or nothing: what is not transferred needs none."""
    text = scalar(value).strip()
    return str(PHONE.parse(text)) if text else ""


BODY = Schema(
    "ModifyCall",
    Field(
        "channel",
        IDENTIFIER,
        "Type 0: the transferer's, whose peer moves; 1: the customer's; 2: whom to hang up; 3: anybody's",
        "PJSIP/101-0000023c",
    ),
    Field("modify_type", enum(tuple(MESSAGES)), "0 blind transfer, 1 attended transfer, 2 hang up, 3 record", "0"),
    Field(
        "transfer_to",
        Kind(_number, PHONE.schema),
        "Types 0 and 1: extension, or number with its country code",
        "102",
        required=False,
        default="",
    ),
)


async def post(ask: Ask) -> Mapping[str, Any]:
    command = ModifyCall(**ask.fields)
    if command.modify_type in (BLIND, ATTENDED) and not command.transfer_to:
        raise InvalidFields({"transfer_to": "is required"})
    recording = await execute(ask.ctx, ask.name, command)
    message = {"message": MESSAGES[command.modify_type]}
    return message | ({"recording_name": recording} if recording else {})


_TEXT = {"type": "string"}
ROUTES = (
    Route(
        "POST",
        "/api/modify_call",
        "Transfer, hang up or record a live call, by the name of a channel",
        post,
        scope="call",
        body=BODY,
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is done; `recording_name` of type 3 alone",
                {"message": {"type": "string", "enum": list(MESSAGES.values())}, "recording_name": _TEXT},
                {"message": "blind transferred successfully"},
            )
        },
    ),
)
