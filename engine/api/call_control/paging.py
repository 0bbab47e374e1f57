"""Pages with URIs. Each URI carries its page, counted from one, and a cursor: the row that the page begins behind, or
ends before. So no call is met twice or missed by whoever follows them, whatever comes meanwhile; new calls come in front
of a list that descends and behind one that ascends."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from aiohttp import web

from engine.api.call_control.dialect import ACCOUNT_ID, DIALECT, of_account
from engine.api.fields import IDENTIFIER, Bad, Field, Kind, Schema, enum, scalar, whole
from engine.api.route import Answer, Ask, Route
from engine.errors import InvalidFields
from engine.store.port import Span

DEFAULT_SIZE = 100
MOST = 1000
_EPOCH_END = 253_402_300_799
"""Seconds; the last one of the year 9999."""
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_NEXT, _BACK = "n", "p"


def _epoch(value: Any) -> datetime:
    text = scalar(value).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= _EPOCH_END):  # noqa: PLR2004
        raise Bad("must be seconds since 1970, a whole number")
    return datetime.fromtimestamp(int(text), UTC)


EPOCH = Kind(_epoch, {"type": "integer", "minimum": 0})


def query(name: str, what: str, *more: Field) -> Schema:
    return Schema(
        name,
        Field("page_size", whole(0, MOST), f"{what} on a page; 0: {DEFAULT_SIZE}", 100, required=False, default=0),
        Field("page", whole(1, 10**9), "Which page, from 1", 1, required=False, default=1),
        Field("order", enum(("asc", "desc")), "By time", "asc", required=False, default="desc"),
        Field("start_time", EPOCH, f"{what} from then on; seconds since 1970", 1595955770, required=False),
        Field("end_time", EPOCH, f"{what} before then; seconds since 1970", 1595955770, required=False),
        Field("after", EPOCH, "Another name of `start_time`", 1595955770, required=False),
        Field("before", EPOCH, "Another name of `end_time`", 1595955770, required=False),
        Field("cursor", IDENTIFIER, "Out of a page's URI", "n.57362de4f0", required=False),
        *more,
    )


Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)


class Book(Protocol[Row_co]):
    async def count(self, account: str, span: Span) -> int: ...
    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> Sequence[Row_co]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """``key``: the row of the cursor; ``back``: the page ends before it, else it begins behind it."""

    span: Span
    page: int
    size: int
    filters: Mapping[str, int | str]
    """As they came, for the URIs."""
    key: str | None
    back: bool


def wanted(fields: Mapping[str, Any]) -> Wanted:
    """Raises InvalidFields."""
    since, until = _one_of(fields, "start_time", "after"), _one_of(fields, "end_time", "before")
    kind, _, key = (fields["cursor"] or "").partition(".")
    if fields["cursor"] and (kind not in (_NEXT, _BACK) or not key):
        raise InvalidFields({"cursor": "is not one that a page gave"})
    descending = fields["order"] == "desc"
    extension = fields.get("extension")
    filters: dict[str, int | str] = {"page_size": fields["page_size"] or DEFAULT_SIZE, "order": fields["order"]}
    filters |= {"start_time": int(since.timestamp())} if since else {}
    filters |= {"end_time": int(until.timestamp())} if until else {}
    filters |= {"extension": extension} if extension else {}
    span = Span(since or _FIRST, until or _LAST, descending, extension)
    size = fields["page_size"] or DEFAULT_SIZE
    return Wanted(span, fields["page"], size, filters, key or None, kind == _BACK)


def _one_of(fields: Mapping[str, Any], name: str, other: str) -> datetime | None:
    if fields[name] and fields[other] and fields[name] != fields[other]:
        raise InvalidFields({other: f"is not what {name} says"})
    found: datetime | None = fields[name] or fields[other]
    return found


async def page(
    want: Wanted, book: Book[Row], account: str, *, path: str, name: str, key_of: Callable[[Row], str],
    show: Callable[[Sequence[Row]], Awaitable[Sequence[Any]]],
) -> dict[str, Any]:  # fmt: skip
    """The answer, with its rows under ``name``."""
    rows, more = await _rows(want, book, account)
    total = await book.count(account, want.span)

    def uri(number: int, cursor: str = "") -> str:
        pairs = {**want.filters, "page": number, **({"cursor": cursor} if cursor else {})}
        return f"{path}?" + "&".join(f"{key}={quote(str(value), safe='.@-')}" for key, value in pairs.items())

    following = uri(want.page + 1, f"{_NEXT}.{key_of(rows[-1])}") if more else None
    before = uri(want.page - 1, f"{_BACK}.{key_of(rows[0])}" if rows else "") if want.page > 1 else None
    return {
        name: await show(rows),
        "current_page": want.page,
        "first_page_uri": uri(1),
        "next_page": want.page + 1 if more else None,
        "next_page_uri": following,
        "order": want.filters["order"],
        "page_size": want.size,
        "pages": max(-(-total // want.size), want.page + more if rows else 1),
        "previous_page_uri": before,
    }


async def _rows(want: Wanted, book: Book[Row], account: str) -> tuple[Sequence[Row], bool]:
    """The rows of the page, and whether there are more behind it."""
    if want.back:
        rows = await book.page(account, want.span, limit=want.size, after=want.key, back=True)
        return rows, True
    offset = 0 if want.key else (want.page - 1) * want.size
    rows = await book.page(account, want.span, limit=want.size + 1, offset=offset, after=want.key)
    return rows[: want.size], len(rows) > want.size


def route(
    path: str, summary: str, handler: Callable[[Ask], Awaitable[web.StreamResponse]], asked: Schema,
    *, name: str, item: Mapping[str, Any], example: Mapping[str, Any],
) -> Route:  # fmt: skip
    """The list, whose rows stand under ``name``; ``item`` and ``example`` are the schema of a row and one."""
    return Route(
        "GET",
        path,
        summary,
        of_account(handler),
        scope="read",
        query=asked,
        parameters=(ACCOUNT_ID,),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("A page", _schema(name, item), _example(path, name, example))},
    )


def _schema(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    uri = {"type": ["string", "null"]}
    return {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": item},
            "current_page": {"type": "integer"},
            "first_page_uri": {"type": "string"},
            "next_page": {"type": ["integer", "null"]},
            "next_page_uri": uri,
            "order": {"enum": ["asc", "desc"]},
            "page_size": {"type": "integer"},
            "pages": {"type": "integer"},
            "previous_page_uri": uri,
        },
    }


def _example(path: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    uri = path.format(account_id=1234)
    return {
        name: [row],
        "current_page": 1,
        "first_page_uri": f"{uri}?page_size={DEFAULT_SIZE}&order=desc&page=1",
        "next_page": None,
        "next_page_uri": None,
        "order": "desc",
        "page_size": DEFAULT_SIZE,
        "pages": 1,
        "previous_page_uri": None,
    }
