"""POST /api/calls/{request_id}/control: commands into a live call."""

import re
from collections.abc import Mapping
from typing import Any

from engine.api.calls import REQUEST_ID
from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, enum, scalar, whole
from engine.api.route import Answer, Ask, Route
from engine.api.views import CALL_EXAMPLE, CALL_SCHEMA, call_view
from engine.commands import calls
from engine.commands.control import Control, execute
from engine.controls.table import CONTROLS, OF_PHONES

LONGEST_TEXT = 3000


def _matching(pattern: str, why: str) -> Kind:
    form = re.compile(pattern, re.DOTALL)

    def parse(value: Any) -> str:
        text = scalar(value).strip()
        if not form.fullmatch(text):
            raise Bad(why)
        return text

    return Kind(parse, {"type": "string", "pattern": f"^{pattern}$"})


MEDIA = _matching(r".{1,200}", "must be 1 to 200 characters")
TEXT = _matching(rf".{{1,{LONGEST_TEXT}}}", f"must be 1 to {LONGEST_TEXT} characters")
WORD = _matching(r"[A-Za-z0-9_. -]{0,64}", "must be a word")
DIGITS = _matching(r"[0-9A-Da-d*#wW]{1,64}", "must be 1 to 64 of 0-9 A-D * # w W")

BODY = Schema(
    "Control",
    Field("action", enum(tuple(action for action in CONTROLS if action not in OF_PHONES)), "What to do", "hold"),
    Field(
        "leg",
        IDENTIFIER,
        "Role or `leg_id` of the party; what it means without one depends on the action",
        "customer",
        required=False,
        default="",
    ),
    Field(
        "to",
        PHONE,
        "transfer, attended_transfer, retrieve, spy, whisper, barge: number or extension",
        "102",
        required=False,
    ),
    Field("slot", whole(1, 99), "park: where; else the lowest that is free", 1, required=False),
    Field(
        "media",
        MEDIA,
        "play: name of a sound or object of the account, or `sound:` of Asterisk's own",
        "welcome",
        required=False,
    ),
    Field("text", TEXT, "say", "One moment please", required=False),
    Field("voice", WORD, "say: as in `outbound_call`", "Joanna", required=False),
    Field("language", WORD, "say: as in `outbound_call`", "en-US", required=False),
    Field("digits", DIGITS, "dtmf: 0-9 A-D * #; w waits half a second, W one", "12#", required=False),
    Field("flow", IDENTIFIER, "redirect: `ivr:` and the name of a menu", "ivr:welcome", required=False),
    Field(
        "recording_option",
        enum(("both", "agent", "customer")),
        "record_start: whose sides",
        "both",
        required=False,
    ),
    Field(
        "direction",
        enum(("in", "out", "both")),
        "mute, unmute: `in` (it is not heard), `out` (it hears nothing), `both`",
        "in",
        required=False,
    ),
)


async def control(ask: Ask) -> Mapping[str, Any]:
    request_id, fields = ask.path("request_id"), dict(ask.fields)
    action, leg = fields.pop("action"), fields.pop("leg")
    given = {name: value for name, value in fields.items() if value is not None}
    told = await execute(ask.ctx, ask.name, request_id, Control(action, leg, given))
    call = await calls.show(ask.ctx, ask.name, request_id)
    return {"request_id": request_id, "action": action, **told, "call": call_view(call)}


_TEXT = {"type": "string"}
ROUTES = (
    Route(
        "POST",
        "/api/calls/{request_id}/control",
        "Do something to a live call",
        control,
        scope="call",
        body=BODY,
        parameters=(REQUEST_ID,),
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is done; `call` is what it is now",
                {
                    "request_id": _TEXT,
                    "action": _TEXT,
                    "leg_id": {"type": "string", "description": "The leg it was done to, or that it made"},
                    "call": CALL_SCHEMA,
                },
                {"request_id": "57362de4f0", "action": "hold", "call": CALL_EXAMPLE},
            )
        },
    ),
)
