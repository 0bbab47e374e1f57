"""Every control by the name of its action: what ``POST /api/calls/{request_id}/control`` takes."""

from collections.abc import Mapping

from engine.controls.hangup import hangup
from engine.controls.hold import hold, resume
from engine.controls.merge import merge
from engine.controls.monitor import barge, spy, whisper
from engine.controls.mute import mute, unmute
from engine.controls.park import park, retrieve
from engine.controls.record import record_pause, record_resume, record_start, record_stop
from engine.controls.redirect import redirect
from engine.controls.sound import dtmf, play, say
from engine.controls.transfer import attended_transfer, cancel, complete, swap, transfer
from engine.controls.who import once_connected
from engine.sessions.services import Control

OF_PHONES = frozenset({"merge"})
"""Actions that only a phone's own signalling asks for."""

CONTROLS: Mapping[str, Control] = {
    "hold": once_connected(hold),
    "resume": resume,
    "mute": mute,
    "unmute": unmute,
    "park": once_connected(park),
    "retrieve": retrieve,
    "merge": merge,
    "transfer": once_connected(transfer),
    "attended_transfer": once_connected(attended_transfer),
    "complete": complete,
    "cancel": cancel,
    "swap": swap,
    "play": play,
    "say": say,
    "dtmf": dtmf,
    "record_start": record_start,
    "record_pause": record_pause,
    "record_resume": record_resume,
    "record_stop": record_stop,
    "spy": spy,
    "whisper": whisper,
    "barge": barge,
    "redirect": redirect,
    "hangup": hangup,
}
