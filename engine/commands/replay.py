"""Does a stored timeline, fed through the state table again, lead to the rows that are stored beside it? Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from engine.calls.events import Event
from engine.calls.model import Call, Leg, replay
from engine.calls.record import CallRecord, records
from engine.calls.states import IllegalMove

_CALL = ("account", "flow", "direction", "created_at", "ended_at", "end_reason", "result", "reconciled")
_LEG = (
    "leg_id", "role", "number", "endpoint", "channel_id", "channel", "attempt", "created_at", "dialing_at", "ringing_at",
    "answered_at", "ended_at", "sip_code", "q850", "hangup_by", "why", "dtmf", "reconciled",
)  # fmt: skip
_RECORD = tuple(field.name for field in fields(CallRecord) if field.name != "id")


def differences(
    events: Sequence[Event],
    row: Mapping[str, Any],
    legs: Sequence[Mapping[str, Any]],
    stored: Sequence[CallRecord],
) -> list[str]:
    """One line for each difference between the replayed call and its rows; none: they agree.

    Legs and CDRs are compared of a call that has ended: until then their rows are behind the timeline.
    """
    try:
        call = replay(events)
    except (IllegalMove, ValueError) as error:
        return [f"the timeline can't be replayed: {error}"]
    state = "ended" if not call.alive else "live"
    found = _compare("call", {"state": state, **_attributes(call, _CALL)}, {**row, "state": _coarse(row["state"])})
    return found if call.alive else found + _legs(call, legs) + _records(call, stored)


def _coarse(state: str) -> str:
    return "ended" if state == "ended" else "live"


def _attributes(thing: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _compare(what: str, replayed: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    return [
        f"{what}: {name} is {stored[name]!s} in the database, {value!s} in the replay"
        for name, value in replayed.items()
        if stored[name] != value
    ]


def _legs(call: Call, stored: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = {row["n"]: row for row in stored}
    if rows.keys() != call.legs.keys():
        return [f"legs: {sorted(rows)} in the database, {sorted(call.legs)} in the replay"]
    return [line for n, leg in call.legs.items() for line in _compare(f"leg {n}", _leg(leg), rows[n])]


def _leg(leg: Leg) -> dict[str, Any]:
    return {"state": str(leg.state), **_attributes(leg, _LEG)}


def _records(call: Call, stored: Sequence[CallRecord]) -> list[str]:
    refused = call.end_reason == "gate" and not call.legs
    never_due = call.scheduled_at is not None and call.placed_at is None
    made = () if refused or never_due else records(call)
    if len(made) != len(stored):
        return [f"CDRs: {len(stored)} in the database, {len(made)} in the replay"]
    return [
        line
        for number, (ours, theirs) in enumerate(zip(made, stored, strict=True), start=1)
        for line in _compare(f"CDR {number}", _attributes(ours, _RECORD), _attributes(theirs, _RECORD))
    ]
