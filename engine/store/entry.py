"""A journal record as it stands in the spool and as PostgreSQL takes it: its kind and one JSON object.

The keys are column names, so that ``journal_write`` (sql/migrations) needs no mapping of its own. A record is encoded
when it is appended: what happens to its parts afterwards does not change what is written.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from engine.calls.record import CallRecord
from engine.store.port import CallEvent, ClosedCall, JournalRecord, LegRow, NewCall, NewLeg, RecordingRow

KINDS = ("call", "leg", "event", "recording", "closing")
"""In the order in which a batch is written."""

_KIND: Mapping[type, str] = {
    NewCall: "call",
    NewLeg: "leg",
    CallEvent: "event",
    RecordingRow: "recording",
    ClosedCall: "closing",
}
_COLUMNS = {
    kind: (names := tuple(item.name for item in fields(kind)), attrgetter(*names))
    for kind in (NewCall, NewLeg, LegRow, ClosedCall, RecordingRow, CallRecord)
}
_UNSAFE = re.compile(r"\\u(0000|[dD][89a-fA-F])")
"""What PostgreSQL's jsonb refuses: NUL and lone surrogates. Pairs match too; they come through ``_clean`` unharmed."""


@dataclass(frozen=True, slots=True)
class Entry:
    kind: str
    text: str
    """One JSON object in ASCII, without line breaks."""
    request_id: str = ""
    """Known of what was appended, not of what the spool gives back."""


def encode(record: JournalRecord) -> Entry:
    """Raises TypeError when something in it is no JSON value and has no other form; what jsonb can't hold is replaced."""
    value: Any = _event(record) if isinstance(record, CallEvent) else record
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_clean(_plain(value)))
    if _UNSAFE.search(text):
        text = _encode(_clean(json.loads(text)))
    return Entry(_KIND[type(record)], text, record.request_id)


def _event(record: CallEvent) -> dict[str, Any]:
    event = record.event
    return {
        "request_id": record.request_id,
        "seq": event.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "leg": event.leg,
        "data": event.data,
    }


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if columns := _COLUMNS.get(type(value)):
        names, values = columns
        return dict(zip(names, values(value), strict=True))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encode = json.JSONEncoder(default=_default, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    """``value`` in JSON types alone, NaN and infinities included."""
    return json.loads(json.dumps(value, default=_default))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
