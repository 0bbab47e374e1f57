"""What requests about conference rooms may hold."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, enum, scalar, whole
from engine.calls.rooms import LEVELS, LONGEST_PIN, MEDIA, RECORDING
from engine.errors import InvalidFields

MAX_PAGE = 500
MOST_AT_ONCE = 100
"""Accesses and numbers of one request."""
LONGEST_TEXT = 2000
_DAY = 86400
_TRUE, _FALSE = ("true", "1", "on", "yes"), ("false", "0", "off", "no")

ACTIONS = (
    "ENTER_ROOM", "HANGUP", "INBOUND_CALL", "LEAVE_ROOM", "MUTE", "OUTBOUND_CALL", "OUTBOUND_CALL_STATUS", "PAUSE",
    "UNMUTE", "UNPAUSE", "PIN_INVALID", "REFUSED", "LOCKED", "UNLOCKED", "OPENED", "CLOSED", "ANNOUNCED",
    "RECORDING_STARTED", "RECORDING_STOPPED", "RECORDING_READY", "RECORDING_FAILED",
)  # fmt: skip
"""The documents' words, then ours."""


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = scalar(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Bad("must be true or false")


FLAG = Kind(_flag, {"type": "boolean"})


_FIRST_YEAR, _LAST_YEAR = 1970, 9998
"""The first and the last moment that Python knows mean infinity to PostgreSQL, and come back without a zone."""


def _time(value: Any) -> datetime | str:
    """An empty text stands for none, for what is to be cleared."""
    text = scalar(value).strip()
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text.replace(" UTC", "Z"))
    except ValueError:
        raise Bad("must be a time as 2027-01-31T18:00:00Z or 2027-01-31 18:00:00 (UTC)") from None
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise Bad("is no time") from None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise Bad(f"must be of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return at


TIME = Kind(_time, {"type": "string", "format": "date-time"})


def _text(longest: int, least: int = 0) -> Kind:
    def parse(value: Any) -> str:
        text = scalar(value).strip()
        if not least <= len(text) <= longest or not text.isprintable():
            raise Bad(f"must be {least} to {longest} printable characters")
        return text

    return Kind(parse, {"type": "string", "minLength": least, "maxLength": longest})


def _optional(kind: Kind) -> Kind:
    """As ``kind``, or "" for none."""
    return Kind(lambda value: "" if value == "" else kind.parse(value), dict(kind.schema))


def _pin(value: Any) -> str:
    text = scalar(value).strip()
    if not re.fullmatch(rf"[0-9]{{0,{LONGEST_PIN}}}", text, re.ASCII):
        raise Bad(f"must be at most {LONGEST_PIN} digits, as a string")
    return text


PIN = Kind(_pin, {"type": "string", "pattern": f"^[0-9]{{0,{LONGEST_PIN}}}$"})


def _number(value: Any) -> str:
    text = scalar(value).strip()
    if text and not re.fullmatch(r"[0-9]{3,6}", text, re.ASCII):
        raise Bad("must be 3 to 6 digits")
    return text


NUMBER = Kind(_number, {"type": "string", "pattern": "^([0-9]{3,6})?$"})


def _numbers(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_AT_ONCE:
        raise Bad(f"must be a list of at most {MOST_AT_ONCE} numbers")
    return [PHONE.parse(each) for each in value]


LEVEL = enum(LEVELS)
_LABEL = Field("label", _text(128), "For people", "board members", required=False)
_LEVEL = Field("level", LEVEL, "An ADMIN enters a room that is full or locked", "GUEST", required=False)
_EXPIRES = Field("date_expiration", _optional(TIME), 'From then on it is as if it were not there; "": never',
                 "2027-01-31T18:00:00Z", required=False)  # fmt: skip
_LONGEST = Field("max_duration", whole(0, _DAY), "Seconds that its member may stay; 0: no limit", 3600, required=False)
ACCESS = Schema(
    "RoomAccess",
    _LABEL,
    _LEVEL,
    Field("pin", PIN, "Digits that let in, followed by #; empty: none are asked for", "1234", required=False),
    Field("phone_number", _optional(PHONE), "For callers of this number alone; called by `POST …/calls` with the access's id",
          "447890123456", required=False),
    Field("number", _optional(PHONE), "For calls to this one of the room's numbers alone", "15557000002", required=False),
    _LONGEST,
    _EXPIRES,
)  # fmt: skip
LIMITS = Schema(
    "RoomLimits",
    Field("max_connected", whole(0, 10_000), "Members at a time; 0: no limit", 25, required=False),
    Field("max_duration", whole(0, _DAY), "Seconds from the first member's entry to the end of all; 0: no limit", 7200,
          required=False),
    Field("date_expiration", _optional(TIME), 'From then on nobody enters, and whoever is in it is let go; "": never',
          "2027-01-31T18:00:00Z", required=False),
)  # fmt: skip
_SOUND = _text(LONGEST_TEXT)
_HEARD = {
    "welcome": "To each caller, at once", "pin_ask": "Asks for the PIN", "pin_invalid": "After a wrong PIN",
    "alone": "To the first member", "bridge": "Right before entering", "max_duration_reached": "To all, at the end",
    "out_confirm": "To whom the room calls: asks for a key", "out_welcome": "To whom the room calls, after that",
}  # fmt: skip
SOUNDS = Schema(
    "RoomMedia",
    *(Field(name, _SOUND, f"{_HEARD[name]}: name of a media or object, or `TTS|VOICE|text`; empty: the usual one", "TTS||Welcome.", required=False)
      for name in MEDIA),
)  # fmt: skip


def nested(schema: Schema) -> Kind:
    def parse(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise Bad("must be an object")
        try:
            found = schema.parse(
                {name: "" if each in (0, None) and schema is SOUNDS else each for name, each in value.items()}
            )
        except InvalidFields as error:
            raise Bad("; ".join(f"{name} {reason}" for name, reason in error.fields.items())) from None
        return {name: each for name, each in found.items() if each is not None}

    return Kind(parse, schema.openapi())


def _listed(schema: Schema) -> Callable[[Any], list[Mapping[str, Any]]]:
    one = nested(schema)

    def parse(value: Any) -> list[Mapping[str, Any]]:
        if not isinstance(value, list) or len(value) > MOST_AT_ONCE:
            raise Bad(f"must be a list of at most {MOST_AT_ONCE}")
        return [one.parse(each) for each in value]

    return parse


def limits(value: Any) -> Mapping[str, Any]:
    found = dict(nested(LIMITS).parse(value))
    if found.get("date_expiration") == "":
        found["date_expiration"] = None
    return found


_NAME = Field("name", _text(128, 1), "For people", "Board")
_REST = (
    Field("number", NUMBER,
          "What phones of the account dial; empty: none", "8001", required=False),
    Field("numbers", Kind(_numbers, {"type": "array", "maxItems": MOST_AT_ONCE, "items": dict(PHONE.schema)}),
          "Inbound numbers that lead to the room", ["15557000099"], required=False),
    Field("open", FLAG, "When closed, nobody can enter", True, required=False),
    Field("locked", FLAG, "When locked, an ADMIN alone can enter", False, required=False),
    Field("recording", enum(RECORDING), "AUTO: from the first member on; MANUAL: by `POST …/recording`; OFF: never", "MANUAL",
          required=False),
    Field("limits", Kind(limits, LIMITS.openapi()), "Limits", {"max_connected": 25}, required=False),
    Field("media", nested(SOUNDS), "What is played", {"welcome": "TTS||Welcome."}, required=False),
)  # fmt: skip
ROOM = Schema(
    "Room",
    _NAME,
    *_REST,
    Field("accesses", Kind(_listed(ACCESS), {"type": "array", "maxItems": MOST_AT_ONCE, "items": ACCESS.openapi()}),
          "Ways in; without any, nobody can call the room", [{"pin": "1234"}], required=False),
)  # fmt: skip
CHANGES = Schema("RoomChanges", Field("name", _NAME.kind, _NAME.doc, _NAME.example, required=False), *_REST)
MEMBER = Schema(
    "RoomMember",
    Field("muted", FLAG, "Nobody hears the member", True, required=False),
    Field("paused", FLAG, "The member is out of the room, with music", False, required=False),
)
MEMBERS = Schema(
    "RoomMembers",
    *MEMBER.fields,
    Field("level", LEVEL, "Only those", "GUEST", required=False),
)
INVITE = Schema(
    "RoomCall",
    Field("number", PHONE, "Whom to call", "919979270001", required=False),
    Field("access_id", IDENTIFIER, "Instead: call the phone number of this access, with its level", "RA0123456789",
          required=False),
    Field("caller_id", PHONE, "One of the account's; without, its first", "15168148111", required=False),
    _LEVEL,
    _LABEL,
    _LONGEST,
    Field("confirm", FLAG, "A key must be pressed (2 declines). Without: when the room has a media `out_confirm`", True,
          required=False),
)  # fmt: skip
ANNOUNCE = Schema(
    "RoomAnnouncement",
    Field("media", _text(256, 1), "Name of a media or object", "break", required=False),
    Field("text", _text(LONGEST_TEXT, 1), "Instead: what is spoken", "Five minutes left.", required=False),
    Field("voice", _text(64), "That speaks the text", "Joanna", required=False, default=""),
)
PAGE = Schema(
    "RoomPage",
    Field("limit", whole(1, MAX_PAGE), "Rooms on a page", 100, required=False, default=100),
    Field("cursor", IDENTIFIER, "`next` of the page before", "RM0123456789", required=False),
)
_FILTERS = (
    Field("action", enum(ACTIONS), "Only this", "ENTER_ROOM", required=False),
    Field("member_id", IDENTIFIER, "Only of this member", "5f3a0b0e-6a55-4c39-9e0e-1f5d3c1a7b42", required=False),
    Field("access_id", IDENTIFIER, "Only by this access", "RA0123456789", required=False),
    Field("limit", whole(1, MAX_PAGE), "Lines on a page", 100, required=False, default=100),
)
EVENTS = Schema(
    "RoomEventPage",
    *_FILTERS,
    Field("cursor", whole(0, 2**62), "`next` of the page before", 17, required=False),
)
HISTORY = Schema(
    "RoomHistoryPage",
    *_FILTERS,
    Field("cursor", IDENTIFIER, "`next` of the page before", "2026-11-22T00:20:52.123456Z_5f3a0b0e", required=False),
)
ROOM_ID = Field("room_id", IDENTIFIER, "As its creation answered it, or the number that phones dial", "8000")
ACCESS_ID = Field("access_id", IDENTIFIER, "As its creation answered it", "RA0123456789")
MEMBER_ID = Field("member_id", IDENTIFIER, "As the list of members shows it", "5f3a0b0e-6a55-4c39-9e0e-1f5d3c1a7b42")
