"""Leave a recorded message in a mailbox.

The number may be dialled twice: whoever calls a phone that rings already is sent to its mailbox. The first of the two
calls that is answered has it, and the other one is given up. The pair is one try.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.calls.model import Leg
from engine.flows.restart import end_with_engine
from engine.media.detect.detector import Who
from engine.sessions.session import Session
from engine.verbs.detect import Detect, detect
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from engine.verbs.play import play
from engine.verbs.present import present
from engine.verbs.record import record_sides
from engine.verbs.send_dtmf import send_dtmf
from engine.verbs.wait import wait

LEFT, PARTLY, NOT = "left", "partly_left", "not_left"
HUMAN, FAX = "human", "fax"

MESSAGE = "message"
"""Step: the message is being played."""
RUNG_FOR: Final = 1.0
"""Seconds that the first call rings before the second one is made: who answers at once need not be called twice."""
UNHEARD_FOR: Final = 2.0
"""Seconds without word of the first call after which the second one is made all the same."""
GREETING_WITHIN: Final = 60.0
"""Seconds that a machine may greet; then the message begins whether it is over or not."""
HEARD_AFTER: Final = 0.3
"""Seconds of a message of which something can have been understood."""
AFTER: Final = 0.3
"""Seconds until the last packets have come out of the mailbox's jitter buffer."""


async def voicemail_broadcast(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: customer_number, caller_id, caller_name, privacy, recording, wait_time (seconds that it rings), media
    (URI), media_seconds, detect, fork, pre_dtmf, post_dtmf, dtmf_duration (milliseconds)."""
    if session.resumed:
        session.result = PARTLY if session.call.step == MESSAGE else NOT
        await end_with_engine(session)
        return session.result
    leg = await _Pair(session, params).reach()
    if leg is None:
        return NOT
    if params["recording"]:
        await record_sides(session, "customer", {"customer": leg}, spy="both")
    result = await _leave(session, leg, params)
    await hangup(session, leg)
    return result


@dataclass(slots=True)
class _Pair:
    """The call, and the one that forces the mailbox."""

    session: Session
    params: Mapping[str, Any]
    won: Leg | None = None
    trying: set[int] = field(default_factory=set)

    async def reach(self) -> Leg | None:
        """Who answered first, up; None when nobody did."""
        self._begin(1)
        if self.params["fork"] and await self._rings():
            self._begin(2)
        await self.session.until(self._decided)
        return self.won

    def _begin(self, attempt: int) -> None:
        self.trying.add(attempt)
        self.session.spawn(self._try(attempt), f"try {attempt}")

    async def _rings(self) -> bool:
        """Whether the first call still waits for an answer when it has rung for a while."""

        def heard() -> bool:
            leg = self.session.call.leg("customer", 1)
            return self._decided() or (leg is not None and (leg.ringing_at or leg.progress_at) is not None)

        if await self.session.until(heard, UNHEARD_FOR):
            await self.session.until(self._decided, RUNG_FOR)
        return not self._decided()

    def _decided(self) -> bool:
        return self.won is not None or not self.trying

    async def _try(self, attempt: int) -> None:
        session, params = self.session, self.params
        leg = await dial(
            session,
            Dial(
                "customer",
                params["customer_number"],
                params["caller_id"],
                ring_timeout=params["wait_time"],
                attempt=attempt,
                give_up=lambda: self.won is not None,
                given_up_as=lambda: "elsewhere",
                caller_name=params["caller_name"],
                private=params["privacy"],
            ),
        )
        self.trying.discard(attempt)
        if leg.up and self.won is None:
            self.won = leg
        elif leg.up:
            await hangup(session, leg, why="elsewhere")
        session.waiters.wake()


async def _leave(session: Session, leg: Leg, params: Mapping[str, Any]) -> str:
    """The keys before go out from the answer on, while it is found out who that was."""
    pressing = session.spawn(_press(session, leg, params["pre_dtmf"], params), "keys before")
    if params["detect"]:
        await session.step("detect")
        found = await detect(session, leg, Detect(wait_for_beep=GREETING_WITHIN))
        if found.kind != Who.MACHINE:
            pressing.cancel()
            return {Who.HUMAN: HUMAN, Who.FAX: FAX}.get(Who(found.kind), NOT)
    else:
        await present(session, leg)
    await asyncio.wait([pressing])
    return await _play(session, leg, params)


async def _press(session: Session, leg: Leg, keys: str, params: Mapping[str, Any]) -> None:
    if keys and leg.up:
        await send_dtmf(session, leg, keys, duration_ms=params["dtmf_duration"])


async def _play(session: Session, leg: Leg, params: Mapping[str, Any]) -> str:
    """What stands as result says the truth also when the call is stopped."""
    await session.step(MESSAGE)
    begun = session.services.now()
    try:
        played = await play(session, leg, params["media"], longest=params["media_seconds"] + 5)
    finally:
        heard = (session.services.now() - begun).total_seconds() >= HEARD_AFTER
        session.result = PARTLY if heard else NOT
    if played.completed:
        session.result = LEFT
        await wait(session, AFTER, leg=leg)
        await _press(session, leg, params["post_dtmf"], params)
    return session.result
