"""``trunkline rooms``: conference rooms, who may enter, who is in them, what happened."""

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.api.room_fields import NUMBER, PIN
from engine.api.room_views import access_view, event_view, history_view, room_view
from engine.api.views import iso
from engine.calls.numbers import BadNumber, normalize
from engine.calls.rooms import LEVELS, MANUAL, RECORDING, WEB, Access, Room
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.commands.rooms import TRIES
from engine.errors import Duplicate, InvalidFields, NotFound, StateConflict
from engine.ids import token
from engine.store.administration import AccountAdministration
from engine.store.operators import Operators
from engine.store.pool import Database
from engine.store.port import RoomFilter
from engine.store.rooms import PgRooms

if TYPE_CHECKING:
    from engine.cli import Subparsers

Work = Callable[[argparse.Namespace, Database], Awaitable[int]]


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "rooms",
        description="Conference rooms. ROOM is an id, or the number that phones dial. What is changed here holds at once, in "
        "every engine of the database.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    found = actions.add_parser("list", help="all rooms, or those of an account")
    found.add_argument("--account")
    _finish(found, _list)
    _add(actions.add_parser("add", help="make a room"))
    for name, work, help_ in (
        ("show", _show, "the room with its accesses"),
        ("remove", _remove, "delete it, with its logs; whoever is in it is let go"),
        ("open", _open, "let people in"),
        ("close", _close, "let nobody in; whoever is in stays"),
        ("lock", _lock, "let ADMINs alone in"),
        ("unlock", _unlock, "let all in again"),
        ("members", _members, "who is in it"),
        ("events", _events, "what happened in it"),
        ("history", _history, "who was in it"),
    ):
        one = actions.add_parser(name, help=help_)
        one.add_argument("room", metavar="ROOM")
        if name in ("events", "history"):
            one.add_argument("--limit", type=int, default=100)
        _finish(one, work)
    _let_in(actions.add_parser("let-in", help="make a way into the room"))
    _keep_out(actions.add_parser("keep-out", help="take a way into the room away"))
    kick = actions.add_parser("kick", help="end a member's call")
    kick.add_argument("room", metavar="ROOM")
    kick.add_argument("member", metavar="MEMBER")
    _finish(kick, _kick)


def _finish(parser: argparse.ArgumentParser, work: Work) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--number", default="", help="what phones of the account dial, 3 to 6 digits")
    parser.add_argument(
        "--inbound", action="append", default=[], metavar="NUMBER", help="an inbound number that leads to it"
    )
    parser.add_argument("--recording", choices=RECORDING, default=MANUAL)
    parser.add_argument("--max-connected", type=int, default=0, metavar="N", help="members at a time; 0: no limit")
    parser.add_argument("--max-duration", type=int, default=0, metavar="SECONDS", help="of a conference; 0: no limit")
    parser.add_argument("--pin", default="", help="of a GUEST access that is made with it")
    parser.add_argument("--admin-pin", default="", help="of an ADMIN access that is made with it")
    _finish(parser, _do_add)


def _let_in(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("--level", choices=LEVELS, default="GUEST")
    parser.add_argument("--pin", default="", help="at most eight digits; without, none is asked for")
    parser.add_argument("--label", default="")
    parser.add_argument("--phone-number", metavar="NUMBER", help="for callers of this number alone")
    _finish(parser, _do_let_in)


def _keep_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("access", metavar="ACCESS")
    _finish(parser, _do_keep_out)


async def _found(store: Database, key: str) -> Room:
    room = await PgRooms(store).find(None, key)
    if room is None:
        raise NotFound(f"no room {key}")
    return room


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    rooms = await PgRooms(store).page(arguments.account, limit=10_000, after=None)
    if arguments.json:
        as_json([_view(room) for room in rooms])
    else:
        heads = ("id", "account", "number", "name", "open", "locked", "accesses", "inbound")
        table(heads, [(room.id, room.account, room.number, room.name, _word(room.open), _word(room.locked),
                       len(room.accesses), " ".join(room.numbers) or None) for room in rooms])  # fmt: skip
    return 0


def _word(flag: object) -> str:
    return "yes" if flag else "no"


def _view(room: Room) -> dict[str, Any]:
    """As the API has it, but for what goes on in it, which an engine alone knows."""
    shown = {"account": room.account, **room_view(room, None)}
    del shown["live"]
    return shown


async def _show(arguments: argparse.Namespace, store: Database) -> int:
    return _tell(arguments, await _found(store, arguments.room))


def _tell(arguments: argparse.Namespace, room: Room) -> int:
    if arguments.json:
        as_json(_view(room))
        return 0
    print(
        f"{room.id}: {room.name} ({room.account}), number {room.number or '-'}, inbound {' '.join(room.numbers) or '-'}"
    )
    print(f"{'open' if room.open else 'closed'}{', locked' if room.locked else ''}, recording {room.recording}")
    table(("access", "level", "pin", "phone number", "label"),
          [(each.id, each.level, each.pin or None, each.phone_number, each.label or None) for each in room.accesses])  # fmt: skip
    return 0


async def _do_add(arguments: argparse.Namespace, store: Database) -> int:
    account = await AccountAdministration(store).get(arguments.account)
    now, room_id = datetime.now(UTC), token("RM")
    pins = [
        (level, _parsed(PIN, "pin", pin)) for level, pin in (("GUEST", arguments.pin), ("ADMIN", arguments.admin_pin))
    ]
    room = Room(
        room_id,
        account.account,
        arguments.name,
        _parsed(NUMBER, "number", arguments.number) or None,
        tuple(_number(each, account.country) for each in arguments.inbound),
        open=True,
        locked=False,
        recording=arguments.recording,
        max_connected=max(arguments.max_connected, 0),
        max_duration=max(arguments.max_duration, 0),
        date_expiration=None,
        media={},
        created_at=now,
        updated_at=now,
        accesses=tuple(_access(room_id, level, pin, now) for level, pin in pins if pin),
    )
    try:
        await PgRooms(store).add(room)
    except Duplicate:
        raise StateConflict("a number belongs to another room already") from None
    return _tell(arguments, await _found(store, room.id))


def _parsed(kind: Any, name: str, text: str) -> str:
    try:
        return str(kind.parse(text))
    except ValueError as error:
        raise InvalidFields({name: str(error)}) from None


def _number(text: str, country: str) -> str:
    try:
        return normalize(text, country=country)
    except BadNumber as error:
        raise InvalidFields({"number": str(error)}) from None


def _access(
    room: str, level: str, pin: str, now: datetime, *, label: str = "", phone: str | None = None
) -> Access:  # fmt: skip
    return Access(token("RA"), room, label, level, pin, phone, None, 0, None, now, now)


async def _do_let_in(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    account = await AccountAdministration(store).get(room.account)
    phone = _number(arguments.phone_number, account.country) if arguments.phone_number else None
    pin = _parsed(PIN, "pin", arguments.pin)
    access = _access(room.id, arguments.level, pin, datetime.now(UTC), label=arguments.label, phone=phone)
    try:
        await PgRooms(store).add_access(access)
    except Duplicate:
        raise StateConflict("the room has an access with this PIN already") from None
    if arguments.json:
        as_json(access_view(access))
    else:
        print(access.id)
    return 0


async def _do_keep_out(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    if not await PgRooms(store).remove_access(room.id, arguments.access):
        raise NotFound(f"the room has no access {arguments.access}")
    if arguments.json:
        as_json({"id": arguments.access})
    return 0


async def _remove(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    rooms = PgRooms(store)
    inside = await rooms.members(room.id)
    await rooms.remove(None, room.id)
    for member in inside:
        await Operators(store).ask_hangup(member.request_id)
    if arguments.json:
        as_json({"id": room.id})
    return 0


def _change(kind: str, **changes: bool) -> Work:
    async def work(arguments: argparse.Namespace, store: Database) -> int:
        rooms = PgRooms(store)
        for _ in range(TRIES):
            room = await _found(store, arguments.room)
            changed = replace(room, **changes)  # type: ignore[arg-type]
            if await rooms.change(changed):
                break
        if changed != room:
            await rooms.tell(room.id, kind, datetime.now(UTC), {"from": WEB})
        return _tell(arguments, await _found(store, room.id))

    return work


_open, _close = _change("room.opened", open=True), _change("room.closed", open=False)
_lock, _unlock = _change("room.locked", locked=True), _change("room.unlocked", locked=False)


async def _members(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    found = await PgRooms(store).members(room.id)
    if arguments.json:
        names = ("id", "number", "level", "muted", "paused", "request_id", "direction")
        as_json([{**{name: getattr(each, name) for name in names}, "joined_at": iso(each.joined_at)} for each in found])
    else:
        heads = ("member", "number", "level", "muted", "paused", "joined", "call")
        table(heads, [(each.id, each.number, each.level, _word(each.muted), _word(each.paused), iso(each.joined_at),
                       each.request_id) for each in found])  # fmt: skip
    return 0


async def _kick(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    for member in await PgRooms(store).members(room.id):
        if member.id == arguments.member:
            await Operators(store).ask_hangup(member.request_id)
            if arguments.json:
                as_json({"id": member.id})
            return 0
    raise NotFound(f"nobody in the room is {arguments.member}")


async def _events(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    found, _, _ = await PgRooms(store).events(room.id, RoomFilter(), limit=arguments.limit, after=None)
    if arguments.json:
        as_json([event_view(each) for each in found])
    else:
        table(("at", "action", "from", "connected", "member", "data"),
              [(iso(each.at), each.action, each.origin, each.connected_count, each.member, dict(each.data))
               for each in found])  # fmt: skip
    return 0


async def _history(arguments: argparse.Namespace, store: Database) -> int:
    room = await _found(store, arguments.room)
    found, _, _ = await PgRooms(store).history(room.id, RoomFilter(), limit=arguments.limit, after=None)
    if arguments.json:
        as_json([history_view(each) for each in found])
    else:
        table(("joined", "left", "number", "level", "direction", "call"),
              [(iso(each.joined_at), iso(each.left_at), each.number, each.level, each.direction, each.request_id)
               for each in found])  # fmt: skip
    return 0
