"""Fields of an instant call as the document writes them, and as it is written about elsewhere: keys in any case and with
white space in them, dates in several forms."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine.api.fields import PHONE, Bad, Field, Kind, Schema, scalar, whole
from engine.dialer.localtime import NoSuchTime, instant

MOST_RETRIES, MOST_MINUTES, MOST_REPEATS = 100, 10_080, 20
LONGEST_NAME, LONGEST_CODE = 128, 128
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)\s*(Z|\+?UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_EXTENSION = re.compile(r"\d{1,15}", re.ASCII)


def folded(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in lower case, without white space."""
    return {"".join(key.split()).lower(): value for key, value in given.items()}


def _moment(value: Any) -> tuple[datetime, bool]:
    """The time as written, and whether it is one of the account's zone: naive then, else with its offset."""
    match = _MOMENT.fullmatch(scalar(value).strip())
    if not match:
        raise Bad("must be YYYY-MM-DDThh:mm:ss.SSS, and an offset where it is not the account's zone: +01:00, Z, +UTC")
    day, clock, offset = match.groups()
    clock, _, fraction = clock.replace(",", ".").partition(".")
    try:
        wall = datetime.fromisoformat(f"{day}T{clock}" + (f".{fraction:0<6.6}" if fraction else ""))
        return (wall.replace(tzinfo=_offset(offset)), False) if offset else (wall, True)
    except ValueError:
        raise Bad("is no time of the calendar") from None


def _offset(text: str) -> Any:
    word = text.upper().lstrip("+") if text.upper().endswith(("Z", "UTC")) else text
    if word in ("Z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    return datetime.fromisoformat(f"2000-01-01T00:00:00{text[0]}{digits[:2]}:{digits[2:]}").tzinfo


def moment(value: tuple[datetime, bool], zone: ZoneInfo) -> datetime:
    """The instant. Raises NoSuchTime."""
    when, of_account = value
    try:
        return instant(when, zone) if of_account else when.astimezone(UTC)
    except OverflowError:
        raise NoSuchTime("is beyond the calendar") from None


def _type(value: Any) -> str:
    if scalar(value).strip().lower() not in ("0", "default"):
        raise Bad("must be 0 or Default")
    return "Default"


def _extension(value: Any) -> str:
    text = scalar(value).strip()
    if not _EXTENSION.fullmatch(text):
        raise Bad("must be the number of an audio file or of a menu")
    return text


def _text(longest: int) -> Kind:
    def parse(value: Any) -> str:
        text = scalar(value).strip()
        if len(text) > longest or not text.isprintable():
            raise Bad(f"must be at most {longest} printable characters")
        return text

    return Kind(parse, {"type": "string", "maxLength": longest})


MOMENT = Kind(_moment, {"type": "string", "format": "date-time"})
CALL = Schema(
    "InstantCall",
    Field("StartDate", MOMENT, "Not before; past is now. Without an offset: the account's zone", "2026-12-01T09:00:00.000+01:00"),
    Field("EndDate", MOMENT, "No try begins at or after it", "2036-12-01T18:00:00.000+01:00"),
    Field("Type", Kind(_type, {"enum": [0, "0", "Default"]}), "0 or Default", 0),
    Field("MaxRetries", whole(0, MOST_RETRIES), "After no answer, busy, congestion, unavailable", 5, required=False, default=0),
    Field("MinutesBetweenRetries", whole(0, MOST_MINUTES), "From the end of a try", 60, required=False, default=5),
    Field("Extension", Kind(_extension, {"type": ["integer", "string"]}), "Number of an uploaded audio file, or of a menu", 100),
    Field("FirstName", _text(LONGEST_NAME), "What menus say for {first_name}", "Ada", required=False, default=""),
    Field("LastName", _text(LONGEST_NAME), "What menus say for {last_name}", "Lovelace", required=False, default=""),
    Field("IVRRepeats", whole(0, MOST_REPEATS), "Times that the file, or the menu's introduction, is heard", 1, required=False, default=1),
    Field("NumberToCall", PHONE, "With its international prefix", "00390212345678"),
    Field("CallerId", PHONE, "One of the account's; its lowest when left out", "15168148111", required=False),
    Field("CodeRequest", _text(LONGEST_CODE), "Yours; the same again makes no second call", "6f9619ff-8b86-d011-b42d-00c04fc964ff", required=False),
)  # fmt: skip
NAMES = {field.name.lower(): field.name for field in CALL.fields}
