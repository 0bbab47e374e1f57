"""ARI frames as Asterisk 22.10.1 sent them (ari_frames.json, recorded), and damaged ones."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telephony.ari.translate import timestamp, translate, wanted
from engine.telephony.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelDialing,
    ChannelEntered,
    ChannelGone,
    ChannelHangupRequested,
    ChannelLeft,
    ChannelProgress,
    ChannelRinging,
    ChannelUp,
    DtmfReceived,
    HoldChanged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingEnded,
    RecordingStarted,
    TelephonyEvent,
)

FRAMES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("ari_frames.json").read_text())
LEG = "tl-57362de4f0-1"


def recorded(kind: str, **having: Any) -> dict[str, Any]:
    """The recorded frame of that type with these values; None means that the key is absent."""
    for frame in FRAMES:
        if frame["type"] == kind and all(frame.get(key) == value for key, value in having.items()):
            return copy.deepcopy(frame)
    raise AssertionError(f"no {kind} with {having} was recorded")


def told(frame: dict[str, Any]) -> Any:
    event = translate(frame, "a")
    assert isinstance(event, TelephonyEvent)
    assert event.server == "a"
    assert event.at == timestamp(frame["timestamp"])
    return event


def test_stasis_start() -> None:
    event = told(recorded("StasisStart"))
    assert isinstance(event, ChannelEntered)
    assert event.args == ()
    assert event.channel.id == LEG
    assert event.channel.name.startswith("PJSIP/carrier-")
    assert event.channel.state == "Down"
    assert event.channel.call_id
    assert event.channel.created_at is not None
    assert event.channel.created_at <= event.at


def test_stasis_start_of_a_call_that_came_in() -> None:
    frame = recorded("StasisStart")
    frame["args"] = ["flow", "inbound", "15557000001"]
    frame["channel"] |= {
        "state": "Ring",
        "caller": {"name": "", "number": "15551234567"},
        "dialplan": {"context": "trunk-inbound", "exten": "15557000001", "priority": 1},
        "channelvars": {"TRUNKLINE_STEP": "menu"},
    }
    event = told(frame)
    assert event.args == ("flow", "inbound", "15557000001")
    channel = event.channel
    assert (channel.caller, channel.exten, channel.context) == ("15551234567", "15557000001", "trunk-inbound")
    assert channel.variables == {"TRUNKLINE_STEP": "menu"}


@pytest.mark.parametrize(
    ("having", "kind"),
    [
        ({"type": "Dial", "dialstatus": ""}, ChannelDialing),
        ({"type": "Dial", "dialstatus": "PROGRESS"}, ChannelProgress),
        ({"type": "StasisEnd"}, ChannelLeft),
    ],
)
def test_channel_facts(having: dict[str, Any], kind: type[TelephonyEvent]) -> None:
    assert isinstance(told(recorded(having.pop("type"), **having)), kind)


@pytest.mark.parametrize("status", ["RINGING", "ANSWER"])
def test_dial_repeats_what_the_state_change_told(status: str) -> None:
    assert translate(recorded("Dial", dialstatus=status), "a") is None


@pytest.mark.parametrize(("state", "kind"), [("Ringing", ChannelRinging), ("Up", ChannelUp)])
def test_state_change(state: str, kind: type[TelephonyEvent]) -> None:
    frame = next(each for each in FRAMES if each["type"] == "ChannelStateChange" and each["channel"]["state"] == state)
    event = told(frame)
    assert isinstance(event, kind)
    assert event.channel.state == state  # type: ignore[attr-defined]


def test_state_change_to_a_state_that_tells_nothing() -> None:
    frame = recorded("ChannelStateChange")
    frame["channel"]["state"] = "Dialing"
    assert translate(frame, "a") is None


def test_hangup_asked_by_us_has_no_cause() -> None:
    event = told(recorded("ChannelHangupRequest", soft=True))
    assert isinstance(event, ChannelHangupRequested)
    assert event.ours
    assert event.cause is None


def test_hangup_asked_by_the_far_end() -> None:
    event = told(recorded("ChannelHangupRequest", soft=None, cause=17))
    assert (event.ours, event.cause) == (False, 17)


def test_destroyed_after_a_refusal() -> None:
    event = told(recorded("ChannelDestroyed", tech_cause=486))
    assert isinstance(event, ChannelGone)
    assert (event.cause, event.sip_code) == (17, 486)


def test_destroyed_after_an_end() -> None:
    event = told(recorded("ChannelDestroyed", tech_cause=None))
    assert (event.cause, event.sip_code) == (16, None)


def test_dtmf() -> None:
    event = told(recorded("ChannelDtmfReceived"))
    assert isinstance(event, DtmfReceived)
    assert event.digit == "2"
    assert event.duration_ms > 0


@pytest.mark.parametrize(("kind", "held"), [("ChannelHold", True), ("ChannelUnhold", False)])
def test_hold(kind: str, held: object) -> None:
    event = told(recorded("StasisEnd") | {"type": kind})
    assert isinstance(event, HoldChanged)
    assert event.held is held


def test_playback() -> None:
    started, ended = told(recorded("PlaybackStarted")), told(recorded("PlaybackFinished"))
    assert isinstance(started, PlaybackStarted)
    assert isinstance(ended, PlaybackEnded)
    assert started.playback_id == ended.playback_id == "tl-57362de4f0-p5c310001"
    assert not ended.failed


def test_playback_that_failed() -> None:
    frame = recorded("PlaybackFinished")
    frame["playback"]["state"] = "failed"
    assert told(frame).failed


def test_recording() -> None:
    started, ended = told(recorded("RecordingStarted")), told(recorded("RecordingFinished"))
    assert isinstance(started, RecordingStarted)
    assert isinstance(ended, RecordingEnded)
    assert started.name == ended.name == f"{LEG}.rec"
    assert isinstance(ended.duration, float)
    assert not ended.failed


def test_recording_that_failed() -> None:
    event = told(recorded("RecordingFinished") | {"type": "RecordingFailed"})
    assert event.failed


def test_bridge() -> None:
    entered, left = told(recorded("ChannelEnteredBridge")), told(recorded("ChannelLeftBridge"))
    assert isinstance(entered, BridgeEntered)
    assert isinstance(left, BridgeLeft)
    assert entered.bridge_id == left.bridge_id == "tl-57362de4f0-b1"
    assert entered.channel.id == left.channel.id == LEG


def test_what_was_recorded_is_asked_for_and_the_rest_is_not() -> None:
    assert {frame["type"] for frame in FRAMES} <= set(wanted()) | {"ChannelVarset"}
    assert "ApplicationReplaced" in wanted()
    assert "ChannelVarset" not in wanted()


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["type"])
def test_missing_fields_are_never_an_exception(frame: dict[str, Any]) -> None:
    for key in frame:
        without = {name: value for name, value in frame.items() if name != key}
        assert translate(without, "a") is None or key not in {"type", "timestamp", "channel", "peer", "playback"}
        for wrong in (None, 1, "x", [], {}):
            translate(frame | {key: wrong}, "a")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_no_exception(value: Any) -> None:
    for kind in {frame["type"] for frame in FRAMES}:
        translate({"type": kind, "timestamp": "2026-11-22T00:22:52.037+0000", "channel": value, "peer": value}, "a")
    if isinstance(value, dict):
        translate(value, "a")


@pytest.mark.parametrize(
    "text", ["2026-11-22T00:22:52.037+0000", "2026-11-22T01:22:52.037+0100", "2026-11-21T19:22:52.037-0500"]
)
def test_timestamps_are_utc(text: str) -> None:
    assert timestamp(text) == datetime(2026, 11, 22, 0, 22, 52, 37000, UTC)
    assert timestamp(text).tzinfo is UTC
