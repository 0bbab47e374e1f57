"""ARI event → typed event. Pure, and total: what is unknown or malformed becomes None, never an exception.

Which event tells which fact was measured on Asterisk 22 with channels made by create + dial. Each fact has one source:
``Dial`` with an empty status is the INVITE, ``Dial`` PROGRESS the 183, ChannelStateChange the 180 and the answer (the
``Dial`` RINGING and ANSWER beside them say the same again and are dropped).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.telephony.events import (
    BridgeEntered,
    BridgeLeft,
    Channel,
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
    TalkingChanged,
    TelephonyEvent,
    TransferRequested,
)

Frame = Mapping[str, Any]
_Translator = Callable[[Frame, str, datetime], TelephonyEvent | None]

APPLICATION_REPLACED: Final = "ApplicationReplaced"
USER_EVENT: Final = "ChannelUserevent"
"""The link asks for one now and then, to see whether it is heard."""


def translate(frame: Frame, server: str) -> TelephonyEvent | None:
    """The event that ``frame`` tells of; None when it tells nothing that we use."""
    try:
        translator = _TABLE.get(frame["type"])
        return translator(frame, server, timestamp(frame["timestamp"])) if translator else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def wanted() -> list[str]:
    """The event types that a server is to send, the most frequent first."""
    return [*_TABLE, APPLICATION_REPLACED, USER_EVENT]


def timestamp(text: str) -> datetime:
    """Asterisk's ``2026-11-22T00:22:52.037+0000`` in UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def channel(raw: Frame) -> Channel:
    """A channel snapshot. Raises KeyError or TypeError without its id."""
    dialplan = raw.get("dialplan") or {}
    created = raw.get("creationtime")
    return Channel(
        id=raw["id"],
        name=raw.get("name", ""),
        state=raw.get("state", ""),
        caller=(raw.get("caller") or {}).get("number", ""),
        exten=dialplan.get("exten", ""),
        context=dialplan.get("context", ""),
        created_at=timestamp(created) if created else None,
        call_id=raw.get("protocol_id", ""),
        variables=raw.get("channelvars") or {},
    )


def _entered(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return ChannelEntered(server, at, channel(frame["channel"]), tuple(frame.get("args") or ()))


def _left(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return ChannelLeft(server, at, channel(frame["channel"]))


def _state_change(frame: Frame, server: str, at: datetime) -> TelephonyEvent | None:
    kind = {"Ringing": ChannelRinging, "Up": ChannelUp}.get(frame["channel"].get("state", ""))
    return kind(server, at, channel(frame["channel"])) if kind else None


def _dial(frame: Frame, server: str, at: datetime) -> TelephonyEvent | None:
    kind = {"": ChannelDialing, "PROGRESS": ChannelProgress}.get(frame.get("dialstatus", "?"))
    return kind(server, at, channel(frame["peer"])) if kind else None


def _hangup_request(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    ours = bool(frame.get("soft"))  # its "cause" is then Asterisk's soft hang-up flag and no Q.850 cause
    cause = None if ours else frame.get("cause")
    return ChannelHangupRequested(server, at, channel(frame["channel"]), cause, ours)


def _gone(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return ChannelGone(server, at, channel(frame["channel"]), frame.get("cause"), frame.get("tech_cause") or None)


def _dtmf(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return DtmfReceived(server, at, channel(frame["channel"]), frame["digit"], frame.get("duration_ms", 0))


def _hold(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return HoldChanged(server, at, channel(frame["channel"]), frame["type"] == "ChannelHold")


def _transfer(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    to, by = frame["refer_to"], frame["referred_by"]
    replaced = to.get("destination_channel")
    destination = to.get("requested_destination", {}).get("destination", "")
    return TransferRequested(
        server, at, channel(by["source_channel"]), destination, channel(replaced) if replaced else None
    )


def _talking(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return TalkingChanged(server, at, channel(frame["channel"]), frame["type"] == "ChannelTalkingStarted")


def _playback_started(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return PlaybackStarted(server, at, frame["playback"]["id"])


def _playback_ended(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    playback = frame["playback"]
    return PlaybackEnded(server, at, playback["id"], playback.get("state") == "failed")


def _recording_started(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return RecordingStarted(server, at, frame["recording"]["name"])


def _recording_ended(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    recording = frame["recording"]
    duration = recording.get("duration")
    failed = frame["type"] == "RecordingFailed" or recording.get("state") in {"failed", "canceled"}
    return RecordingEnded(server, at, recording["name"], failed, None if duration is None else float(duration))


def _bridge_entered(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return BridgeEntered(server, at, frame["bridge"]["id"], channel(frame["channel"]))


def _bridge_left(frame: Frame, server: str, at: datetime) -> TelephonyEvent:
    return BridgeLeft(server, at, frame["bridge"]["id"], channel(frame["channel"]))


_TABLE: Final[dict[str, _Translator]] = {
    "StasisStart": _entered,
    "StasisEnd": _left,
    "ChannelStateChange": _state_change,
    "Dial": _dial,
    "ChannelHangupRequest": _hangup_request,
    "ChannelDestroyed": _gone,
    "ChannelDtmfReceived": _dtmf,
    "ChannelHold": _hold,
    "ChannelTransfer": _transfer,
    "ChannelUnhold": _hold,
    "ChannelTalkingStarted": _talking,
    "ChannelTalkingFinished": _talking,
    "PlaybackStarted": _playback_started,
    "PlaybackFinished": _playback_ended,
    "RecordingStarted": _recording_started,
    "RecordingFinished": _recording_ended,
    "RecordingFailed": _recording_ended,
    "ChannelEnteredBridge": _bridge_entered,
    "ChannelLeftBridge": _bridge_left,
}
