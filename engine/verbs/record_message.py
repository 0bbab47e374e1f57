"""Record what one party says: a message, an answer."""

import asyncio
import wave
from dataclasses import dataclass
from pathlib import Path

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session
from engine.verbs import keys

ENDS_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """``longest`` in seconds; ``silence``: it ends after so many seconds without a sound (0: never); ``terminators``: keys
    that end it (``any`` of them: ``0123456789*#``); ``shortest``: what is shorter is no message. ``to``: the file it is
    brought to, which must not exist; without, it stays in Asterisk's recording folder."""

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
    """Record a party that is up and in no bridge, until one of the ends of ``options``."""
    name = ids.message_id(leg.channel_id)
    keys.flush(session, leg)
    try:
        await session.switch.record(
            leg.channel_id, name, max_seconds=options.longest, beep=options.beep, max_silence=options.silence
        )
    except TelephonyError:
        return Recorded("failed")
    reason = await _until_over(session, leg, name, options)
    recorded = await _verified(session, name, reason, options)
    session.record(
        Kind.MESSAGE_RECORDED, leg=leg.n, message=name, reason=recorded.reason, seconds=round(recorded.seconds, 3)
    )
    return recorded


async def _until_over(session: Session, leg: Leg, name: str, options: RecordMessage) -> str:
    begun = asyncio.get_running_loop().time()

    def ended_by_key() -> bool:
        return any(key in options.terminators for key in keys.unread(session, leg))

    try:
        await session.until(
            lambda: name in session.finished or ended_by_key() or not leg.up, options.longest + ENDS_WITHIN
        )
    finally:
        if name not in session.finished:
            await session.attempt(session.switch.stop_record(name))
            await session.until(lambda: name in session.finished, ENDS_WITHIN)
    if ended_by_key():
        keys.flush(session, leg)
        return "terminator"
    if not leg.up:
        return "hangup"
    lasted = asyncio.get_running_loop().time() - begun
    return "longest" if lasted >= options.longest else "silence"


async def _verified(session: Session, name: str, reason: str, options: RecordMessage) -> Recorded:
    """Fetch the file and count its samples. Raises TelephonyError when Asterisk can't be reached."""
    went_well = session.finished.pop(name, False)
    if options.to is None:
        return Recorded(reason if went_well else "failed", name)
    if not await session.switch.fetch_recording(name, options.to):
        return Recorded("failed", name)
    seconds = await asyncio.to_thread(_seconds, options.to)
    said = seconds - (options.silence if reason == "silence" else 0)
    if said < options.shortest:
        await asyncio.to_thread(options.to.unlink, missing_ok=True)
    await session.attempt(session.switch.delete_recording(name))
    return (
        Recorded(reason, name, seconds, options.to)
        if said >= options.shortest
        else Recorded("too_short", name, seconds)
    )


def _seconds(file: Path) -> float:
    """Seconds of sound in a WAV file; 0 for what is none. The bytes count, not what the header says."""
    try:
        with wave.open(str(file), "rb") as sound:
            frame = sound.getsampwidth() * sound.getnchannels()
            return len(sound.readframes(sound.getnframes())) / (frame * sound.getframerate())
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        return 0.0
