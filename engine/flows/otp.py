"""Announce a one-time password. Nothing here writes it down, and nothing says it again when this process dies."""

from collections.abc import Mapping
from typing import Any

from engine.calls.model import Leg
from engine.flows.restart import end_with_engine
from engine.media.tts.port import Speech, Spoken
from engine.media.tts.template import announcement
from engine.sessions.session import Session
from engine.verbs.dial import Dial, dial
from engine.verbs.play import play
from engine.verbs.present import present
from engine.verbs.wait import wait

ANNOUNCED, PARTLY, NOT = "announced", "partly_announced", "not_announced"

HEARD_AFTER = 0.3
"""Seconds of an announcement of which something can have been understood."""
BETWEEN = 0.8
"""Seconds between two announcements."""
AFTER = 0.3
"""Seconds until the last packets have come out of the party's jitter buffer."""


async def otp(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: customer_number, caller_id, text (with its variable), repeat, voice, language, rate, pitch, volume,
    engine. The password is ``services.codes``' to give, once."""
    code = session.services.codes.take(session.call.request_id)
    if code is None:
        await end_with_engine(session)
        return NOT
    customer = await dial(
        session,
        Dial(
            "customer",
            params["customer_number"],
            params["caller_id"],
            ring_timeout=session.account.limits.destination_ring,
        ),
    )
    if not customer.up:
        return NOT
    await session.step("announcement")
    there = session.spawn(_there(session, customer), "present")
    with await session.services.speaker.speak_secret(_speech(params, code)) as spoken:
        await there
        return await _announce(session, customer, spoken, params["repeat"])


async def _there(session: Session, customer: Leg) -> None:
    await present(session, customer)


def _speech(params: Mapping[str, Any], code: str) -> Speech:
    return Speech(
        announcement(params["text"], code),
        voice=params["voice"],
        language=params["language"],
        rate=params["rate"],
        pitch=params["pitch"],
        volume=params["volume"],
        engine=params["engine"],
    )


async def _announce(session: Session, customer: Leg, spoken: Spoken, repeat: int) -> str:
    if spoken.fallback:
        await play(session, customer, spoken.media, longest=30, note=spoken.note)
        return NOT
    for n in range(repeat):
        if n and not await wait(session, BETWEEN, leg=customer):
            return PARTLY
        if not await _once(session, customer, spoken):
            return session.result or NOT
    session.result = ANNOUNCED
    await wait(session, AFTER, leg=customer)
    return ANNOUNCED


async def _once(session: Session, customer: Leg, spoken: Spoken) -> bool:
    """Say it once; False when it was cut short. What stands as result says so also when the call is stopped."""
    begun = session.services.now()
    try:
        played = await play(session, customer, spoken.media, longest=spoken.duration + 5, note=spoken.note)
    finally:
        if (session.services.now() - begun).total_seconds() >= HEARD_AFTER:
            session.result = PARTLY
    return played.completed
