"""Reach one of several parties: one after the other, several at once, or groups of them in turn."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from engine.calls.model import Leg
from engine.errors import Forbidden
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.dial import Dial, dial
from engine.verbs.gather import Gather, gather
from engine.verbs.hangup import hangup
from engine.verbs.hold_music import hold_music
from engine.verbs.play import play
from engine.verbs.say import Prompt, play_prompts

HEAR_FOR = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """``ring_timeout`` in seconds."""

    number: str
    ring_timeout: float


@dataclass(frozen=True, slots=True)
class DialMany:
    """``groups`` are tried in turn; the targets of one ring at the same time. ``caller`` waits meanwhile, hearing
    ``hear``: ringback, music, nothing, or media URIs; all is given up when it ends, or presses one of ``cancel_keys``.
    ``whisper`` is said to who answers, and heard by nobody else; with ``confirm`` (keys) it is reached only when it
    presses one of them within ``confirm_timeout`` seconds."""

    groups: tuple[tuple[Target, ...], ...]
    caller_id: str
    caller: Leg | None = None
    role: str = "target"
    hear: str | tuple[str, ...] = "ringback"
    whisper: tuple[Prompt, ...] = ()
    confirm: str = ""
    confirm_timeout: float = 10.0
    cancel_keys: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """``leg``: who was reached, up and in no bridge yet. ``reason``: answered, nobody, cancelled or caller_gone."""

    leg: Leg | None
    reason: str


async def dial_many(session: Session, options: DialMany) -> Reached:
    """Raises StoreAway. A target that the gate refuses is passed over; the refusal stands in the timeline."""
    race = _Race(session, options)
    company = session.spawn(_hear(session, options, race), "hear") if options.caller else None
    try:
        attempt = 0
        for group in options.groups:
            await race.run(group, attempt)
            attempt += len(group)
            if race.over():
                break
    finally:
        race.done = True
        session.waiters.wake()
    if company is not None:
        await company
    return Reached(race.won, race.reason())


class _Race:
    def __init__(self, session: Session, options: DialMany) -> None:
        self._session = session
        self._options = options
        self.won: Leg | None = None
        self.done = False

    def over(self) -> bool:
        return self.done or self.won is not None or self.reason() != "nobody"

    def reason(self) -> str:
        caller = self._options.caller
        if self.won is not None:
            return "answered"
        if caller is not None and not caller.alive:
            return "caller_gone"
        pressed = keys.unread(self._session, caller) if caller is not None else ""
        return "cancelled" if any(key in self._options.cancel_keys for key in pressed) else "nobody"

    async def run(self, group: tuple[Target, ...], before: int) -> None:
        async with asyncio.TaskGroup() as tries:
            for n, target in enumerate(group, start=before + 1):
                tries.create_task(self._try(target, n), name=f"target {n} {self._session.call.request_id}")

    async def _try(self, target: Target, attempt: int) -> None:
        session, options = self._session, self._options
        try:
            leg = await dial(
                session,
                Dial(
                    options.role,
                    target.number,
                    options.caller_id,
                    ring_timeout=target.ring_timeout,
                    attempt=attempt,
                    alongside=options.caller,
                    give_up=self.over,
                    given_up_as=self._given_up_as,
                ),
            )
        except Forbidden:
            return
        if leg.up and not self.over() and await self._unless_over(self._accepts(leg)) and leg.up and not self.over():
            self.won = leg
            session.waiters.wake()
        elif leg.up:
            await hangup(session, leg, why="elsewhere" if self.won else "flow")

    def _given_up_as(self) -> str:
        return "elsewhere" if self.won else "cancelled"

    async def _unless_over(self, work: Awaitable[bool]) -> bool:
        """What ``work`` gives; False when the race is over before."""
        session = self._session
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: session.waiters.wake())
        try:
            await session.until(lambda: task.done() or self.over())
            return task.done() and task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _accepts(self, leg: Leg) -> bool:
        options = self._options
        if not options.confirm:
            if options.whisper:
                await play_prompts(self._session, leg, options.whisper)
            return leg.up
        asked = Gather(
            options.whisper,
            max_digits=1,
            terminators="",
            first_timeout=options.confirm_timeout,
            total_timeout=options.confirm_timeout,
        )
        pressed = await gather(self._session, leg, asked)
        return bool(pressed.digits) and pressed.digits in options.confirm


async def _hear(session: Session, options: DialMany, race: _Race) -> None:
    """What the caller hears until somebody is reached, or nobody is."""
    caller = options.caller
    if caller is None or not options.hear:
        return
    if isinstance(options.hear, tuple):
        await play(session, caller, *options.hear, times=None, longest=HEAR_FOR, stop_when=race.over)
    elif options.hear == "music":
        async with hold_music(session, caller):
            await session.until(race.over)
    else:
        await session.attempt(session.switch.ring(caller.channel_id))
        await session.until(race.over)
        if caller.alive:
            await session.attempt(session.switch.ring_stop(caller.channel_id))
