"""Record what one party says: a message, an answer."""

import asyncio
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.play import play

ENTERS_WITHIN = 10.0
ENDS_WITHIN = 3.0
BEEP_LASTS = 2.0
HANGUP_TELLS_WITHIN = 0.2
"""Seconds from the end of a recording to the news of the hang-up that ended it."""
LEAVES_WITHIN = 5.0
"""… where Asterisk told already that the party hangs up."""


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """``longest`` in seconds; ``silence``: it ends after so many seconds without a sound, which are
    not in the file (0: never); ``terminators``: keys
    that end it (``any`` of them: ``0123456789*#``); ``shortest``: what is shorter is no message. ``to``: the file it is
    brought to, which must not exist; without, it stays in Asterisk's recording folder until the call ends."""

    longest: int = 120
    silence: int = 4
    terminators: str = "#"
    beep: bool = True
    shortest: float = 1.0
    to: Path | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """``reason``: terminator, silence, longest, hangup, too_short or failed; of the last two there is no file. ``seconds``
    of sound are counted in the file, and not believed."""

    reason: str
    name: str = ""
    seconds: float = 0.0
    file: Path | None = None

    @property
    def kept(self) -> bool:
        return self.reason not in {"too_short", "failed"}


async def record_message(session: Session, leg: Leg, options: RecordMessage) -> Recorded:
    """Record a party that is up until one of the ends of ``options``. Raises TelephonyError when Asterisk fails though the
    party is there."""
    name = ids.message_id(ids.channel_id(session.call.request_id, leg.n))
    if options.beep:
        await play(session, leg, "sound:beep", longest=BEEP_LASTS)
    keys.flush(session, leg)
    try:
        recorded = await _record(session, leg, name, options)
    except TelephonyError:
        if leg.alive:
            raise
        recorded = Recorded("failed", name)
    told: dict[str, Any] = {"party": leg.n, "message": name, "seconds": round(recorded.seconds, 3)}
    session.record(Kind.MESSAGE_RECORDED, reason=recorded.reason, **told)
    return recorded


async def _record(session: Session, leg: Leg, name: str, options: RecordMessage) -> Recorded:
    """By a channel that listens to the party, for one that we dialled is in a bridge of Asterisk's own, and what is in a
    bridge can't be recorded. It has the name of its recording. Who came by FastAGI is in none. Raises TelephonyError."""
    switch = session.switch
    if session.door is not None and leg.channel_id == session.door.channel_id:
        await switch.record(
            leg.channel_id,
            name,
            max_seconds=options.longest,
            max_silence=options.silence,
            terminators=options.terminators,
        )
        return await _verified(session, name, await _until_over(session, leg, name, options), options)
    try:
        await switch.snoop(leg.channel_id, name)
        await session.until(lambda: name in session.entered or not leg.up, ENTERS_WITHIN)
        await switch.record(name, name, max_seconds=options.longest, max_silence=options.silence)
        reason = await _until_over(session, leg, name, options)
    finally:
        await session.attempt(switch.hangup(name))
        session.entered.discard(name)
    return await _verified(session, name, reason, options)


async def _until_over(session: Session, leg: Leg, name: str, options: RecordMessage) -> str:
    begun = asyncio.get_running_loop().time()

    def ended_by_key() -> bool:
        return any(key in options.terminators for key in keys.unread(session, leg))

    try:
        # Asterisk counts whole seconds of its clock: left to itself it ends up to a second late.
        await session.until(lambda: name in session.finished or ended_by_key() or not leg.up, options.longest)
    finally:
        if name not in session.finished:
            await session.attempt(session.switch.stop_record(name))
            await session.until(lambda: name in session.finished, ENDS_WITHIN)
    lasted = asyncio.get_running_loop().time() - begun
    if ended_by_key():
        keys.flush(session, leg)
        return "terminator"
    if await session.until(lambda: not leg.up, LEAVES_WITHIN if leg.n in session.left_by else HANGUP_TELLS_WITHIN):
        return "hangup"
    return "longest" if lasted >= options.longest else "silence"


async def _verified(session: Session, name: str, reason: str, options: RecordMessage) -> Recorded:
    """Fetch the file and count its samples. Raises TelephonyError when Asterisk can't be reached."""
    went_well = session.finished.pop(name, False)
    if options.to is None:
        session.messages.add(name)
        return Recorded(reason if went_well else "failed", name)
    if not await session.switch.fetch_recording(name, options.to):
        return Recorded("failed", name)
    seconds = await asyncio.to_thread(_seconds, options.to)
    kept = seconds >= options.shortest
    if not kept:
        await asyncio.to_thread(options.to.unlink, missing_ok=True)
    await session.attempt(session.switch.delete_recording(name))
    return Recorded(reason, name, seconds, options.to) if kept else Recorded("too_short", name, seconds)


def _seconds(file: Path) -> float:
    """Seconds of sound in a WAV file; 0 for what is none. The bytes count, not what the header says."""
    try:
        with wave.open(str(file), "rb") as sound:
            frame = sound.getsampwidth() * sound.getnchannels()
            return len(sound.readframes(sound.getnframes())) / (frame * sound.getframerate())
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        return 0.0
