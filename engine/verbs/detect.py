"""Find out who answered: a person, a machine or a fax. See docs/machine-detection.md for what each method is worth.

Nobody waits longer than ``limit`` seconds after the answer. Whatever fails meanwhile (no live sound, a subroutine that
does not come back) is ``unknown``, and who is unknown is to be treated as a person.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from engine import ids
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.media.detect.detector import Detector, Limits, Verdict, Who
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.play import play

ENTERS_WITHIN: Final = 5.0
MARGIN: Final = 0.04
"""Seconds before the limit that the detector decides, so that its word is here in time."""
FRESH: Final = 1.0
"""Seconds since the answer up to which the limit counts from it; later, from when the verb began."""
AMD_LONGEST: Final = 5.0
AMD_GRACE: Final = 0.5
"""Seconds that AMD() may take to come back after its time."""


@dataclass(frozen=True, slots=True)
class Detect:
    """``method``: own (our detector on the live sound), amd (Asterisk's AMD()), dtmf (any key within ``limit`` is a
    person, else a machine; ``prompt`` asks for it). ``limit``: seconds after the answer by which it is decided.
    ``wait_for_beep``: seconds that a machine is heard further, for its beep or the end of its greeting (own only)."""

    method: str = "own"
    limit: float = 3.0
    wait_for_beep: float = 0.0
    prompt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """``kind``: human, machine, fax or unknown. ``seconds``: when it was decided, ``beep_at`` and ``greeting_end``: all
    since the answer. ``reason``: fax_tone, beep, speech, silence, tone, limit, key, no_key, hangup, failed, or AMD()'s own."""

    kind: str
    confidence: float
    seconds: float
    method: str
    reason: str
    beep_at: float | None = None
    greeting_end: float | None = None

    @property
    def person(self) -> bool:
        """To be treated as a person: nobody is hung up on in doubt."""
        return self.kind in {Who.HUMAN, Who.UNKNOWN}


async def detect(session: Session, leg: Leg, options: Detect | None = None) -> Detection:
    """Who answered on a leg that is up and in no bridge. Stands in the timeline while the leg lives. Never
    raises for what Asterisk does, but Unsupported for our own detector on a caller who came by FastAGI."""
    options = options or Detect()
    if options.method == "own":
        session.require(leg, "our own detector")
    since = _counted_from(session, leg)
    if not leg.up:
        return _nothing(session, since, options, "hangup")
    try:
        detection = await _METHODS[options.method](session, leg, options, since)
    except TelephonyError:
        detection = _nothing(session, since, options, "failed" if leg.up else "hangup")
    if leg.alive:
        told = asdict(detection)
        session.record(Kind.LEG_DETECTED, leg=leg.n, who=told.pop("kind"), **told)
    return detection


def _counted_from(session: Session, leg: Leg) -> datetime:
    now = session.services.now()
    if leg.answered_at is None or (now - leg.answered_at).total_seconds() > FRESH:
        return now
    return min(leg.answered_at, now)


def _elapsed(session: Session, since: datetime) -> float:
    return (session.services.now() - since).total_seconds()


def _nothing(session: Session, since: datetime, options: Detect, reason: str) -> Detection:
    return Detection(Who.UNKNOWN, 0.0, round(_elapsed(session, since), 3), options.method, reason)


# -- our own ---------------------------------------------------------------------------------------------------------


async def _own(session: Session, leg: Leg, options: Detect, since: datetime) -> Detection:
    ear = _Ear(session, leg, options, since)
    listening = asyncio.create_task(ear.listen(), name=f"listen {session.call.request_id}")
    try:
        await _until(session, leg, listening, lambda: ear.verdict is not None, options.limit - _elapsed(session, since))
        ear.conclude()
        decided = round(_elapsed(session, since), 3)
        if ear.verdict is not None and ear.verdict.who is Who.MACHINE and options.wait_for_beep:
            await _until(session, leg, listening, lambda: ear.over, options.wait_for_beep)
    finally:
        await ear.close(listening)
    if ear.verdict is None:
        return _nothing(session, since, options, "failed" if leg.up else "hangup")
    return _told(ear.verdict, decided)


async def _until(
    session: Session, leg: Leg, listening: asyncio.Task[None], ready: Callable[[], bool], timeout: float
) -> None:
    await session.until(lambda: ready() or listening.done() or not leg.up, max(timeout, 0))


def _told(verdict: Verdict, decided: float) -> Detection:
    return Detection(
        verdict.who,
        round(verdict.confidence, 3),
        decided,
        "own",
        verdict.reason,
        beep_at=verdict.beep_at,
        greeting_end=verdict.greeting_end,
    )


class _Ear:
    """A channel that listens to the party, in a bridge with one that hands us the sound."""

    def __init__(self, session: Session, leg: Leg, options: Detect, since: datetime) -> None:
        self._session, self._leg, self._since = session, leg, since
        self._limits = Limits(limit=options.limit - MARGIN)
        self._snoop, self._sound, self._hall = ids.ear_ids(leg.channel_id)
        self._detector: Detector | None = None

    @property
    def verdict(self) -> Verdict | None:
        return self._detector.verdict if self._detector else None

    @property
    def over(self) -> bool:
        return self._detector is not None and self._detector.over

    def conclude(self) -> None:
        """Decide now, if anything was heard: sound that stutters must not make anybody wait."""
        if self._detector is not None and self._leg.up:
            self._detector.conclude()

    async def listen(self) -> None:
        """Hear the party until all is known. Raises TelephonyError."""
        try:
            await self._hear(await self._connected())
        finally:
            self._session.waiters.wake()

    async def _connected(self) -> str:
        """The channels and their bridge; the key to the sound."""
        session, switch = self._session, self._session.switch
        session.bridges.add(self._hall)
        key, *_ = await asyncio.gather(
            switch.sound_channel(self._sound),
            switch.snoop(self._leg.channel_id, self._snoop),
            switch.create_bridge(self._hall, kind="mixing"),
        )
        return key

    async def _hear(self, key: str) -> None:
        joining = asyncio.create_task(self._join(), name=f"join {self._sound}")
        try:
            async with aclosing(self._session.switch.hear(key)) as sound:
                async for piece in sound:
                    self._take(piece)
                    if self.over:
                        return
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)

    async def _join(self) -> None:
        """Once both channels are ours, and not before the sound is heard: Asterisk waits with its channel until then."""
        session = self._session
        both = {self._snoop, self._sound}
        await session.until(lambda: both <= session.entered or not self._leg.up, ENTERS_WITHIN)
        await session.switch.bridge_add(self._hall, self._snoop, self._sound)

    def _take(self, piece: bytes) -> None:
        if self._detector is None:
            late = _elapsed(self._session, self._since) - len(piece) / 8000
            self._detector = Detector(self._limits, late=max(late, 0.0))
        before = self.verdict
        if self._detector.feed(piece) is not before:
            self._session.waiters.wake()

    async def close(self, listening: asyncio.Task[None]) -> None:
        """End what listened. Raises what listening met before there was a verdict."""
        session, switch = self._session, self._session.switch
        listening.cancel()
        (outcome,) = await asyncio.gather(listening, return_exceptions=True)
        await session.attempt(switch.hangup(self._snoop), switch.hangup(self._sound), switch.destroy_bridge(self._hall))
        session.bridges.discard(self._hall)
        session.entered -= {self._snoop, self._sound}
        if isinstance(outcome, Exception) and self.verdict is None:
            raise outcome


# -- Asterisk's ------------------------------------------------------------------------------------------------------

_AMD: Final[Mapping[str, tuple[Who, float]]] = {
    "HUMAN": (Who.HUMAN, 0.8),
    "MACHINE": (Who.MACHINE, 0.8),
    "NOTSURE": (Who.UNKNOWN, 0.5),
}


async def _amd(session: Session, leg: Leg, options: Detect, since: datetime) -> Detection:
    """The leg leaves us for ``dialplan/trunkline.conf`` and comes back with AMDSTATUS and AMDCAUSE."""
    channel = leg.channel_id
    left = min(options.limit - _elapsed(session, since), AMD_LONGEST)
    session.returned.pop(channel, None)
    await session.switch.set_variable(channel, "TRUNKLINE_ARG", str(max(int(left * 1000), 100)))
    await session.switch.leave(channel, "trunkline", "amd")
    await session.until(lambda: channel in session.returned or not leg.up, left + AMD_GRACE)
    _, status, cause, *_ = (*session.returned.pop(channel, ()), "", "", "")
    if status not in _AMD:
        return _nothing(session, since, options, "failed" if leg.up else "hangup")
    who, confidence = _AMD[status]
    return Detection(who, confidence, round(_elapsed(session, since), 3), "amd", cause.partition("-")[0].lower())


# -- a key -----------------------------------------------------------------------------------------------------------


async def _dtmf(session: Session, leg: Leg, options: Detect, since: datetime) -> Detection:
    """A key that is asked for: machines press none. What was pressed before does not count, and the key itself is taken:
    no later verb is to have it for an answer."""
    keys.flush(session, leg)

    def pressed() -> bool:
        return bool(keys.unread(session, leg))

    if options.prompt:
        await play(session, leg, *options.prompt, longest=options.limit, stop_when=pressed)
    await session.until(lambda: pressed() or not leg.up, max(options.limit - _elapsed(session, since), 0))
    seconds = round(_elapsed(session, since), 3)
    if keys.take(session, leg, 1):
        return Detection(Who.HUMAN, 0.99, seconds, "dtmf", "key")
    if not leg.up:
        return _nothing(session, since, options, "hangup")
    return Detection(Who.MACHINE, 0.6, seconds, "dtmf", "no_key")


_METHODS: Final[Mapping[str, Callable[[Session, Leg, Detect, datetime], Awaitable[Detection]]]] = {
    "own": _own,
    "amd": _amd,
    "dtmf": _dtmf,
}
