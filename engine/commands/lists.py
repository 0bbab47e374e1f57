"""Lists of contacts and do-not-dial lists: made, added to, filled from CSV files of the object store."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.calls.account import Account
from engine.calls.numbers import BadNumber, normalize
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.dialer.contacts import rows
from engine.dialer.contacts.port import Contact
from engine.dialer.contacts.text import BadFile
from engine.errors import Duplicate, InvalidFields, NotFound
from engine.ids import token
from engine.media.objects import names
from engine.media.objects.port import Opened
from engine.media.receive import Staged, receive

_MOST_SHOWN = 20
_PREFIX = {False: "LS", True: "DN"}
_ID = re.compile(r"(LS|DN)[0-9a-f]{10}")


class BadRows(InvalidFields):
    """Rows of a file that are no contacts; ``shown`` are the first ones, ``bad`` is how many there are."""

    def __init__(self, bad: int, shown: Sequence[Mapping[str, Any]]) -> None:
        super().__init__({"rows": f"{bad} are bad"}, message="rows of the file are bad; nothing was imported")
        self.bad = bad
        self.shown = shown


@dataclass(frozen=True, slots=True)
class Imported:
    """``duplicates``: numbers that came twice or were on the list already."""

    added: int
    duplicates: int
    bad: int = 0
    shown: Sequence[Mapping[str, Any]] = field(default=())


def is_list(list_id: str, *, do_not_dial: bool = False) -> bool:
    match = _ID.fullmatch(list_id)
    return match is not None and match[1] == _PREFIX[do_not_dial]


async def create(ctx: Context, account: str, name: str, *, do_not_dial: bool, key: Key | None = None) -> str:
    """The new list's id. Raises InvalidFields when the name is taken."""
    list_id = token(_PREFIX[do_not_dial])

    async def act() -> None:
        try:
            await ctx.lists.create(list_id, account, name, do_not_dial=do_not_dial)
        except Duplicate:
            taken = {"dnd_list_name" if do_not_dial else "list_name": "is the name of another list of the account"}
            raise InvalidFields(taken) from None

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await ctx.lists.get(account, answer["list_id"], do_not_dial=do_not_dial) is not None

    answer = await once(ctx, account, key, {"list_id": list_id}, act=act, happened=happened)
    return str(answer["list_id"])


async def add(
    ctx: Context, account: Account, list_id: str, contacts: Sequence[Contact], *, do_not_dial: bool
) -> Imported:
    """Numbers of ``contacts`` as a caller writes them; all or none. Raises NotFound, InvalidFields by contact."""
    kept, wrong = [], []
    for n, contact in enumerate(contacts, start=1):
        try:
            kept.append(replace(contact, number=normalize(contact.number, country=account.country)))
        except BadNumber as error:
            wrong.append(f"contact {n}: the number {error}")
    if wrong:
        more = f"; and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else ""
        field_name = "dnd_contacts" if do_not_dial else "contacts"
        raise InvalidFields({field_name: "; ".join(wrong[:_MOST_SHOWN]) + more})
    added = None
    if is_list(list_id, do_not_dial=do_not_dial):
        added = await ctx.lists.add(account.account, list_id, kept, do_not_dial=do_not_dial)
    if added is None:
        raise _unknown(do_not_dial=do_not_dial)
    return Imported(added, len(kept) - added)


async def load(
    ctx: Context, account: Account, list_id: str, file_name: str, *, do_not_dial: bool, skip: bool, field_name: str
) -> Imported:
    """Import a CSV file of the account's objects; answers when it is done. ``skip``: bad rows are left out.

    Raises NotFound (list, file), InvalidFields for a file that can't be read, BadRows, Unavailable.
    """
    name = account.account
    if not is_list(list_id, do_not_dial=do_not_dial):
        raise _unknown(do_not_dial=do_not_dial)
    if await ctx.lists.get(name, list_id, do_not_dial=do_not_dial) is None:
        raise _unknown(do_not_dial=do_not_dial)
    report = rows.Report()
    try:
        async with _file(ctx, name, file_name, field_name) as path:
            pieces = _pieces(path, report, account.country, do_not_dial=do_not_dial, skip=skip)
            added = await ctx.lists.load(name, list_id, pieces, do_not_dial=do_not_dial)
    except BadFile as error:
        raise InvalidFields({field_name: str(error)}) from None
    if added is None:
        raise _unknown(do_not_dial=do_not_dial)
    return Imported(added, report.rows - added, report.bad, report.shown)


async def _pieces(
    path: Path, report: rows.Report, country: str, *, do_not_dial: bool, skip: bool
) -> AsyncIterator[bytes]:
    """What COPY takes; read and parsed in a thread, a piece at a time, so that calls go on meanwhile."""
    with path.open("rb") as file:
        made = rows.copied(file, report, country=country, with_fields=not do_not_dial, skip=skip)
        while (piece := await asyncio.to_thread(next, made, None)) is not None:
            yield piece
    if report.bad and not skip:
        raise BadRows(report.bad, report.shown)
    if not report.rows:
        raise BadFile("has no row with a number")


@asynccontextmanager
async def _file(ctx: Context, account: str, name: str, field_name: str) -> AsyncIterator[Path]:
    """The object as a file of ours; one from a bucket is fetched first. Raises NotFound, InvalidFields, Unavailable."""
    try:
        names.new(name)
    except InvalidFields as error:
        raise InvalidFields({field_name: error.fields["name"]}) from None
    opened = await ctx.objects.get(account, name)
    if opened is None:
        raise NotFound("no object has this name")
    if opened.path is not None:
        yield opened.path
        return
    staged = await _fetched(ctx, opened)
    try:
        yield staged.path
    finally:
        staged.discard()


async def _fetched(ctx: Context, opened: Opened) -> Staged:
    assert opened.chunks is not None
    return await receive(opened.chunks, ctx.config.state / "imports", limit=ctx.config.http.max_upload)


def _unknown(*, do_not_dial: bool) -> NotFound:
    return NotFound(f"no {'do-not-dial list' if do_not_dial else 'list'} has this id")
