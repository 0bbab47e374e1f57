"""A menu as a tree of text, for ``trunkline ivr show``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.flows.menus.book import Book, Entry
from engine.flows.menus.model import (
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

WIDE = 60
"""Characters of a text that are shown."""


@dataclass(frozen=True, slots=True)
class Branch:
    text: str
    below: "tuple[Branch, ...]" = field(default=())


def tree(book: Book, name: str) -> str:
    """``name`` must be in the book. Menus of other files are named, not drawn."""
    entry = book.entries[name]
    numbers = ", ".join(number for number, menu in book.numbers.items() if menu == name)
    lines = [f"{name} ({numbers})" if numbers else name]
    return "\n".join((*lines, *_drawn(_menu(entry, entry.menu))))


def _drawn(branches: Sequence[Branch], before: str = "") -> Iterator[str]:
    for n, branch in enumerate(branches):
        last = n == len(branches) - 1
        yield f"{before}{'└── ' if last else '├── '}{branch.text}"
        yield from _drawn(branch.below, before + ("    " if last else "│   "))


def _menu(entry: Entry, menu: Menu) -> tuple[Branch, ...]:
    sounds = [Branch(_sounds("", part)) for part in (menu.greeting, menu.prompt) if part]
    keys = [Branch(f"[{key}]", _steps(entry, steps)) for key, steps in menu.keys.items()]
    ends = [Branch(f"after {menu.tries} invalid or missing keys", _steps(entry, menu.failed) or (Branch("hang up"),))]
    return (*_steps(entry, menu.first), *sounds, *keys, *(ends if keys else [Branch("hang up")]))


def _steps(entry: Entry, steps: Iterable[Step]) -> tuple[Branch, ...]:
    return tuple(_step(entry, step) for step in steps)


def _step(entry: Entry, step: Step) -> Branch:
    match step.of:
        case tuple() as sounds:
            return Branch(_sounds(step.kind, sounds))
        case Jump(inline=Menu() as inner):
            return Branch(f"menu {inner.full}", _menu(entry, inner))
        case When() as when:
            ways = (
                Branch("open", _steps(entry, when.open)),
                Branch("closed", _steps(entry, when.closed)),
            )
            return Branch(f"hours {when.of}", tuple(way for way in ways if way.below))
        case Gather() | Dial() as part:
            failed = (Branch("else", _steps(entry, part.failed)),) if part.failed else ()
            return Branch(_told(step), failed)
        case _:
            return Branch(_told(step))


def _told(step: Step) -> str:  # noqa: C901, PLR0911 - one line for each
    match step.of:
        case Gather(into=into, digits=digits):
            return f"gather {into} (at most {digits} digits)"
        case Dial(to=targets, ring=ring, at_once=at_once):
            numbers = (" and " if at_once else ", then ").join(target.number for target in targets)
            return f"dial {numbers} ({ring:g} s)"
        case Voicemail(mail=mail, mailbox=mailbox):
            return f"voicemail{f' to {mail or mailbox}' if mail or mailbox else ''}"
        case Record(longest=longest):
            return f"record ({longest:g} s at most)"
        case Callback(mail=mail, agent=agent):
            return f"callback{f' by {agent}' if agent else ''}{f', told to {mail}' if mail else ''}"
        case Mail(to=to):
            return f"mail to {to}"
        case Jump(to=to):
            return f"menu {to}"
        case Flow(name=name):
            return f"flow {name}"
        case Hangup():
            return "hang up"
        case str() as language:
            return f"language {language}"
        case _:
            return {"repeat": "hear it again", "back": "go back"}.get(step.kind, step.kind)


def _sounds(kind: str, sounds: Sequence[Sound]) -> str:
    said = " ".join(_sound(each) for each in sounds)
    shown = said if len(said) <= WIDE else f"{said[: WIDE - 1]}…"
    return f"{kind} {shown}".strip()


def _sound(sound: Sound) -> str:
    return f"♪ {sound.play}" if sound.play is not None else f'"{sound.lines()[0]}"'
