"""Record a conversation, each side on its own; merged after the call, also when the engine died in between."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import Clash, TelephonyError
from engine.sessions.session import Session
from engine.store.port import RecordingRow

BEGINS_WITHIN = 2.0
"""Seconds that an order to record waits for Asterisk to begin."""
ENTERS_WITHIN = 5.0

SIDES = {"both": ("agent", "customer"), "agent": ("agent",), "customer": ("customer",)}
"""``recording_option`` → sides. ``on`` is ``both``."""


MOST = 20
"""Recordings of one call."""


def recording_name(request_id: str, turn: int = 0) -> str:
    """``turn``: of the call's recordings, from 0."""
    return f"{request_id}-{turn + 1}.wav" if turn else f"{request_id}.wav"


async def record_sides(
    session: Session, option: str, parties: dict[str, Leg], *, transcribe: bool = False, spy: str = "in"
) -> None:
    """Start recording. ``parties``: agent and customer → their legs, both up. ``transcribe`` wants both sides whatever
    the option, in a recording of its own where the option alone would not make one. Rows are committed first, so that
    files never lie about that nobody knows of. ``spy`` ``both``: what a party hears is on its side too. What Asterisk
    refuses stands in the timeline; the call goes on. Raises Unsupported for a party who came by FastAGI."""
    wanted = _wanted(session.call.request_id, option, transcribe=transcribe)
    if not wanted:
        return
    for party in parties.values():
        session.require(party, "a recording of one side")
    if not (session.call.recording_name or session.call.transcript_recording):
        for name, sides_of in wanted.items():
            _begin(session, name, sides_of, parties)
        await session.committed()
    _listen_to_all(session, SIDES["both" if transcribe else option], parties, spy)


async def start_recording(session: Session, option: str, parties: dict[str, Leg]) -> str:
    """Record from now on, whatever was recorded before; the recording's name, when Asterisk has begun. Nothing must be being
    recorded. Raises StoreAway."""
    turn = len(session.call.recordings)
    if turn == 0 and (session.call.recording_name or session.call.transcript_recording):
        turn = 1  # the first name is a message's, the first files are the transcript's
    name = recording_name(session.call.request_id, turn)
    _begin(session, name, option, parties, turn)
    await session.committed()
    _listen_to_all(session, SIDES[option], parties, turn=turn)
    files = {ids.recording_id(parties[side].channel_id, turn) for side in SIDES[option]}
    await session.until(lambda: files <= session.recorders | session.finished.keys(), BEGINS_WITHIN)
    return name


async def stop_recording(session: Session) -> None:
    """End the recording that runs; it is made ready when the call is over. Raises TelephonyError."""
    recording = session.call.recording
    if recording is None:
        return
    files = list(recording.sides.values())
    await asyncio.gather(*(session.switch.stop_record(file) for file in files))
    session.record(Kind.RECORDING_STOPPED, recording_name=recording.name)
    snoops = [file.replace(".rec", ".snoop") for file in files]
    await session.attempt(*(session.switch.hangup(snoop) for snoop in snoops))
    session.entered.difference_update(snoops)


async def pause_recording(session: Session, *, paused: bool) -> None:
    """While it is paused it records silence, so that both sides stay as long as the conversation. Raises TelephonyError."""
    recording = session.call.recording
    if recording is None or recording.paused == paused:
        return
    await asyncio.gather(*(session.switch.pause_record(file, on=paused) for file in recording.sides.values()))
    kind = Kind.RECORDING_PAUSED if paused else Kind.RECORDING_RESUMED
    session.record(kind, recording_name=recording.name)


def _wanted(request_id: str, option: str, *, transcribe: bool) -> dict[str, str]:
    """Names of recordings → whose sides are in them."""
    wanted = {recording_name(request_id): option} if option in SIDES else {}
    if transcribe and option != "both":
        wanted[ids.transcript_recording(request_id)] = "both"
    return wanted


def _begin(session: Session, name: str, option: str, parties: dict[str, Leg], turn: int = 0) -> None:
    files = {side: ids.recording_id(parties[side].channel_id, turn) for side in SIDES[option]}
    session.keep(_row(session, name, option, files, session.services.now()))
    naming: dict[str, Any] = {"transcript_recording" if ids.is_transcript_recording(name) else "recording_name": name}
    session.record(Kind.RECORDING_STARTED, option=option, sides=files, **naming)


def _listen_to_all(
    session: Session, sides: tuple[str, ...], parties: dict[str, Leg], spy: str = "in", turn: int = 0
) -> None:
    for side in sides:
        session.spawn(_listen(session, parties[side], spy, turn), f"record {side}")


def _row(
    session: Session, name: str, option: str, files: dict[str, str], started_at: datetime
) -> RecordingRow:  # fmt: skip
    return RecordingRow(
        name=name,
        request_id=session.call.request_id,
        account=session.account.account,
        option=option,
        state="recording",
        server=session.switch.name,
        sides=files,
        started_at=started_at,
    )


async def _listen(session: Session, leg: Leg, spy: str, turn: int) -> None:
    """A snoop channel that hears the party, and its recording: a channel in a bridge can't be recorded itself. After a
    restart, what the last process did of this is left as it is."""
    snoop, file = ids.snoop_id(leg.channel_id, turn), ids.recording_id(leg.channel_id, turn)
    try:
        if snoop not in session.entered:
            await session.switch.snoop(leg.channel_id, snoop, spy=spy)
            await session.until(lambda: snoop in session.entered or not leg.alive, ENTERS_WITHIN)
        with suppress(Clash):
            await session.switch.record(snoop, file)
    except TelephonyError as error:
        if leg.alive:
            session.record(Kind.RECORDING_FAILED, leg=leg.n, error=type(error).__name__)
