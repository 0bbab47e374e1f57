"""Fields of a request: one declaration parses them and describes them in the OpenAPI document.

The documents' samples quote every scalar and are damaged in places, so we are lenient where nothing is at stake: numbers
stand for strings, white space in known keys and enum words is dropped, ids are trimmed (WIRE-NOTES 1 and 2). Telephone
numbers are taken as they are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from engine.calls.numbers import BadNumber, normalize
from engine.errors import InvalidFields

MAX_ID = 128
_SHOWN = 64
"""Characters of a stranger's key that an error repeats."""


class Bad(ValueError):
    """Why a value does not fit; never repeats the value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read, and the JSON schema that says so."""

    parse: Callable[[Any], Any]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind
    doc: str
    example: Any
    required: bool = True
    default: Any = None
    """What an omitted (or null) optional field means, as parsed."""


class Schema:
    """The fields of one request body or query."""

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        self.fields = fields
        self._by_name = {field.name: field for field in fields}
        self._defaults = {field.name: field.default for field in fields if not field.required}
        self._required = tuple(field.name for field in fields if field.required)

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Field name → parsed value, defaults filled in. Raises InvalidFields with every fault there is."""
        values, wrong = dict(self._defaults), dict[str, str]()
        seen = set[str]()
        for key, value in given.items():
            field = self._by_name.get(key) or self._by_name.get("".join(key.split()))
            if field is None:
                wrong[key[:_SHOWN]] = "unknown field"
            elif field.name in seen:
                wrong[field.name] = "appears twice"
            elif value is not None:
                seen.add(field.name)
                _take(field, value, values, wrong)
        for name in self._required:
            if name not in seen:
                wrong.setdefault(name, "is required")
        if wrong:
            raise InvalidFields(wrong)
        return values

    def openapi(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": list(self._required),
            "properties": {field.name: describe(field) for field in self.fields},
            "example": {field.name: field.example for field in self.fields},
        }


def describe(field: Field) -> dict[str, Any]:
    return {**field.kind.schema, "description": field.doc, "example": field.example}


def _take(field: Field, value: Any, values: dict[str, Any], wrong: dict[str, str]) -> None:
    try:
        values[field.name] = field.kind.parse(value)
    except Bad as error:
        wrong[field.name] = str(error)


def scalar(value: Any) -> str:
    """The text of a string or a whole number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Bad("must be a string or a whole number")


def _phone(value: Any) -> str:
    text = scalar(value)
    try:
        normalize(text, country="")
    except BadNumber as error:
        raise Bad(str(error)) from None
    return text


PHONE = Kind(
    _phone,
    {
        "type": ["string", "integer"],
        "pattern": r"^((\+|00)?\d{7,15}|\d{3,6})$",
    },
)
"""Syntax alone is judged here; the account's country is added by the command."""


def _identifier(value: Any) -> str:
    text = scalar(value).strip()
    if not text:
        raise Bad("must not be empty")
    if len(text) > MAX_ID or not text.isprintable():
        raise Bad(f"must be at most {MAX_ID} printable characters")
    return text


IDENTIFIER = Kind(_identifier, {"type": ["string", "integer"], "minLength": 1, "maxLength": MAX_ID})


def enum(words: Sequence[str], meaning: Mapping[str, Any] | None = None) -> Kind:
    """One of ``words``; ``meaning`` maps a word to what the command takes."""

    def parse(value: Any) -> Any:
        word = "".join(scalar(value).split())
        if word not in words:
            raise Bad(f"must be one of {', '.join(words)}")
        return meaning[word] if meaning else word

    return Kind(parse, {"type": "string", "enum": list(words)})


ON_OFF = enum(("on", "off"), {"on": True, "off": False})


def whole(low: int, high: int) -> Kind:
    """A whole number, as a number or as digits."""

    def parse(value: Any) -> int:
        text = scalar(value).strip()
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise Bad(f"must be a whole number from {low} to {high}")
        return int(text)

    return Kind(parse, {"type": ["string", "integer"], "minimum": low, "maximum": high, "pattern": r"^\d+$"})


def _day(value: Any) -> date:
    text = scalar(value).strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Bad("is not a day of the calendar") from None
    raise Bad("must be YYYY-MM-DD")


DAY = Kind(_day, {"type": "string", "format": "date"})
