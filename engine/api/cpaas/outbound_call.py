"""POST /api/outbound_call."""

import re
from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, scalar, whole
from engine.api.route import Ask, placing
from engine.commands.otp_templates import LONGEST_OTP
from engine.commands.outbound_call import OutboundCall, execute
from engine.media.tts.words import ENGINE_TYPES, PITCHES, RATES, VOLUMES

MOST_REPEATS = 10
_OTP = re.compile(rf"[0-9A-Za-z]{{1,{LONGEST_OTP}}}")


def _otp(value: Any) -> str:
    text = scalar(value).strip()
    if not _OTP.fullmatch(text):
        raise Bad(f"must be 1 to {LONGEST_OTP} digits or letters")
    return text


def _word(value: Any) -> str:
    return scalar(value).strip()


OTP = Kind(_otp, {"type": ["string", "integer"], "pattern": f"^{_OTP.pattern}$"})
"""A string, so that leading zeros stay."""
NAME = Kind(_word, {"type": "string"})


def _one_of(words: Any) -> Kind:
    """Judged by text to speech, whose errors are in the document's words."""
    return Kind(_word, {"type": "string", "enum": list(words)})


BODY = Schema(
    "OutboundCall",
    Field("customer_number", PHONE, "Who is called; ten digits get the account's country", "919979270001"),
    Field("otp", OTP, "What is announced, character by character. Never stored or logged", "1987"),
    Field("announce_template_id", IDENTIFIER, "An approved template of the account", "AN2222314c96"),
    Field("caller_id", PHONE, "Shown to the customer; one of the account's", "15168148111"),
    Field("repeat", whole(1, MOST_REPEATS), "How often it is announced", "1", required=False, default=1),
    Field("voice", NAME, "Default Joanna, or the first voice of the language", "Raveena", required=False, default=""),
    Field("volume", _one_of(VOLUMES), "Volume", "soft", required=False, default="medium"),
    Field("rate", _one_of(RATES), "Speed", "slow", required=False, default="medium"),
    Field("pitch", _one_of(PITCHES), "Pitch", "medium", required=False, default="medium"),
    Field("language_code", NAME, "A voice wins over it", "en-US", required=False, default=""),
    Field("tts_engine_type", _one_of(ENGINE_TYPES), "Kind of voice", "standard", required=False, default="standard"),
)


async def post(ask: Ask) -> Mapping[str, Any]:
    request_id = await execute(ask.ctx, ask.identity, OutboundCall(**ask.fields), await ask.key())
    return {"request_id": request_id}


ROUTES = (placing("/api/outbound_call", "Announce a one-time password by telephone", post, BODY, example="ae63e9576e"),)
