"""A menu's voice in a terminal: what would be heard is written, and keys are typed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.flows.menus.voice import Ask, Connect, Heard, Message, Saying

KEYS = "0123456789*#"


@dataclass(slots=True)
class TerminalVoice:
    """Implements ``engine.flows.menus.voice.Voice``. ``read``: a line that was typed, None at the end of the input, which
    is a hang-up; an empty line is silence."""

    read: Callable[[], str | None]
    write: Callable[[str], None]
    clock: Callable[[], datetime]
    facts: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    there: bool = True
    ahead: str = ""
    """Keys that were typed before they were asked for."""

    def here(self) -> bool:
        return self.there

    def now(self) -> datetime:
        return self.clock()

    async def step(self, name: str) -> None:
        self.write(f"[{name}]")

    async def say(self, sayings: Sequence[Saying]) -> None:
        for each in sayings:
            self.write(f"♪ {each.media}" if each.media else f'{each.language or each.voice}: "{each.text}"')

    async def ask(self, sayings: Sequence[Saying], ask: Ask) -> Heard:
        if not self.ahead:
            await self.say(sayings)
            self.write(f"(keys? nothing is silence for {ask.timeout:g} s)")
            self.ahead = self._typed()
        return self._taken(ask) if self.there else Heard("", "hangup")

    def _typed(self) -> str:
        line = self.read()
        self.there = line is not None
        return "".join(key for key in line or "" if key in KEYS)

    def _taken(self, ask: Ask) -> Heard:
        digits = ""
        while self.ahead and len(digits) < ask.digits:
            key, self.ahead = self.ahead[0], self.ahead[1:]
            if key in ask.end:
                return Heard(digits, "terminator")
            digits += key
        return Heard(digits, "digits" if len(digits) == ask.digits else "timeout")

    async def connect(self, connect: Connect) -> str:
        numbers = (" and " if connect.at_once else ", then ").join(number for number, _ in connect.targets)
        self.write(f"(dials {numbers}: is it answered? y or n)")
        line = self.read()
        self.there = line is not None
        return "connected" if (line or "").strip().lower().startswith("y") else "no_answer"

    async def record(self, message: Message) -> bool:
        told = f", sent to {message.mail}" if message.mail else ""
        self.write(f"(records at most {message.longest:g} s{told})")
        return True

    async def mailbox(self, extension: str, *, greet: bool) -> bool:
        self.write(f"(mailbox {extension}{', which greets' if greet else ''})")
        return True

    async def mail(self, to: str, subject: str, text: str) -> None:
        self.write(f"(mail to {to}: {subject}: {text})")

    async def call_back(self, number: str, agent: str, after: float) -> None:
        self.write(f"(call back {number}{f' by {agent}, in {after:g} s' if agent else ''})")

    async def flow(self, name: str, params: Mapping[str, str]) -> str | None:
        self.write(f"(flow {name} {dict(params)})")
        return None

    async def hangup(self, cause: int) -> None:
        self.write(f"(hangs up, cause {cause})")
        self.there = False
