"""Every control by the name of its action: what ``POST /api/calls/{request_id}/control`` takes."""

from collections.abc import Mapping

from engine.controls.hangup import hangup
from engine.controls.hold import hold, resume
from engine.controls.mute import mute, unmute
from engine.controls.transfer import attended_transfer, cancel, complete, swap, transfer
from engine.sessions.services import Control

CONTROLS: Mapping[str, Control] = {
    "hold": hold,
    "resume": resume,
    "mute": mute,
    "unmute": unmute,
    "transfer": transfer,
    "attended_transfer": attended_transfer,
    "complete": complete,
    "cancel": cancel,
    "swap": swap,
    "hangup": hangup,
}
