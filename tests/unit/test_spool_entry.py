"""Records as JSON: what PostgreSQL's jsonb can't hold must not reach it."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.calls.events import Event, Kind
from engine.store.entry import encode
from engine.store.port import CallEvent
from tests.store_facts import closing, event, new_call, new_leg, recording, request_id


def data_of(value: Any) -> Any:
    text = encode(event(1, 1, data={"v": value})).text
    assert text.isascii()
    assert "\n" not in text
    return json.loads(text)["data"]["v"]


def test_kinds_and_keys_are_those_of_the_tables() -> None:
    for record, kind in ((new_call(1), "call"), (new_leg(1), "leg"), (event(1, 1), "event"), (recording(1), "recording"),
                         (closing(1), "closing")):  # fmt: skip
        entry = encode(record)
        assert entry.kind == kind
        assert entry.request_id == request_id(1)
        assert json.loads(entry.text)["request_id"] == request_id(1)
    assert set(json.loads(encode(event(1, 1)).text)) == {"request_id", "seq", "at", "kind", "leg", "data"}


def test_times_keep_their_microseconds_and_zone() -> None:
    at = datetime(2026, 3, 5, 10, 0, 0, 1, tzinfo=UTC)
    text = encode(CallEvent("0000000001", Event(Kind.CALL_STEP, at, None, {"step": "x", "until": at}, 1))).text
    assert datetime.fromisoformat(json.loads(text)["at"]) == at
    assert datetime.fromisoformat(json.loads(text)["data"]["until"]) == at


@pytest.mark.parametrize(
    "text", ["", "plain", "grüße", "\U0001f600", "\\u0000", "\\\\ud800", "a\nb\r\t\"'", "\x7f\x1b"]
)
def test_text_comes_through(text: str) -> None:
    assert data_of(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "a\ufffdb"), ("\ud800", "?"), ("x\udfffy\U0001f600", "x?y\U0001f600"), ({"k\0": 1}, {"k\ufffd": 1})],
)
def test_what_jsonb_refuses_is_replaced(text: Any, kept: Any) -> None:
    assert data_of(text) == kept


def test_numbers_that_json_does_not_know_become_null() -> None:
    assert data_of([1.5, math.nan, math.inf, {"deep": -math.inf}]) == [1.5, None, None, {"deep": None}]


def test_what_is_no_json_at_all_is_refused() -> None:
    with pytest.raises(TypeError):
        encode(event(1, 1, data={"v": object()}))


def test_what_happens_to_the_data_afterwards_changes_nothing() -> None:
    data = {"v": 1}
    entry = encode(event(1, 1, data=data))
    data["v"] = 2
    assert json.loads(entry.text)["data"] == {"v": 1}
