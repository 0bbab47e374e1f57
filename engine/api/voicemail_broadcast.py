"""POST /api/voicemail_broadcast: fields, limits and defaults of the request-type document, as JSON."""

import json
import re
from collections.abc import Mapping
from typing import Any

from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, scalar, whole
from engine.api.route import Ask, placing
from engine.commands.voicemail_broadcast import TRIGGERS, VoicemailBroadcast, execute

DTMF = "0123456789ABCD*#wW"
MOST_KEYS = 64
MOST_META = 65_536
"""Characters of meta data, as JSON."""
DEEPEST = 20

_NAME = re.compile(r"[0-9A-Za-z]{3,15}")
_CALLER = re.compile(r"\d{10}|\+\d{7,15}", re.ASCII)
_KEYS = re.compile(rf"[{re.escape(DTMF)}]{{0,{MOST_KEYS}}}")
_LONGEST_URL = 2048


def _flag(value: Any) -> bool:
    text = scalar(value).strip()
    if text not in ("0", "1"):
        raise Bad("must be 0 or 1")
    return text == "1"


FLAG = Kind(_flag, {"type": ["integer", "string"], "enum": [0, 1, "0", "1"]})


def _caller_name(value: Any) -> str:
    text = scalar(value).strip()
    if not _NAME.fullmatch(text):
        raise Bad("must be 3 to 15 letters and digits")
    return text


def _caller_number(value: Any) -> str:
    text = scalar(value).strip()
    if not _CALLER.fullmatch(text):
        raise Bad("must be 10 digits")
    return text


def _keys(value: Any) -> str:
    text = scalar(value)
    if not _KEYS.fullmatch(text):
        raise Bad(f"must be at most {MOST_KEYS} of {' '.join(DTMF)}")
    return text


def _url(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_URL:
        raise Bad(f"must be a URL of at most {_LONGEST_URL} characters")
    return value.strip()


def _media_id(value: Any) -> str:
    text = scalar(value).strip()
    return str(IDENTIFIER.parse(text)) if text else ""


def _triggers(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else scalar(value).split(",")
    words = [scalar(each).strip() for each in given]
    if words in ([], [""]):
        return ()
    if any(word not in TRIGGERS for word in words):
        raise Bad(f"must be one or more of {', '.join(TRIGGERS)}, separated by commas")
    return tuple(dict.fromkeys(words))


def _meta(value: Any) -> Any:
    """Any JSON value that PostgreSQL can keep."""
    _storable(value, DEEPEST)
    if len(json.dumps(value)) > MOST_META:
        raise Bad(f"must be at most {MOST_META} characters")
    return value


def _storable(value: Any, deep: int) -> None:
    if not deep:
        raise Bad(f"must not be nested deeper than {DEEPEST}")
    if isinstance(value, str) and ("\0" in value or (not value.isascii() and not _encodable(value))):
        raise Bad("must not have NUL characters or half surrogates")
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise Bad("has a number that is too large")
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _storable(part, deep - 1)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_TEXT = {"type": ["string", "integer"]}
CALLER_NAME = Kind(_caller_name, {**_TEXT, "pattern": f"^{_NAME.pattern}$"})
CALLER_NUMBER = Kind(_caller_number, {**_TEXT, "pattern": f"^({_CALLER.pattern})$"})
KEYS = Kind(_keys, {**_TEXT, "pattern": r"^[0-9ABCD*#wW]{0,64}$"})
URL = Kind(_url, {"type": "string", "format": "uri", "maxLength": _LONGEST_URL})
MEDIA_ID = Kind(_media_id, {**_TEXT, "maxLength": 128})
TRIGGER_LIST = Kind(
    _triggers,
    {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "enum": list(TRIGGERS)}}]},
)
META = Kind(_meta, {})

_MAY: Mapping[str, Any] = {"required": False}
BODY = Schema(
    "VoicemailBroadcast",
    Field("destination_number", PHONE, "At least 10 digits; ten get the account's country", "8000685001"),
    Field("client_media_file_id", MEDIA_ID, "Name of a sound of the media library, or of an object; required unless "
          "`media_url` is given, and wins over it", "reminder", default="", **_MAY),
    Field("media_url", URL, "A sound elsewhere: WAV, MP3, OGG or FLAC, at most 20 MiB; fetched now", "", default="",
          **_MAY),
    Field("callerid_name", CALLER_NAME, "3 to 15 letters and digits", "Trunkline", default="", **_MAY),
    Field("callerid_number", CALLER_NUMBER, "10 digits that get the account's country and do not begin with 1, 800, "
          "888, 877, 866 or 855; one of the account's. Default: its first caller id", "5168148111", default="", **_MAY),
    Field("privacy", FLAG, "1: who calls is not shown; needs `callerid_number`", 0, default=False, **_MAY),
    Field("enable_recording", FLAG, "1: the call is recorded; 2 seconds or less are not kept", 0, default=False, **_MAY),
    Field("wait_time", whole(5, 60), "Seconds that it rings", 15, default=15, **_MAY),
    Field("voicemail_detect", FLAG, "1: the message begins after a machine's beep or greeting, and is played to nobody "
          "else; 0: it begins with the answer", 1, default=True, **_MAY),
    Field("fork_call", FLAG, "1: while it rings the number is called a second time, which its mailbox takes; whichever is "
          "not answered first is given up", 1, default=True, **_MAY),
    Field("pre_dtmf", KEYS, "Keys pressed from the answer on, before the message; `w` waits half a second, `W` one", "",
          default="", **_MAY),
    Field("post_dtmf", KEYS, "Keys pressed after the message", "", default="", **_MAY),
    Field("dtmf_duration", whole(100, 1500), "Milliseconds that a key lasts", 500, default=500, **_MAY),
    Field("notify_callback_triggers", TRIGGER_LIST, "What `notify_callback_url` is told: one or more of "
          f"{', '.join(TRIGGERS)}, separated by commas", "", default=(), **_MAY),
    Field("notify_callback_url", URL, "Gets signed POSTs; needs `notify_callback_triggers`", "", default="", **_MAY),
    Field("meta_data", META, "Anything; given back with the call and its notifications", "order 4711", **_MAY),
)  # fmt: skip


async def post(ask: Ask) -> Mapping[str, Any]:
    request_id = await execute(ask.ctx, ask.identity, VoicemailBroadcast(**ask.fields), await ask.key())
    return {"request_id": request_id}


ROUTES = (
    placing("/api/voicemail_broadcast", "Leave a recorded message in a mailbox", post, BODY, example="5a1f09c3d2"),
)
