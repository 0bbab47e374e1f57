"""What a menu file may say. Frozen, and refuses unknown keys; ``read`` tells of mistakes by file, line and key."""

import re
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    model_validator,
)

from engine.calls.numbers import EMERGENCY, BadNumber, normalize
from engine.errors import InvalidFields
from engine.flows.menus import hours
from engine.media.tts.port import Speech
from engine.media.tts.resolve import resolve

BARE = ("repeat", "back", "hangup")
"""Steps that need no more than their name."""
PLACE = re.compile(r"\{([^{}]*)\}")
"""``{name}`` in a text: what was gathered under that name, or a fact of the call."""
FACTS = frozenset({"caller", "dialed", "first_name", "last_name"})
"""The names are those of an instant call; of another call they are empty."""


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _many(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _number(value: str) -> str:
    try:
        digits = normalize(value, country="")
    except BadNumber as error:
        raise ValueError(str(error)) from None
    if digits in EMERGENCY:
        raise ValueError("is an emergency number")
    return value.lstrip("+")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {value!r}") from None
    return value


Line = Annotated[str, BeforeValidator(_text), StringConstraints(min_length=1, max_length=3000)]
Number = Annotated[str, BeforeValidator(_text), AfterValidator(_number)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
Key = Annotated[str, StringConstraints(pattern=r"^([0-9*#]|[0-9]{2,8})$")]
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]
Zone = Annotated[str, AfterValidator(_zone)]
Spans = Annotated[
    tuple[hours.Span, ...], BeforeValidator(lambda text: hours.spans(", ".join(map(str, _many(text)))) if text else ())
]
Day = Annotated[str, AfterValidator(hours.day)]
Seconds = Annotated[float, Field(gt=0, le=600)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sound(Model):
    """Something that is heard: a ``text``, alone or by language, or a file or sound that is played (``play``)."""

    text: dict[Language, Line] | None = None
    any: Line | None = None
    """The text where it is the same in every language."""
    play: Line | None = None
    voice: str = ""
    rate: Annotated[str, BeforeValidator(_text)] = "medium"
    pitch: str = "medium"
    volume: str = "medium"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("text"), str | int | float) and "any" not in value:
            return {**{key: value[key] for key in value if key != "text"}, "any": value["text"]}
        return {"any": value} if isinstance(value, str | int | float) else _by_language(value)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.text, self.any, self.play)) != 1:
            raise ValueError("needs either text or play")
        for line in self.lines():
            spoken = PLACE.sub("1", line)
            try:
                rate = int(self.rate) if self.rate.isdigit() else self.rate
                resolve(Speech(spoken, voice=self.voice, rate=rate, pitch=self.pitch, volume=self.volume))
            except InvalidFields as error:
                raise ValueError("; ".join(f"{name} {reason}" for name, reason in error.fields.items())) from None
        return self

    def lines(self) -> tuple[str, ...]:
        return (self.any,) if self.any is not None else tuple((self.text or {}).values())


def _by_language(value: Any) -> Any:
    """``{en-US: Hello, de-DE: Hallo}``"""
    names = set(value) if isinstance(value, dict) else set()
    known = set(Sound.model_fields)
    return {"text": value} if names and not names & known else value


def _play(value: Any) -> Any:
    return [{"play": each} if isinstance(each, str) else each for each in _many(value)]


Sounds = Annotated[tuple[Sound, ...], BeforeValidator(_many)]
Files = Annotated[tuple[Sound, ...], BeforeValidator(_play)]


class Hours(Model):
    zone: Zone = ""
    """The account's when it is left out."""
    open: dict[str, Spans] = Field(min_length=1)
    holidays: tuple[Day, ...] = ()
    special: dict[Day, Spans] = Field(default_factory=dict)
    """Days that go by other hours."""

    @model_validator(mode="after")
    def _days(self) -> Self:
        self.table()
        return self

    def table(self) -> hours.Hours:
        weekly: dict[int, tuple[hours.Span, ...]] = {}
        for names, spans in self.open.items():
            for number in hours.days(names):
                weekly[number] = weekly.get(number, ()) + spans
        return hours.Hours(weekly, {**dict.fromkeys(self.holidays, ()), **self.special})


class When(Model):
    """Two ways, by opening hours."""

    of: str
    open: "Steps" = ()
    closed: "Steps" = ()


class Gather(Model):
    """Digits from the caller, kept under a name."""

    prompt: Sounds
    into: Variable
    digits: int = Field(default=20, ge=1, le=64)
    """At most; as many end it."""
    at_least: int = Field(default=1, ge=1, le=64)
    end: Annotated[str, StringConstraints(pattern=r"^[0-9*#]{0,3}$")] = "#"
    timeout: Seconds = 5.0
    between: Seconds = 3.0
    tries: int = Field(default=3, ge=1, le=9)
    invalid: Sounds = ()
    failed: "Steps" = ()


def _targets(value: Any) -> Any:
    return {"to": value} if isinstance(value, str | int | list) else value


class Target(Model):
    number: Number
    ring: Seconds | None = None


def _target(value: Any) -> Any:
    return [{"number": each} if isinstance(each, str | int) else each for each in _many(value)]


class Dial(Model):
    """Connect the caller, to the first who answers."""

    to: Annotated[tuple[Target, ...], BeforeValidator(_target)] = Field(min_length=1, max_length=20)
    ring: Seconds = 20.0
    at_once: bool = False
    """Ring all of them at the same time."""
    whisper: Sounds = ()
    """What the one who answers hears first."""
    failed: "Steps" = ()


class Record(Model):
    """The caller's words into a file."""

    prompt: Sounds = ()
    longest: Seconds = 180.0
    beep: bool = True
    end: Annotated[str, StringConstraints(pattern=r"^[0-9*#]{0,12}$")] = "#"
    silence: int = Field(default=5, ge=0, le=60)
    """Seconds without a sound that end it; 0: none do."""
    thanks: Sounds = ()


class Voicemail(Record):
    """A message, kept as the call's recording; also sent to ``mail``, or left in the mailbox of an extension."""

    mail: Address | None = None
    mailbox: Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^\d{3,6}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str | int):
            return {"mail" if "@" in str(value) else "mailbox": str(value)}
        return value


class Callback(Model):
    """The caller wants to be called back, at its own number or one that it types."""

    agent: Number | None = None
    """Who calls back: is called ``after`` so many seconds, and then connected to the caller."""
    after: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    mail: Address | None = None
    prompt: Sounds = ()
    """Asks for another number, ended by #; none is the caller's own."""
    timeout: Seconds = 5.0
    thanks: Sounds = ()


class Mail(Model):
    to: Address
    subject: Line = "Call from {caller}"
    text: Line = "{caller} called {dialed}."


class Flow(Model):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    params: dict[Variable, Line] = Field(default_factory=dict)


class Jump(Model):
    """To another menu, of a file of its own or written here."""

    to: Name | None = None
    inline: "Menu | None" = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"to": value} if isinstance(value, str) else {"inline": value}


class Hangup(Model):
    cause: int = Field(default=16, ge=1, le=127)
    """Q.850."""


class Nothing(Model):
    """A step without settings."""


def _named(field: str) -> BeforeValidator:
    return BeforeValidator(lambda value: {field: value} if isinstance(value, str | int) else value)


def _empty(value: Any) -> Any:
    return {} if value is None or value is True else value


class Step(Model):
    """One thing that is done: exactly one of these keys."""

    say: Sounds | None = None
    play: Files | None = None
    gather: Gather | None = None
    dial: Annotated[Dial, BeforeValidator(_targets)] | None = None
    record: Annotated[Record, BeforeValidator(_empty)] | None = None
    voicemail: Annotated[Voicemail, BeforeValidator(_empty)] | None = None
    callback: Annotated[Callback, BeforeValidator(_empty)] | None = None
    mail: Annotated[Mail, _named("to")] | None = None
    menu: Jump | None = None
    hours: When | None = None
    language: Language | None = None
    flow: Annotated[Flow, _named("name")] | None = None
    repeat: Annotated[Nothing, BeforeValidator(_empty)] | None = None
    back: Annotated[Nothing, BeforeValidator(_empty)] | None = None
    hangup: Annotated[Hangup, BeforeValidator(_empty)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in (*BARE, "record", "voicemail", "callback"):
                raise ValueError(f"no step is called {value!r}, or it needs settings")
            return {value: {}}
        if isinstance(value, dict):
            value = {key: {} if each is None and key in cls.model_fields else each for key, each in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"is one step, and has {len(self.model_fields_set)} of them: begin each with a dash")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def of(self) -> Any:
        """Its settings."""
        return getattr(self, self.kind)


Steps = Annotated[tuple[Step, ...], BeforeValidator(_many)]


class Menu(Model):
    """Sounds, and what each key does. Without ``keys`` it does what stands under ``first`` and ends."""

    name: Name | None = None
    first: Steps = ()
    """Done when the menu is entered, before it is heard."""
    greeting: Sounds = ()
    """Heard once, before the prompt."""
    prompt: Sounds = ()
    keys: dict[Key, Steps] = Field(default_factory=dict)
    tries: int = Field(default=3, ge=1, le=9)
    """Invalid or missing keys that end it."""
    timeout: Seconds = 5.0
    between: Seconds = 2.0
    invalid: Sounds = ()
    missing: Sounds = ()
    failed: Steps = ()
    """Done after the last try; then the call ends."""
    _full: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.keys and not self.prompt and not self.greeting:
            raise ValueError("has keys, and needs a prompt that names them")
        if not self.keys and not self.first:
            raise ValueError("needs keys, or steps under first")
        return self

    @property
    def full(self) -> str:
        """``welcome``, and of a menu within it ``welcome.3``."""
        return self._full

    def christen(self, full: str) -> None:
        self._full = full


class MenuFile(Menu):
    """What stands in a file of its own."""

    number: Annotated[tuple[Number, ...], BeforeValidator(_many)] = ()
    """Whoever dials it, or is brought to it by a trunk, meets this menu."""
    language: Language = "en-US"
    voice: str = ""
    hours: dict[Name, Hours] = Field(default_factory=dict)


for _model in (When, Gather, Dial, Jump, Step, Menu, MenuFile):
    _model.model_rebuild()
