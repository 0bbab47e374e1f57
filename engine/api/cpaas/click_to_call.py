"""POST /api/click2call."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import ON_OFF, PHONE, Field, Schema, enum
from engine.api.route import Ask, placing
from engine.commands.click_to_call import RECORDING, ClickToCall, execute

BODY = Schema(
    "ClickToCall",
    Field("agent_number", PHONE, "Called first; ten digits get the account's country", "919979270001"),
    Field("caller_id", PHONE, "Shown to both; one of the account's", "15168148111"),
    Field("destination_number", PHONE, "Called when the agent has answered", "918000680002"),
    Field(
        "recording_option",
        enum(tuple(RECORDING)),
        "Which sides are recorded; on is both",
        "on",
        required=False,
        default="off",
    ),
    Field("transcript", ON_OFF, "Whether the call is transcribed", "on", required=False, default=False),
)


async def post(ask: Ask) -> Mapping[str, Any]:
    request_id = await execute(ask.ctx, ask.identity, ClickToCall(**ask.fields), await ask.key())
    return {"request_id": request_id}


ROUTES = (placing("/api/click2call", "Connect two parties, the agent first", post, BODY, example="57362de4f0"),)
