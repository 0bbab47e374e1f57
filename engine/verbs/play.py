"""Play prompts, files and tones to one party."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session

STARTS_WITHIN = 5.0
"""Seconds. Asterisk does not tell of every playback that fails, so that each has a deadline."""
STOPS_WITHIN = 1.0
LETS_GO_WITHIN = 3.0
MOST_AT_ONCE = 50
"""Media URIs of one request to Asterisk; what is repeated more often is asked for again."""


@dataclass(frozen=True, slots=True)
class Played:
    """``completed``: to the end. Else the party hung up, it was stopped, or Asterisk could not play it."""

    completed: bool


async def play(
    session: Session,
    leg: Leg,
    *media: str,
    longest: float = 120.0,
    times: int | None = 1,
    stop_when: Callable[[], bool] | None = None,
    note: str = "",
) -> Played:
    """Play media URIs in turn to a party that is up, ``times`` over (None: until something else ends it); wait for the
    end, at most ``longest`` seconds. ``note`` stands in the timeline.

    It is stopped when ``stop_when()`` comes true, and when this is cancelled; the channel is then free for a bridge.
    """
    at_once = max(MOST_AT_ONCE // max(len(media), 1), 1)
    ends = asyncio.get_running_loop().time() + longest
    left = times
    while media and (left is None or left > 0):
        now = at_once if left is None else min(at_once, left)
        longest = ends - asyncio.get_running_loop().time()
        played = await _play(session, leg, media * now, longest=longest, stop_when=stop_when, note=note)
        if not played.completed:
            return played
        left = None if left is None else left - now
    return Played(completed=bool(media) and leg.up)


async def tone(
    session: Session, leg: Leg, name: str, seconds: float, *, stop_when: Callable[[], bool] | None = None
) -> Played:
    """Let a party hear a tone for that long: a name of Asterisk's ``indications.conf`` (``ring``, ``busy``,
    ``congestion``, ``dial``). ``completed``: it was heard so long."""

    def over() -> bool:
        return asyncio.get_running_loop().time() >= ends or (stop_when is not None and stop_when())

    ends = asyncio.get_running_loop().time() + seconds
    timer = asyncio.get_running_loop().call_at(ends, session.waiters.wake)
    try:
        await play(session, leg, f"tone:{name}", longest=seconds, stop_when=over)
    finally:
        timer.cancel()
    return Played(completed=leg.up and asyncio.get_running_loop().time() >= ends)


async def _play(
    session: Session,
    leg: Leg,
    media: tuple[str, ...],
    *,
    longest: float,
    stop_when: Callable[[], bool] | None,
    note: str,
) -> Played:
    if not leg.up or longest <= 0:
        return Played(completed=False)
    playback = ids.playback_id(session.call.request_id)
    told: dict[str, Any] = {"note": note} if note else {}
    session.record(Kind.PLAY_STARTED, leg=leg.n, playback=playback, media=list(media), **told)
    completed = False
    playing = session.playing.setdefault(leg.channel_id, set())
    playing.add(playback)
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
        playing.discard(playback)
        session.record(Kind.PLAY_ENDED, leg=leg.n, playback=playback, completed=completed)
    return Played(completed)


async def quiet(session: Session, leg: Leg) -> None:
    """Stop what plays to a party, and wait until Asterisk has let go of the channel: a bridge that was to take it before
    would block."""
    playing = session.playing.get(leg.channel_id)
    if playing and leg.up:
        await session.attempt(*(session.switch.stop_play(playback) for playback in playing))
        await session.until(lambda: not playing - session.finished.keys() or not leg.up, LETS_GO_WITHIN)


async def _stop(session: Session, leg: Leg, playback: str) -> None:
    """Stop what still plays, and wait until Asterisk has let go of the channel."""
    if playback not in session.finished and leg.up:
        await session.attempt(session.switch.stop_play(playback))
        await session.until(lambda: playback in session.finished or not leg.up, STOPS_WITHIN)
    session.finished.pop(playback, None)
