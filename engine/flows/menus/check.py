"""What is wrong with menus that are well written each: names that lead nowhere, sounds that are not there, circles in
which nobody is asked."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from engine.flows.menus import book as shelf
from engine.flows.menus.book import BadMenus, Book, Entry, Page, Problem
from engine.flows.menus.model import (
    FACTS,
    PLACE,
    Flow,
    Gather,
    Jump,
    Mail,
    Menu,
    Sound,
    Step,
    When,
)
from engine.flows.menus.walk import Loc, walk
from engine.media.prompt_file import what_is_wrong

LAST = ("repeat", "back", "hangup", "menu")
"""Steps behind which nothing can come."""


def load(folders: Sequence[Path], flows: Collection[str] | None = None) -> tuple[Book, list[Problem]]:
    """The menus that are good, and what is wrong with the others. ``flows``: names that a step may ask for; None lets
    all pass."""
    pages: dict[str, Page] = {}
    problems: list[Problem] = []
    for name, path in shelf.files(folders).items():
        try:
            pages[name] = shelf.read(path)
        except BadMenus as error:
            problems += error.problems
    while True:
        book = shelf.bind(pages)
        found = problems_of(book, pages, flows)
        if not found:
            return book, problems
        problems += found
        wrong = {each.file for each in found}
        pages = {name: page for name, page in pages.items() if page.path not in wrong}


def strict(folders: Sequence[Path], flows: Collection[str] | None = None) -> Book:
    """Raises BadMenus."""
    book, problems = load(folders, flows)
    if problems:
        raise BadMenus(problems)
    return book


def problems_of(book: Book, pages: Mapping[str, Page], flows: Collection[str] | None) -> list[Problem]:
    found: list[Problem] = []
    for page in pages.values():
        found += _page_problems(book, page, flows)
    return (found + _same_numbers(pages)) or _circles(book)


def _page_problems(book: Book, page: Page, flows: Collection[str] | None) -> Iterator[Problem]:
    known = FACTS | {part.into for _, part in _everything(page.menu) if isinstance(part, Gather)}
    for loc, part in _everything(page.menu):
        for reason in _reasons(book, page, part, known, flows):
            yield page.problem(loc, reason)
        yield from (page.problem(where, "is never reached") for where in _unreached(loc, part))
    yield from (page.problem(where, "is never reached") for where in _unreached((), page.menu))


def _everything(menu: Menu, loc: Loc = ()) -> Iterator[tuple[Loc, object]]:
    """Also of the menus within."""
    for where, part in walk(menu):
        yield (*loc, *where), part
        if isinstance(part, Menu):
            yield from _everything(part, (*loc, *where))


def _reasons(
    book: Book, page: Page, part: object, known: Collection[str], flows: Collection[str] | None
) -> Iterable[str]:
    match part:
        case Jump(to=str(name)) if name not in book.entries:
            yield f"no menu is called {name!r}"
        case When(of=name) if name not in page.menu.hours:
            yield f"no hours are called {name!r}"
        case Flow(name=name) if flows is not None and name not in flows:
            yield f"no flow is called {name!r}"
        case Sound(play=str(file)):
            yield from _sound_problem(page, file)
        case Sound() | Mail():
            yield from _places(part, known)
        case _:
            pass


def _places(part: Sound | Mail, known: Collection[str]) -> Iterator[str]:
    lines = part.lines() if isinstance(part, Sound) else (part.subject, part.text)
    for name in (place for line in lines for place in PLACE.findall(line)):
        if name not in known:
            yield f"nothing is gathered into {name!r}"


def _sound_problem(page: Page, name: str) -> Iterator[str]:
    path = sound_file(page.path.parent, name)
    if path is not None and (wrong := what_is_wrong(path)):
        yield wrong


def sound_file(folder: Path, name: str) -> Path | None:
    """The file that ``play`` names; None for a sound or tone of Asterisk's own (``sound:…``, ``tone:…``)."""
    if name.startswith(("sound:", "tone:")):
        return None
    return (folder / name).absolute().with_suffix(".wav")


def _unreached(loc: Loc, part: object) -> Iterator[Loc]:
    """Steps behind one that goes elsewhere."""
    for name, steps in _lists(part):
        for n, step in enumerate(steps[:-1]):
            if step.kind in LAST:
                yield (*loc, *name, n + 1)
                break


def _lists(part: object) -> Iterator[tuple[Loc, tuple[Step, ...]]]:
    match part:
        case Menu():
            yield ("first",), part.first
            yield ("failed",), part.failed
            yield from ((("keys", key), steps) for key, steps in part.keys.items())
        case When():
            yield ("open",), part.open
            yield ("closed",), part.closed
        case _:
            if steps := getattr(part, "failed", ()):
                yield ("failed",), steps


def _same_numbers(pages: Mapping[str, Page]) -> list[Problem]:
    owner: dict[str, str] = {}
    found: list[Problem] = []
    for name, page in pages.items():
        for number in page.menu.number:
            if number in owner:
                found.append(page.problem(("number",), f"{number} leads to {owner[number]} already"))
            owner.setdefault(number, name)
    return found


# -- circles ---------------------------------------------------------------------------------------------------------

Edge = tuple[str, Loc]


def _circles(book: Book) -> list[Problem]:
    """Ways that come back to where they began without a key: a silent caller would hear them for ever."""
    edges = {full: list(_unasked(full, entry)) for full, entry in book.entries.items()}
    done: set[str] = set()
    for full in book.entries:
        if (found := _circle(full, edges, [], done)) is not None:
            owner, loc, names = found
            page = book.entries[owner].page
            where = (*_loc_of(book, owner), *loc)
            return [page.problem(where, f"goes in a circle without asking for a key: {' > '.join(names)}")]
    return []


def _circle(
    full: str, edges: Mapping[str, Sequence[Edge]], path: list[str], done: set[str]
) -> tuple[str, Loc, list[str]] | None:
    path.append(full)
    for target, loc in edges.get(full, ()):
        if target in path:
            return full, loc, [*path[path.index(target) :], target]
        if target not in done and (found := _circle(target, edges, path, done)) is not None:
            return found
    path.pop()
    done.add(full)
    return None


def _unasked(full: str, entry: Entry) -> Iterator[Edge]:
    for name in ("first", "failed"):
        for loc, part in walk(getattr(entry.menu, name), (name,), top=False):
            if isinstance(part, Jump):
                yield part.to or (part.inline.full if part.inline else full), loc
            elif isinstance(part, Step) and part.kind == "repeat":
                yield full, loc
            elif isinstance(part, Step) and part.kind == "back":
                yield entry.above or full, loc


def _loc_of(book: Book, full: str) -> Loc:
    """Where a menu stands in its file."""
    entry = book.entries[full]
    return next((loc for loc, part in _everything(entry.page.menu) if part is entry.menu), ())
