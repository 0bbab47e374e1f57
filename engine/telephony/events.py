"""What an Asterisk server tells us, typed. Adapters make these; nothing else of ARI or AMI goes further in.

``at`` is Asterisk's own time stamp, aware, in UTC, milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as Asterisk describes it in an event or a list."""

    id: str
    name: str
    """``PJSIP/trunk-00000001``"""
    state: str
    """Down, Ring, Ringing, Up, …: Asterisk's words."""
    caller: str = ""
    """Caller's number."""
    exten: str = ""
    """What was dialled, for a channel that came in."""
    context: str = ""
    created_at: datetime | None = None
    call_id: str = ""
    """SIP Call-ID."""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TelephonyEvent:
    server: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChannelEntered(TelephonyEvent):
    """StasisStart: the channel is ours to command now. ``args`` as the dialplan or our create gave them."""

    channel: Channel
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelRinging(TelephonyEvent):
    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelUp(TelephonyEvent):
    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelProgress(TelephonyEvent):
    """The far end sends early media (183)."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelDialing(TelephonyEvent):
    """The call went out: the INVITE is sent."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelHangupRequested(TelephonyEvent):
    """Somebody wants it to end: the far end, or our side (``ours``: a request of ours, or Asterisk itself when the dial
    or the call timed out)."""

    channel: Channel
    cause: int | None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class ChannelLeft(TelephonyEvent):
    """StasisEnd: out of our hands, by its end or by the dialplan."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelGone(TelephonyEvent):
    """ChannelDestroyed: the last that is heard of it. ``cause`` Q.850, ``sip_code`` where a refusal had one."""

    channel: Channel
    cause: int | None
    sip_code: int | None


@dataclass(frozen=True, slots=True)
class DtmfReceived(TelephonyEvent):
    channel: Channel
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class HoldChanged(TelephonyEvent):
    channel: Channel
    held: bool


@dataclass(frozen=True, slots=True)
class TransferRequested(TelephonyEvent):
    """A phone sent REFER on ``channel``: blind to ``destination``, or attended to who talks on ``replaced``, a channel of
    the same phone."""

    channel: Channel
    destination: str
    replaced: Channel | None


@dataclass(frozen=True, slots=True)
class TalkingChanged(TelephonyEvent):
    """The party began to speak, or has been silent for a while; told of channels on which talk detection is set."""

    channel: Channel
    talking: bool


@dataclass(frozen=True, slots=True)
class PlaybackStarted(TelephonyEvent):
    playback_id: str


@dataclass(frozen=True, slots=True)
class PlaybackEnded(TelephonyEvent):
    playback_id: str
    failed: bool


@dataclass(frozen=True, slots=True)
class RecordingStarted(TelephonyEvent):
    name: str


@dataclass(frozen=True, slots=True)
class RecordingEnded(TelephonyEvent):
    name: str
    failed: bool
    duration: float | None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class BridgeEntered(TelephonyEvent):
    bridge_id: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class BridgeLeft(TelephonyEvent):
    bridge_id: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class LinkLost(TelephonyEvent):
    """The event stream broke: what happens from now on is not told."""


@dataclass(frozen=True, slots=True)
class LinkRestored(TelephonyEvent):
    """Events flow again; what happened meanwhile must be found by comparing lists."""
