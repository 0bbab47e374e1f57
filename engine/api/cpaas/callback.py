"""POST, PATCH and DELETE /api/callback."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, enum, scalar
from engine.api.route import Answer, Ask, Route
from engine.commands import callback
from engine.commands.callback import Callback, Changes
from engine.commands.click_to_call import RECORDING, ClickToCall

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


def _moment(value: Any) -> datetime:
    text = scalar(value).strip()
    if not _MOMENT.fullmatch(text):
        raise Bad("must be YYYY-MM-DD HH:MM:SS")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Bad("is no time of the calendar") from None


def _zone(value: Any) -> str:
    return scalar(value).strip()


MOMENT = Kind(_moment, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"})
"""What a clock on the wall shows."""
ZONE = Kind(_zone, {"type": "string"})
REQUEST_ID = Field("request_id", IDENTIFIER, "As the creation answered it", "fd5ff6e021")

AGENT = ("agent_number", PHONE, "Called first; ten digits get the account's country", "919979270001")
CALLER_ID = ("caller_id", PHONE, "Shown to both; one of the account's", "15168148111")
DESTINATION = ("destination_number", PHONE, "Called when the agent has answered", "918000680002")
RECORDED = ("recording_option", enum(tuple(RECORDING)), "Which sides are recorded; on is both", "off")
AT = ("scheduled_at", MOMENT, "When, by the clocks of the time zone: in the future, and once", "2027-08-15 12:55:00")

CREATE = Schema(
    "Callback",
    Field(*AGENT),
    Field(*CALLER_ID),
    Field(*DESTINATION),
    Field(*RECORDED, required=False, default="off"),
    Field("time_zone", ZONE, "IANA name, old ones too", "Asia/Kolkata"),
    Field(*AT),
)
CHANGE = Schema(
    "CallbackChange",
    REQUEST_ID,
    *(Field(*each, required=False) for each in (AGENT, CALLER_ID, DESTINATION, RECORDED, AT)),
)
WHICH = Schema("CallbackId", REQUEST_ID)


async def post(ask: Ask) -> Mapping[str, Any]:
    fields = dict(ask.fields)
    when, zone = fields.pop("scheduled_at"), fields.pop("time_zone")
    command = Callback(ClickToCall(**fields), zone, when)
    return {"request_id": await callback.create(ask.ctx, ask.identity, command, await ask.key())}


async def patch(ask: Ask) -> Mapping[str, Any]:
    fields = dict(ask.fields)
    request_id = fields.pop("request_id")
    await callback.change(ask.ctx, ask.identity, request_id, Changes(**fields))
    return {"message": "callback data modified successfully", "request_id": request_id}


async def delete(ask: Ask) -> Mapping[str, Any]:
    request_id = ask.fields["request_id"]
    await callback.cancel(ask.ctx, ask.identity, request_id)
    return {"message": "callback request deleted successfully", "request_id": request_id}


_ID = {"request_id": {"type": "string", "pattern": "^[0-9a-f]{10}$"}}
_TOLD = {"message": {"type": "string"}, **_ID}
ROUTES = (
    Route(
        "POST",
        "/api/callback",
        "Connect two parties at a time to come",
        post,
        scope="call",
        body=CREATE,
        creates=True,
        errors=(409, 503),
        answers={200: Answer("It is kept", _ID, {"request_id": "fd5ff6e021"})},
    ),
    Route(
        "PATCH",
        "/api/callback",
        "Change a callback that is not being dialled",
        patch,
        scope="call",
        body=CHANGE,
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is changed; what was not given stays, the time zone too",
                _TOLD,
                {"message": "callback data modified successfully", "request_id": "fd5ff6e021"},
            )
        },
    ),
    Route(
        "DELETE",
        "/api/callback",
        "Cancel a callback that is not being dialled",
        delete,
        scope="call",
        body=WHICH,
        query=WHICH,
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It will not be dialled",
                _TOLD,
                {"message": "callback request deleted successfully", "request_id": "fd5ff6e021"},
            )
        },
    ),
)
