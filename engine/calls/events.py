"""What happens in a call, as it stands in the call's timeline and in table ``call_events``.

One shape for all, so that a timeline can be stored, shown and replayed without knowing each kind. ``data`` holds JSON
values alone. ``at`` is Asterisk's clock where Asterisk reported the fact, else ours; always aware, in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    CALL_CREATED = "call.created"
    CALL_CHANGED = "call.changed"
    CALL_PLACED = "call.placed"
    CALL_STEP = "call.step"
    CALL_BRIDGED = "call.bridged"
    CALL_UNBRIDGED = "call.unbridged"
    CALL_HELD = "call.held"
    CALL_RESUMED = "call.resumed"
    CALL_TRANSFERRING = "call.transferring"
    CALL_TRANSFERRED = "call.transferred"
    CALL_TRANSFER_FAILED = "call.transfer_failed"
    CALL_PARKED = "call.parked"
    CALL_MONITORED = "call.monitored"
    CALL_DIVERTED = "call.diverted"
    CALL_ADOPTED = "call.adopted"
    CALL_REFUSED = "call.refused"
    CALL_ENDED = "call.ended"
    LEG_CREATED = "leg.created"
    LEG_DIALING = "leg.dialing"
    LEG_RINGING = "leg.ringing"
    LEG_PROGRESS = "leg.progress"
    LEG_ANSWERED = "leg.answered"
    LEG_HELD = "leg.held"
    LEG_RESUMED = "leg.resumed"
    LEG_MOVED = "leg.moved"
    LEG_MUTED = "leg.muted"
    LEG_DTMF = "leg.dtmf"
    LEG_DETECTED = "leg.detected"
    LEG_ENDED = "leg.ended"
    PLAY_STARTED = "play.started"
    PLAY_ENDED = "play.ended"
    MESSAGE_RECORDED = "message.recorded"
    RECORDING_STARTED = "recording.started"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_STOPPED = "recording.stopped"
    RECORDING_READY = "recording.ready"
    RECORDING_FAILED = "recording.failed"
    TRANSCRIPT_READY = "transcript.ready"
    TRANSCRIPT_FAILED = "transcript.failed"
    ROOM_INBOUND_CALL = "room.inbound_call"
    ROOM_OUTBOUND_CALL = "room.outbound_call"
    ROOM_OUTBOUND_CALL_STATUS = "room.outbound_call_status"
    ROOM_ENTERED = "room.entered"
    ROOM_LEFT = "room.left"
    ROOM_HANGUP = "room.hangup"
    ROOM_MUTED = "room.muted"
    ROOM_UNMUTED = "room.unmuted"
    ROOM_PAUSED = "room.paused"
    ROOM_UNPAUSED = "room.unpaused"
    ROOM_PIN_INVALID = "room.pin_invalid"
    ROOM_REFUSED = "room.refused"
    ROOM_RECORDING_STARTED = "room.recording_started"
    ROOM_RECORDING_STOPPED = "room.recording_stopped"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline. ``leg`` is the leg's ordinal within the call, from 1; ``seq`` counts from 1."""

    kind: Kind
    at: datetime
    leg: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
