"""What a web hook may be told (CONTRACT §6). Explicit: a type that is not here can't be subscribed to."""

from collections.abc import Sequence

TYPES = (
    "call.created",
    "call.ringing",
    "call.answered",
    "call.bridged",
    "call.ended",
    "recording.ready",
    "recording.failed",
    "transcript.ready",
    "transcript.failed",
    "room.inbound_call",
    "room.outbound_call",
    "room.outbound_call_status",
    "room.entered",
    "room.left",
    "room.hangup",
    "room.muted",
    "room.unmuted",
    "room.paused",
    "room.unpaused",
    "room.pin_invalid",
    "room.refused",
    "room.locked",
    "room.unlocked",
    "room.opened",
    "room.closed",
    "room.announced",
    "room.recording_started",
    "room.recording_stopped",
    "room.recording_ready",
    "room.recording_failed",
    "campaign.created",
    "campaign.started",
    "campaign.paused",
    "campaign.resumed",
    "campaign.completed",
    "campaign.stopped",
)
FAMILIES = ("call.*", "recording.*", "transcript.*", "campaign.*", "room.*")
"""Stand for every type that begins so, also for those to come."""
TEST = "webhook.test"
"""Sent when asked for, whatever the hook takes."""

TERMINAL = "call.ended"
"""Exactly one of each call."""


def unknown(types: Sequence[str]) -> list[str]:
    """Those of ``types`` that are neither a type nor a family."""
    return [each for each in types if each not in TYPES and each not in FAMILIES]
