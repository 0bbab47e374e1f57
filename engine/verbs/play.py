"""Play prompts, files and tones to one party."""

from collections.abc import Callable
from dataclasses import dataclass

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session

STARTS_WITHIN = 5.0
"""Seconds. Asterisk does not tell of every playback that fails, so that each has a deadline."""
STOPS_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Played:
    """``completed``: to the end. Else the party hung up, it was stopped, or Asterisk could not play it."""

    completed: bool


async def play(
    session: Session, leg: Leg, *media: str, longest: float = 120.0, stop_when: Callable[[], bool] | None = None
) -> Played:
    """Play media URIs in turn to a party that is up; wait for the end, at most ``longest`` seconds.

    It is stopped when ``stop_when()`` comes true, and when this is cancelled; the channel is then free for a bridge.
    """
    if not leg.up or not media:
        return Played(completed=False)
    playback = ids.playback_id(session.call.request_id)
    session.record(Kind.PLAY_STARTED, leg=leg.n, playback=playback, media=list(media))
    completed = False
    try:
        await session.switch.play(leg.channel_id, playback, media)
        await session.until(
            lambda: playback in session.finished or not leg.up or (stop_when is not None and stop_when()),
            longest + STARTS_WITHIN,
        )
        completed = session.finished.get(playback, False)
    except TelephonyError:
        completed = False
    finally:
        await _stop(session, leg, playback)
        session.record(Kind.PLAY_ENDED, leg=leg.n, playback=playback, completed=completed)
    return Played(completed)


async def _stop(session: Session, leg: Leg, playback: str) -> None:
    """Stop what still plays, and wait until Asterisk has let go of the channel."""
    if playback not in session.finished and leg.up:
        await session.attempt(session.switch.stop_play(playback))
        await session.until(lambda: playback in session.finished or not leg.up, STOPS_WITHIN)
    session.finished.pop(playback, None)
