"""Walk through menus: the same way in a call and in the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from zoneinfo import ZoneInfo

from engine.flows.menus.book import Book, Entry
from engine.flows.menus.check import sound_file
from engine.flows.menus.model import (
    PLACE,
    Callback,
    Dial,
    Flow,
    Gather,
    Hangup,
    Jump,
    Mail,
    Menu,
    Record,
    Sound,
    Step,
    Voicemail,
    When,
)
from engine.flows.menus.voice import Ask, Connect, Heard, Message, Saying, Voice
from engine.media.tts.text import spell

MOST_TURNS: Final = 500
"""Menus that one call may enter."""
LONGEST_NUMBER: Final = 15


@dataclass(frozen=True, slots=True)
class Turn:
    """Where it goes from here: ``repeat``, ``back``, ``menu`` (named), ``end``."""

    kind: str
    menu: str = ""
    result: str = ""


REPEAT, BACK = Turn("repeat"), Turn("back")


@dataclass(slots=True)
class Runner:
    voice: Voice
    book: Book
    path: list[str] = field(default_factory=list)
    """Full names of the menus that were come through."""
    values: dict[str, str] = field(default_factory=dict)
    language: str = ""
    repeats: int = 1
    """Times that the first menu's introduction is heard."""

    async def run(self, *names: str) -> str:
        """Enter the last of these menus (``back`` leads to those before it); how it ended: left, ended, no_choice,
        connected, message, callback or what a flow said."""
        self.path = list(names)
        self.values.update(self.voice.facts)
        fresh = True
        for _ in range(MOST_TURNS):
            turn = await self._visit(self.book.entries[self.path[-1]], fresh=fresh)
            if not self.voice.here():
                return turn.result if turn.kind == "end" and turn.result else "left"
            if turn.kind == "end":
                return turn.result
            fresh = self._go(turn)
        return "no_choice"

    def _go(self, turn: Turn) -> bool:
        """True when the menu is a new one."""
        if turn.kind == "menu":
            self.path.append(turn.menu)
            return True
        if turn.kind == "back" and len(self.path) > 1:
            self.path.pop()
        return False

    async def _visit(self, entry: Entry, *, fresh: bool) -> Turn:
        menu = entry.menu
        await self.voice.step(f"menu:{menu.full}")
        if fresh and (turn := await self._steps(entry, menu.first)) is not None:
            return turn
        greeting = self._introduction(menu) if fresh else ()
        if not menu.keys:
            await self._say(entry, (*greeting, *menu.prompt))
            return Turn("end", result="ended")
        return await self._choose(entry, greeting)

    def _introduction(self, menu: Menu) -> Sequence[Sound]:
        """A menu without a greeting is introduced by its prompt."""
        times, self.repeats = self.repeats, 1
        return menu.greeting * times if menu.greeting else menu.prompt * (times - 1)

    async def _choose(self, entry: Entry, greeting: Sequence[Sound]) -> Turn:
        menu = entry.menu
        opening: tuple[Sound, ...] = tuple(greeting)
        for _ in range(menu.tries):
            heard = await self.voice.ask(self._sayings(entry, (*opening, *menu.prompt)), _how(menu))
            if heard.reason == "hangup" or not self.voice.here():
                return Turn("end", result="left")
            if heard.digits in menu.keys:
                return await self._steps(entry, menu.keys[heard.digits]) or REPEAT
            opening = menu.invalid if heard.digits or heard.reason == "terminator" else menu.missing
        await self._say(entry, opening)
        return await self._steps(entry, menu.failed) or Turn("end", result="no_choice")

    async def _steps(self, entry: Entry, steps: Sequence[Step]) -> Turn | None:
        """None when they came to their end and nobody went elsewhere."""
        for step in steps:
            if not self.voice.here():
                return Turn("end", result="left")
            if (turn := await self._step(entry, step)) is not None:
                return turn
        return None

    async def _step(self, entry: Entry, step: Step) -> Turn | None:  # noqa: C901, PLR0911, PLR0912 - one line for each
        match step.of:
            case tuple() as sounds:
                await self._say(entry, sounds)
            case Gather() as gather:
                return await self._gather(entry, gather)
            case Dial() as dial:
                return await self._dial(entry, dial)
            case Voicemail() as voicemail:
                return await self._voicemail(entry, voicemail)
            case Record() as record:
                await self._record(entry, record, Message(record.longest, record.beep, record.end, record.silence))
            case Callback() as callback:
                await self._callback(entry, callback)
            case Mail(to=to, subject=subject, text=text):
                await self.voice.mail(to, self._written(subject), self._written(text))
            case Jump(to=to, inline=inline):
                return Turn("menu", menu=inline.full if inline else to or "")
            case When() as when:
                return await self._steps(entry, when.open if self._open(entry, when.of) else when.closed)
            case str() as language:
                self.language = language
            case Flow(name=name, params=params):
                filled = {key: self._written(value) for key, value in params.items()}
                return Turn("end", result=await self.voice.flow(name, filled) or "ended")
            case Hangup(cause=cause):
                await self.voice.hangup(cause)
                return Turn("end", result="ended")
            case _:
                return REPEAT if step.kind == "repeat" else BACK
        return None

    # -- steps that are more than one line -----------------------------------------------------------------------------

    async def _gather(self, entry: Entry, gather: Gather) -> Turn | None:
        prompt = gather.prompt
        for _ in range(gather.tries):
            ask = Ask(gather.digits, gather.end, gather.timeout, gather.between)
            heard = await self.voice.ask(self._sayings(entry, prompt), ask)
            if heard.reason == "hangup":
                return Turn("end", result="left")
            if len(heard.digits) >= gather.at_least:
                self.values[gather.into] = heard.digits
                return None
            prompt = (*gather.invalid, *gather.prompt)
        self.values.setdefault(gather.into, "")
        return await self._steps(entry, gather.failed)

    async def _dial(self, entry: Entry, dial: Dial) -> Turn | None:
        targets = tuple((target.number, target.ring or dial.ring) for target in dial.to)
        outcome = await self.voice.connect(Connect(targets, self._sayings(entry, dial.whisper), dial.at_once))
        if outcome == "connected":
            return Turn("end", result="connected")
        return await self._steps(entry, dial.failed)

    async def _voicemail(self, entry: Entry, voicemail: Voicemail) -> Turn | None:
        if voicemail.mailbox:
            await self._say(entry, voicemail.prompt)
            if await self.voice.mailbox(voicemail.mailbox, greet=not voicemail.prompt):
                await self._say(entry, voicemail.thanks)
                return None if self.voice.here() else Turn("end", result="message")
        message = Message(
            voicemail.longest,
            voicemail.beep,
            voicemail.end,
            voicemail.silence,
            mail=voicemail.mail or "",
            subject=self._written("Message from {caller}"),
            text=self._written("{caller} called {dialed} and left a message."),
        )
        kept = await self._record(entry, voicemail, message)
        return Turn("end", result="message") if kept and not self.voice.here() else None

    async def _record(self, entry: Entry, record: Record, message: Message) -> bool:
        if not isinstance(record, Voicemail) or not record.mailbox:
            await self._say(entry, record.prompt)
        kept = await self.voice.record(message)
        if kept and self.voice.here():
            await self._say(entry, record.thanks)
        return kept

    async def _callback(self, entry: Entry, callback: Callback) -> None:
        heard = Heard("", "timeout")
        if callback.prompt:
            ask = Ask(LONGEST_NUMBER, "#", callback.timeout, callback.timeout)
            heard = await self.voice.ask(self._sayings(entry, callback.prompt), ask)
        number = heard.digits or self.values["caller"]
        await self.voice.call_back(number, callback.agent or "", callback.after)
        if callback.mail:
            text = f"{self.values['caller']} asks to be called back at {number}."
            await self.voice.mail(callback.mail, f"Call back {number}", text)
        await self._say(entry, callback.thanks)

    def _open(self, entry: Entry, name: str) -> bool:
        hours = entry.page.menu.hours[name]
        return hours.table().open_at(self.voice.now().astimezone(ZoneInfo(hours.zone or self.voice.zone)))

    # -- words ---------------------------------------------------------------------------------------------------------

    async def _say(self, entry: Entry, sounds: Sequence[Sound]) -> None:
        if sounds and self.voice.here():
            await self.voice.say(self._sayings(entry, sounds))

    def _sayings(self, entry: Entry, sounds: Sequence[Sound]) -> tuple[Saying, ...]:
        """A text of which nothing is left when its values are in is not said."""
        said = (self._saying(entry, sound) for sound in sounds)
        return tuple(each for each in said if each.media or any(char.isalnum() for char in each.text))

    def _saying(self, entry: Entry, sound: Sound) -> Saying:
        made = saying(entry, sound, self.language or entry.page.menu.language)
        return replace(made, text=self._spoken(made.text))

    def _written(self, text: str) -> str:
        """Values in place of ``{name}``."""
        return PLACE.sub(lambda match: self.values.get(match[1], ""), text)

    def _spoken(self, text: str) -> str:
        """As ``_written``; digits are said one by one."""

        def value(name: str) -> str:
            known = self.values.get(name, "")
            return spell(known) if known.isdigit() else known

        return PLACE.sub(lambda match: value(match[1]), text)


def saying(entry: Entry, sound: Sound, language: str) -> Saying:
    """What stands for a sound when that language is spoken; places for values are still in its text."""
    if sound.play is not None:
        path = sound_file(entry.page.path.parent, sound.play)
        return Saying(media=f"sound:{path.with_suffix('')}" if path else sound.play)
    file = entry.page.menu
    spoken, text = _in_language(sound, language)
    voice = sound.voice or (file.voice if spoken == file.language else "")
    rate = int(sound.rate) if sound.rate.isdigit() else sound.rate
    return Saying(text, "", voice, spoken, rate, sound.pitch, sound.volume)


def _in_language(sound: Sound, wanted: str) -> tuple[str, str]:
    """The text in this language, else in one of its kind, else in the first there is."""
    if sound.any is not None:
        return wanted, sound.any
    texts = sound.text or {}
    kin = (name for name in texts if name.split("-")[0] == wanted.split("-", maxsplit=1)[0])
    found = wanted if wanted in texts else next(kin, next(iter(texts)))
    return found, texts[found]


def _how(menu: Menu) -> Ask:
    longest = max(map(len, menu.keys))
    return Ask(longest, "" if longest == 1 or "#" in menu.keys else "#", menu.timeout, menu.between)
