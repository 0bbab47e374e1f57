"""A CSV file's rows as contacts, in the form that PostgreSQL's COPY takes; with a header or without."""

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from operator import itemgetter
from typing import IO, Any

from engine.calls.numbers import BadNumber, normalize
from engine.dialer.contacts.text import BadFile, lines

SHOWN = 100
"""Bad rows that are told of; all are counted."""
LONGEST_NAME = 256
LONGEST_FIELD_NAME = 64
LONGEST_VALUE = 3000
"""Characters; what may be spoken at once."""
MOST_COLUMNS = 200
NUMBER = ("contact_number", "dnd_contact_number", "number")
NAME = ("contact_name", "dnd_contact_name", "name")
FIELDS = "contact_fields"
"""A column of JSON objects."""
_AT_ONCE = 2000
"""Rows of a piece: about 15 ms of work."""
_FAST = re.compile(r"[1-9]\d{10,14}", re.ASCII)
"""A number that is digits as it stands."""
_SCIENTIFIC = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_DELIMITERS = ",;\t|"

Row = tuple[int, list[str]]
"""Line of the file, cells."""


class BadRow(ValueError):
    """Why a row is no contact."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; ``fields``: place and name of the others."""

    number: int
    name: int | None = 1
    json: int | None = None
    fields: tuple[tuple[int, str], ...] = ()
    width: int | None = None
    """Columns of the header; None without one: the columns after the second are field1, field2…"""


@dataclass(slots=True)
class Report:
    rows: int = 0
    """Good ones."""
    bad: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)
    """``{"line", "error"}`` of the first bad ones."""

    def note(self, line: int, error: str) -> None:
        self.bad += 1
        if len(self.shown) < SHOWN:
            self.shown.append({"line": line, "error": error})


def copied(file: IO[bytes], report: Report, *, country: str, with_fields: bool, skip: bool) -> Iterator[bytes]:
    """Lines for COPY, a piece at a time. ``country``: calling code of ten-digit numbers. ``skip``: bad rows are left out;
    otherwise nothing more is given after the first, and the rest is only read for the report. Raises BadFile."""
    rows = _rows(file)
    head = next(rows, None)
    if head is None:
        raise BadFile("is empty")
    at = columns(head[1], country)
    if at.width is None:
        rows = itertools.chain([head], rows)
    out: list[str] = []
    plain = _plain(at, with_fields=with_fields)
    for line, cells in rows:
        try:
            made = plain(cells) or _line(cells, at, country, with_fields=with_fields)
        except BadRow as error:
            report.note(line, str(error))
            continue
        report.rows += 1
        if skip or not report.bad:
            out.append(made)
            if len(out) >= _AT_ONCE:
                yield "".join(out).encode()
                out.clear()
    if out and (skip or not report.bad):
        yield "".join(out).encode()


def columns(head: Sequence[str], country: str) -> Columns:
    """What the first row says of the columns. Raises BadFile for a header without a column of numbers."""
    names = [cell.strip() for cell in head]
    known = ["_".join(name.lower().split()) for name in names]
    if any(name in known for name in NUMBER):
        return _by_header(names, known)
    if any(_is_number(name, country) for name in names):
        return Columns(0)
    raise BadFile(f"has no column {NUMBER[0]}")


def _by_header(names: Sequence[str], known: Sequence[str]) -> Columns:
    if len(names) > MOST_COLUMNS:
        raise BadFile(f"has more than {MOST_COLUMNS} columns")
    while names and not names[-1]:  # Excel writes empty columns at the end
        names, known = names[:-1], known[:-1]
    places = {name: known.index(name) for name in (*NUMBER, *NAME, FIELDS) if name in known}
    number = next(places[name] for name in NUMBER if name in places)
    name = next((places[each] for each in NAME if each in places), None)
    json_at = places.get(FIELDS)
    others = [(at, each) for at, each in enumerate(names) if at not in (number, name, json_at)]
    for _, each in others:
        if not 1 <= len(each) <= LONGEST_FIELD_NAME or not each.isprintable() or set("{}") & set(each):
            raise BadFile("has a column without a name that a field can have")
    if len({each for _, each in others}) != len(others):
        raise BadFile("has two columns of one name")
    return Columns(number, name, json_at, tuple(others), len(names))


def _is_number(text: str, country: str) -> bool:
    try:
        normalize(text, country=country)
    except BadNumber:
        return False
    return True


def _rows(file: IO[bytes]) -> Iterator[Row]:
    """Rows that have anything in them. Raises BadFile."""
    text = lines(file)
    first = next(text, "")
    told = _SEPARATOR.fullmatch(first.strip())
    if told:
        first = next(text, "")
    reader = csv.reader(
        (f"{line}\n" for line in itertools.chain([first], text)), delimiter=told[1] if told else _delimiter(first)
    )
    try:
        for cells in reader:
            if "".join(cells).strip():
                yield reader.line_num + (1 if told else 0), cells
    except csv.Error as error:
        raise BadFile(f"can't be read from line {reader.line_num} on: {error}") from None


def _delimiter(first: str) -> str:
    """The one that stands most often outside of quotes in the first line."""
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=bare.count)


def _line(cells: list[str], at: Columns, country: str, *, with_fields: bool) -> str:
    """One line of COPY. Raises BadRow."""
    if at.width is not None and len(cells) > at.width and any(cells[at.width :]):
        raise BadRow(f"has {len(cells)} columns, and the header {at.width}")
    if len(cells) <= at.number:
        raise BadRow("has no number")
    number = cells[at.number]
    if not _FAST.fullmatch(number):
        number = _number(number.strip(), country)
    name = cells[at.name].strip() if at.name is not None and at.name < len(cells) else ""
    if len(name) > LONGEST_NAME:
        raise BadRow(f"has a name of more than {LONGEST_NAME} characters")
    if not with_fields:
        return f"{number}\t{name.translate(_ESCAPES)}\n"
    return f"{number}\t{name.translate(_ESCAPES)}\t{_fields(cells, at).translate(_ESCAPES)}\n"


def _plain(at: Columns, *, with_fields: bool) -> Callable[[list[str]], str | None]:
    """What makes a line of a row in which all is as it mostly is: no cell is missing or empty, none needs quoting. A
    million rows take 3 s with it and 6 s without."""
    if at.width is None or at.name is None or at.json is not None:
        return lambda _cells: None
    number, name, width = at.number, at.name, at.width
    order = [number, name, *(place for place, _ in at.fields)] if with_fields else [number, name]
    keys = ", ".join(f'{encode_basestring(key)}: "%s"'.replace("%", "%%", key.count("%")) for _, key in at.fields)
    template = f"%s\t%s\t{{{_escaped(keys)}}}\n" if with_fields else "%s\t%s\n"
    pick, fast = itemgetter(*order), _FAST.fullmatch

    def made(cells: list[str]) -> str | None:
        row = "|".join(cells)
        if (
            len(cells) == width
            and len(row) < LONGEST_NAME
            and fast(cells[number])
            and row.isprintable()
            and not ('"' in row or "\\" in row or "||" in row or " |" in row or "| " in row)
            and row[0] not in " |"
            and row[-1] not in " |"
        ):
            line: str = template % pick(cells)
            return line
        return None

    return made


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _number(text: str, country: str) -> str:
    if not text:
        raise BadRow("has no number")
    if _SCIENTIFIC.fullmatch(text):
        raise BadRow("has a number in scientific notation: format the column as text")
    try:
        return normalize(text, country=country)
    except BadNumber as error:
        raise BadRow(f"contact_number {error}") from None


def _fields(cells: list[str], at: Columns) -> str:
    """A JSON object as text; what is empty is left out. Raises BadRow."""
    if at.width is None:
        if len(cells) > MOST_COLUMNS:
            raise BadRow(f"has more than {MOST_COLUMNS} columns")
        pairs = [(f"field{n}", cell) for n, cell in enumerate(cells[2:], start=1)]
    else:
        pairs = [(name, cells[place]) for place, name in at.fields if place < len(cells)]
    if at.json is not None and at.json < len(cells) and cells[at.json].strip():
        pairs = [*pairs, *_object(cells[at.json])]
    said = []
    for name, cell in pairs:
        if value := cell.strip():
            if len(value) > LONGEST_VALUE:
                raise BadRow(f"{name} has more than {LONGEST_VALUE} characters")
            said.append(f"{encode_basestring(name)}: {encode_basestring(value)}")
    return f"{{{', '.join(said)}}}"


def _object(text: str) -> list[tuple[str, str]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(each, str | int | float) for each in value.values()):
        raise BadRow(f"{FIELDS} must be a JSON object of strings")
    return [(str(name), str(each)) for name, each in value.items()]
