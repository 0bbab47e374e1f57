"""A menu's voice on a telephone: verbs, on the leg of the caller."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine import ids
from engine.calls.disposition import end_reason
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.numbers import EMERGENCY, is_extension, normalize
from engine.errors import Forbidden, StoreAway, TelephonyError
from engine.flows.menus.voice import Ask, Connect, Heard, Message, Saying
from engine.mail.port import Letter, Post
from engine.sessions.session import Session
from engine.store.port import RecordingRow
from engine.verbs import keys
from engine.verbs.bridge import join, talk
from engine.verbs.dial import Dial, dial
from engine.verbs.gather import Gather, gather
from engine.verbs.hangup import hangup
from engine.verbs.record import recording_name
from engine.verbs.say import Prompt, Say, play_prompts
from engine.verbs.voicemail import voicemail

FILE_CLOSES_WITHIN = 2.0
FOR_ALL = 300.0
"""Seconds that a caller may take to press what is asked for."""


@dataclass(slots=True)
class CallVoice:
    """Implements ``engine.flows.menus.voice.Voice``."""

    session: Session
    caller: Leg
    post: Post
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def zone(self) -> str:
        return self.session.account.time_zone.key

    def here(self) -> bool:
        return self.caller.up

    def now(self) -> datetime:
        return self.session.services.now()

    async def step(self, name: str) -> None:
        """Durable before the menu is heard, so that a killed engine's successor enters it again."""
        await self.session.step(name)
        with suppress(StoreAway):
            await self.session.committed()

    async def say(self, sayings: Sequence[Saying]) -> None:
        await play_prompts(self.session, self.caller, prompts(sayings))

    async def ask(self, sayings: Sequence[Saying], ask: Ask) -> Heard:
        options = Gather(prompts(sayings), ask.digits, ask.end, ask.timeout, ask.between, FOR_ALL)
        gathered = await gather(self.session, self.caller, options)
        return Heard(gathered.digits, gathered.reason)

    async def hangup(self, cause: int) -> None:
        await hangup(self.session, self.caller, cause=cause)

    async def flow(self, name: str, params: Mapping[str, str]) -> str | None:
        flow = self.session.services.flow_of(name)
        if flow is None:
            raise LookupError(f"no flow is called {name!r}")
        return await flow(self.session, {**self.session.call.params, **params})

    async def mail(self, to: str, subject: str, text: str, recording: str = "") -> None:
        call = self.session.call
        await self.post.send(Letter(call.account, call.request_id, to, subject, text, recording))

    async def call_back(self, number: str, agent: str, after: float) -> None:
        await self.session.step(f"callback:{number}")
        if agent and number:
            await self.session.services.call_back(self.session, agent, number, after)

    # -- other parties -------------------------------------------------------------------------------------------------

    async def connect(self, connect: Connect) -> str:
        """The caller hears ringing until somebody answers, and that one the whisper before the two talk."""
        if not self.caller.up:
            return "failed"
        await self.session.attempt(self.session.switch.ring(self.caller.channel_id))
        try:
            target = await (self._race(connect) if connect.at_once else self._in_turn(connect))
        finally:
            if self.caller.up:
                await self.session.attempt(self.session.switch.ring_stop(self.caller.channel_id))
        if target is None or not target.up:
            return end_reason(target) if target else "failed"
        if connect.whisper:
            await play_prompts(
                self.session, target, prompts(connect.whisper), stop_when=lambda: not self.caller.up
            )  # fmt: skip
        return await self.talk(target)

    async def talk(self, target: Leg) -> str:
        bridge = ids.bridge_id(self.session.call.request_id)
        if not (target.up and self.caller.up and await join(self.session, bridge, self.caller, target)):
            return "failed"
        await talk(self.session, bridge, self.caller, target)
        return "connected"

    async def target(self) -> Leg | None:
        """After a restart: whom the caller talks to. Who was only ringing is let go, for the flow begins again."""
        alive = [leg for leg in self.session.live_legs() if leg.role == "target"]
        talking = next((leg for leg in alive if leg.up), None)
        for leg in alive:
            if leg is not talking:
                await hangup(self.session, leg, why="cancelled")
        return talking

    async def _in_turn(self, connect: Connect) -> Leg | None:
        target = None
        for number, ring in connect.targets:
            target = await self._try(number, ring, self._attempt()) or target
            if not self.caller.up or (target is not None and target.up):
                break
        return target

    async def _race(self, connect: Connect) -> Leg | None:
        """All ring; the first who answers has it, and the others stop ringing."""
        first = self._attempt()
        tries = [
            asyncio.create_task(self._try(number, ring, first + n)) for n, (number, ring) in enumerate(connect.targets)
        ]
        try:
            for done in asyncio.as_completed(tries):
                target = await done
                if target is not None and target.up:
                    break
            rivals = [leg for leg in self._targets(first) if leg.alive and not (target is not None and leg is target)]
            await self.session.attempt(*(self.session.hangup(leg, "cancelled") for leg in rivals))
            await asyncio.gather(*tries)
            return target
        finally:
            for each in tries:
                each.cancel()
            await asyncio.gather(*tries, return_exceptions=True)

    def _targets(self, first: int) -> list[Leg]:
        return [leg for leg in self.session.call.legs.values() if leg.role == "target" and leg.attempt >= first]

    def _attempt(self) -> int:
        """Of the next one who is dialled: nobody's try is mistaken for an earlier one."""
        return 1 + max((leg.attempt for leg in self.session.call.legs.values() if leg.role == "target"), default=0)

    async def _try(self, number: str, ring: float, attempt: int) -> Leg | None:
        account = self.session.account
        digits = normalize(number, country=account.country)
        inside = is_extension(digits)
        shown = (
            (self.session.call.params.get("from") or self.caller.number)
            if inside
            else min(account.caller_ids, default="")
        )
        options = Dial(
            "target", digits, shown, ring, attempt, alongside=self.caller, by_phone=inside and digits not in EMERGENCY
        )
        try:
            return await dial(self.session, options)
        except Forbidden:
            return None

    # -- messages ------------------------------------------------------------------------------------------------------

    async def mailbox(self, extension: str, *, greet: bool) -> bool:
        try:
            left = await voicemail(
                self.session, self.caller, extension, greeting="unavailable" if greet else "none"
            )  # fmt: skip
        except TelephonyError:
            return False
        return left.reason != "failed"

    async def record(self, message: Message) -> bool:
        """Kept as a recording of the call; its row is committed first, and the letter that brings it is on its way, so
        that a message survives the engine."""
        session, caller = self.session, self.caller
        if not caller.up:
            return False
        name, file = self._names()
        self._begin(name, file)
        await session.committed()
        if message.mail:
            await self.mail(message.mail, message.subject, message.text, name)
        try:
            await self._listen(file, message)
        except TelephonyError as error:
            session.record(Kind.RECORDING_FAILED, error=type(error).__name__)
            return False
        session.services.on_recorded(name)
        return True

    def _names(self) -> tuple[str, str]:
        """Of the recording, and of Asterisk's file."""
        request_id = self.session.call.request_id
        token = secrets.token_hex(3)
        name = f"{request_id}.{token}.wav" if self.session.call.recording_name else recording_name(request_id)
        return name, f"tl-{request_id}-m{token}.rec"

    def _begin(self, name: str, file: str) -> None:
        session, sides = self.session, {"customer": file}
        call = session.call
        session.keep(
            RecordingRow(
                name=name,
                request_id=call.request_id,
                account=call.account,
                option="customer",
                state="recording",
                server=session.switch.name,
                sides=sides,
                started_at=session.services.now(),
            )
        )
        naming: dict[str, Any] = {} if call.recording_name else {"recording_name": name}
        session.record(Kind.RECORDING_STARTED, option="customer", sides=sides, message=name, **naming)

    async def _listen(self, file: str, message: Message) -> None:
        session, caller = self.session, self.caller
        keys.flush(session, caller)
        await session.switch.record(
            caller.channel_id,
            file,
            max_seconds=int(message.longest),
            beep=message.beep,
            max_silence=message.silence,
            terminators=message.end,
        )

        def over() -> bool:
            return file in session.finished or not caller.up

        def ended() -> bool:
            return over() or any(key in message.end for key in keys.unread(session, caller))

        await session.until(ended, message.longest + FILE_CLOSES_WITHIN)
        keys.flush(session, caller)
        if file not in session.finished:
            with suppress(TelephonyError):
                await session.switch.stop_record(file)
            await session.until(lambda: file in session.finished, FILE_CLOSES_WITHIN)


def prompts(sayings: Sequence[Saying]) -> tuple[Prompt, ...]:
    return tuple(
        each.media or Say(each.text, each.voice, each.language, each.rate, each.pitch, each.volume) for each in sayings
    )
