"""The one table of states and legal moves, for calls and for legs. A move that is not here is not made."""

from enum import StrEnum

from engine.calls.events import Kind


class CallState(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    CONNECTING = "connecting"
    IN_FLOW = "in_flow"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


class LegState(StrEnum):
    CREATED = "created"
    DIALING = "dialing"
    RINGING = "ringing"
    UP = "up"
    HELD = "held"
    ENDED = "ended"


_C, _L, _K = CallState, LegState, Kind
_LIVE = (_C.QUEUED, _C.CONNECTING, _C.IN_FLOW, _C.TALKING, _C.HELD)

CALL_MOVES: dict[tuple[CallState, Kind], CallState] = {
    (_C.SCHEDULED, _K.CALL_PLACED): _C.QUEUED,
    (_C.SCHEDULED, _K.LEG_CREATED): _C.CONNECTING,
    (_C.QUEUED, _K.LEG_CREATED): _C.CONNECTING,
    (_C.CONNECTING, _K.LEG_ANSWERED): _C.IN_FLOW,
    (_C.IN_FLOW, _K.CALL_BRIDGED): _C.TALKING,
    (_C.TALKING, _K.CALL_UNBRIDGED): _C.IN_FLOW,
    (_C.HELD, _K.CALL_UNBRIDGED): _C.IN_FLOW,
    (_C.TALKING, _K.CALL_HELD): _C.HELD,
    (_C.HELD, _K.CALL_RESUMED): _C.TALKING,
    (_C.SCHEDULED, _K.CALL_ENDED): _C.ENDED,
    **{(state, _K.CALL_ENDED): _C.ENDED for state in _LIVE},
}

_KEEPS_LIVE = frozenset(Kind) - {
    _K.CALL_CREATED, _K.CALL_CHANGED, _K.CALL_PLACED, _K.CALL_BRIDGED, _K.CALL_UNBRIDGED, _K.CALL_HELD, _K.CALL_RESUMED, _K.CALL_ENDED,
}  # fmt: skip
_KEEPS: dict[CallState, frozenset[Kind]] = {
    _C.SCHEDULED: frozenset({_K.CALL_CHANGED, _K.CALL_STEP, _K.CALL_REFUSED}),
    **dict.fromkeys(_LIVE, _KEEPS_LIVE),
    _C.QUEUED: frozenset({_K.CALL_STEP, _K.CALL_REFUSED, _K.CALL_ADOPTED, _K.ROOM_OUTBOUND_CALL}),
    _C.ENDED: frozenset({_K.RECORDING_READY, _K.RECORDING_FAILED, _K.TRANSCRIPT_READY, _K.TRANSCRIPT_FAILED}),
}

_RANK = (_L.CREATED, _L.DIALING, _L.RINGING, _L.UP)
LEG_MOVES: dict[tuple[LegState, Kind], LegState] = {
    (_L.CREATED, _K.LEG_DIALING): _L.DIALING,
    **{(state, _K.LEG_RINGING): _L.RINGING for state in _RANK[:2]},
    **{(state, _K.LEG_ANSWERED): _L.UP for state in _RANK[:3]},
    (_L.UP, _K.LEG_HELD): _L.HELD,
    (_L.HELD, _K.LEG_RESUMED): _L.UP,
    (_L.UP, _K.LEG_MOVED): _L.ENDED,
    (_L.HELD, _K.LEG_MOVED): _L.ENDED,
    **{(state, _K.LEG_ENDED): _L.ENDED for state in (*_RANK, _L.HELD)},
}
_LEG_KEEPS = frozenset(
    {_K.LEG_PROGRESS, _K.LEG_MUTED, _K.LEG_DTMF, _K.LEG_DETECTED, _K.MESSAGE_RECORDED, _K.PLAY_STARTED, _K.PLAY_ENDED, _K.RECORDING_STARTED,
     _K.RECORDING_READY, _K.RECORDING_FAILED}
)  # fmt: skip


class IllegalMove(Exception):
    """The event does not fit the state; nothing was changed."""


def next_call_state(state: CallState, kind: Kind) -> CallState:
    """The state after ``kind``. Raises IllegalMove."""
    after = CALL_MOVES.get((state, kind))
    if after is None and kind not in _KEEPS[state]:
        raise IllegalMove(f"{kind} in a call that is {state}")
    return after or state


def next_leg_state(state: LegState, kind: Kind) -> LegState:
    """The state after ``kind``. Raises IllegalMove."""
    after = LEG_MOVES.get((state, kind))
    if after is None and (kind not in _LEG_KEEPS or state is LegState.ENDED):
        raise IllegalMove(f"{kind} in a leg that is {state}")
    return after or state
