"""All menus there are, read and checked together. A book never changes: a reload makes a new one, and a call keeps the
one that it began with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from engine.errors import ConfigError
from engine.flows.menus import source
from engine.flows.menus.model import Jump, Menu, MenuFile
from engine.flows.menus.walk import walk


@dataclass(frozen=True, slots=True)
class Problem:
    file: Path
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.key}: {self.reason}"
            if self.key
            else f"{self.file}:{self.line}: {self.reason}"
        )


class BadMenus(ConfigError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    path: Path
    menu: MenuFile
    document: source.Document

    def problem(self, loc: Sequence[str | int], reason: str) -> Problem:
        return problem(self.path, self.document, loc, reason)


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu, of a file of its own or within one."""

    menu: Menu
    page: Page
    above: str | None = None
    """The menu that it stands in."""


@dataclass(frozen=True, slots=True)
class Book:
    entries: Mapping[str, Entry] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Number → menu."""


def problem(path: Path, document: source.Document, loc: Sequence[str | int], reason: str) -> Problem:
    found, line = document.nearest(loc)
    return Problem(path, line, ".".join(map(str, found)), reason)


def files(folders: Iterable[Path]) -> dict[str, Path]:
    """Name → file; a later folder's wins over an earlier one's."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            found[path.stem] = path
    return found


def read(path: Path) -> Page:
    """Raises BadMenus."""
    try:
        document = source.parse(path.read_text(encoding="utf-8"))
    except source.Malformed as error:
        raise BadMenus([Problem(path, error.line, "", str(error))]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadMenus([Problem(path, 1, "", getattr(error, "strerror", None) or "is not UTF-8")]) from None
    if not isinstance(document.value, dict):
        raise BadMenus([Problem(path, 1, "", "is no menu: a mapping with prompt and keys is one")])
    try:
        menu = MenuFile.model_validate(document.value)
    except ValidationError as error:
        raise BadMenus(_told(path, document, error)) from None
    page = Page(path, menu, document)
    if menu.name not in (None, path.stem):
        raise BadMenus([page.problem(("name",), f"is {menu.name!r} in a file called {path.name}")])
    return page


def _told(path: Path, document: source.Document, error: ValidationError) -> list[Problem]:
    found: dict[tuple[int, str], Problem] = {}
    for item in error.errors(include_url=False, include_input=False):
        loc = item["loc"]
        if item["type"] == "extra_forbidden":
            reason = f"{loc[-1]!r} is not known here"
        else:
            reason = item["msg"].removeprefix("Value error, ")
        told = problem(path, document, loc, reason)
        found.setdefault((told.line, told.key), told)
    return sorted(found.values(), key=lambda each: each.line)


def bind(pages: Mapping[str, Page]) -> Book:
    """Every menu under its full name."""
    entries: dict[str, Entry] = {}
    numbers: dict[str, str] = {}
    for name, page in pages.items():
        _enter(entries, Entry(page.menu, page), name)
        numbers.update(dict.fromkeys(page.menu.number, name))
    return Book(entries, numbers)


def _enter(entries: dict[str, Entry], entry: Entry, full: str) -> None:
    entry.menu.christen(full)
    entries[full] = entry
    for loc, part in walk(entry.menu):
        if isinstance(part, Jump) and part.inline is not None:
            inner = part.inline.name or _short(loc)
            _enter(entries, replace(entry, menu=part.inline, above=full), _free(entries, f"{full}.{inner}"))


def _short(loc: Sequence[str | int]) -> str:
    """The key that leads there, or where in the file it stands."""
    return str(loc[1]) if loc[0] == "keys" else str(loc[0])


def _free(entries: Mapping[str, Entry], name: str) -> str:
    taken, n = name, 1
    while taken in entries:
        n += 1
        taken = f"{name}-{n}"
    return taken
