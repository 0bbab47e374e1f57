"""Rows of PostgreSQL as the types of the model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from zoneinfo import ZoneInfo

from engine.calls.account import Account, Limits
from engine.calls.events import Event, Kind
from engine.calls.record import CallRecord
from engine.calls.routing import Route
from engine.store.port import NewCall, RecordingRow

Row = Mapping[str, Any]
"""An asyncpg.Record: columns by name; jsonb comes as text."""

_CDR = tuple(item.name for item in fields(CallRecord))
_LIMITS = {item.name: item.default for item in fields(Limits)}


def new_call(row: Row) -> NewCall:
    return NewCall(**{**row, "params": json.loads(row["params"])})


def event(row: Row) -> Event:
    return Event(Kind(row["kind"]), row["at"], row["leg"], json.loads(row["data"]), row["seq"])


def call_record(row: Row) -> CallRecord:
    return CallRecord(**{name: row[name] for name in _CDR})


def recording(row: Row) -> RecordingRow:
    return RecordingRow(**{**row, "sides": json.loads(row["sides"])})


def route(row: Row) -> Route:
    return Route(**row)


def account(row: Row) -> Account:
    return Account(
        account=row["account"],
        number=row["number"],
        country=row["country"],
        caller_ids=frozenset(row["caller_ids"]),
        time_zone=ZoneInfo(row["time_zone"]),
        limits=limits(json.loads(row["settings"])),
        enabled=row["enabled"],
    )


def limits(settings: Mapping[str, Any]) -> Limits:
    """Settings of another release that are not known here are left out."""
    known: dict[str, Any] = {name: settings[name] for name in settings.keys() & _LIMITS.keys()}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    return Limits(**values)


def settings_of(limits: Limits) -> dict[str, Any]:
    """What differs from the defaults, so that a changed default reaches every account that did not choose."""
    values: Sequence[tuple[str, Any]] = [(name, getattr(limits, name)) for name in _LIMITS]
    return {name: value for name, value in values if value != _LIMITS[name]}
