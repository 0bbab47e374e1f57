"""Sound into a live call: files, spoken texts, keys. It begins, and then the order is answered; it goes on beside the talk."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import structlog

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.controls.who import named, talkers, theirs
from engine.errors import InvalidFields, StateConflict, TelephonyError
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs.play import play as play_to
from engine.verbs.say import Say, rendered
from engine.verbs.send_dtmf import send_dtmf

log = structlog.get_logger(__name__)

LONGEST = 600.0
_ONE_KEY = 0.2
_SOON = 5.0
"""Seconds: keys that take longer are answered for when the first is sent."""


async def play(session: Session, order: Order) -> Mapping[str, Any]:
    """``media``: URIs that Asterisk plays. To the party named, who hears nothing else meanwhile; without one to all who
    talk, who go on hearing each other."""
    media = order.fields.get("media")
    if not media:
        raise InvalidFields({"media": "is required"})
    return await _begin(session, order, media, ExitStack())


async def say(session: Session, order: Order) -> Mapping[str, Any]:
    """``text``, ``voice``, ``language``: as with ``play``."""
    fields = order.fields
    if not fields.get("text"):
        raise InvalidFields({"text": "is required"})
    held = ExitStack()
    prompt = Say(fields["text"], fields.get("voice", ""), fields.get("language", ""))
    try:
        playlist = await rendered(session, held, (prompt,))
    except BaseException:
        held.close()
        raise
    return await _begin(session, order, playlist.media, held)


async def _begin(session: Session, order: Order, media: Sequence[str], held: ExitStack) -> Mapping[str, Any]:
    """``held`` is closed when it has been played, or can't be."""
    try:
        leg = named(session, order) if order.leg else None
        if leg is None and session.conversation is not None and len(talkers(session)) > 1:
            session.spawn(_to_all(session, session.conversation.bridge, media, held.pop_all()), "play")
            return {}
        leg = leg or theirs(session)
        session.spawn(_to_one(session, leg, media, held.pop_all()), "play")
    finally:
        held.close()
    return {"leg_id": leg.leg_id}


async def _to_one(session: Session, leg: Leg, media: Sequence[str], held: ExitStack) -> None:
    with held:
        await play_to(session, leg, *media, longest=LONGEST)


async def _to_all(session: Session, bridge: str, media: Sequence[str], held: ExitStack) -> None:
    playback = ids.playback_id(session.call.request_id)
    with held:
        session.record(Kind.PLAY_STARTED, playback=playback, media=list(media), bridge=bridge)
        try:
            await session.switch.play(bridge, playback, media, bridge=True)
            await session.until(lambda: playback in session.finished, LONGEST)
        except TelephonyError as error:  # the bridge has gone: there is no end to be waited for
            log.info("refused", request_id=session.call.request_id, error=repr(error))
        session.record(Kind.PLAY_ENDED, playback=playback, completed=session.finished.pop(playback, False))


async def dtmf(session: Session, order: Order) -> Mapping[str, Any]:
    """``digits`` (0-9 A-D * #; w and W wait) are pressed towards the party named, else the other side."""
    digits = order.fields.get("digits", "")
    if not digits:
        raise InvalidFields({"digits": "is required"})
    leg = named(session, order)
    result = {"leg_id": leg.leg_id}
    if len(digits) * _ONE_KEY > _SOON:
        order.settle(result)
    if not await send_dtmf(session, leg, digits):
        raise StateConflict("the party has gone")
    return result
