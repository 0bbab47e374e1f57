"""Conference rooms from outside: made, changed, watched, and spoken to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.calls import routing
from engine.calls.account import Account
from engine.calls.numbers import EMERGENCY, BadNumber, is_extension, normalize
from engine.calls.rooms import MANUAL, WEB, Access, Room
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.errors import Duplicate, InvalidFields, NotFound, StateConflict
from engine.ids import token
from engine.media.library.sounds import Sounds
from engine.media.tts.port import Speech
from engine.media.tts.resolve import resolve

FLOW = "conference_call"
TTS = "TTS|"
TRIES = 20
"""Times that a change is made anew which another one has overtaken; each time somebody has come further."""
_BUSY = "others are changing it"
_KEY = re.compile(r"[A-Za-z0-9]{3,32}", re.ASCII)


# -- rooms -------------------------------------------------------------------------------------------------------------


async def create(ctx: Context, account: Account, fields: Mapping[str, Any], key: Key | None = None) -> Room:
    """A room with its accesses. Raises InvalidFields, StateConflict (a number is taken, too many rooms)."""
    now = ctx.now()
    room_id = token("RM")
    room = _room(account, room_id, fields, now)
    await _check(ctx, room)

    async def act() -> None:
        with _taken():
            await ctx.rooms.store.add(room)

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await ctx.rooms.store.find(account.account, answer["id"]) is not None

    answer = await once(ctx, account.account, key, {"id": room_id}, act=act, happened=happened)
    return await show(ctx, account.account, answer["id"])


async def show(ctx: Context, account: str, key: str) -> Room:
    """By id, or by the number that phones dial. Raises NotFound, StoreAway."""
    return _there(await ctx.rooms.store.find(account, key) if _KEY.fullmatch(key) else None)


async def page(ctx: Context, account: str, *, limit: int, after: str | None) -> tuple[list[Room], str | None]:
    found = await ctx.rooms.store.page(account, limit=limit + 1, after=after)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def change(ctx: Context, account: Account, key: str, fields: Mapping[str, Any]) -> Room:
    """What is not named stays, as others who change it at the same time leave it. Raises NotFound, InvalidFields,
    StateConflict."""
    for _ in range(TRIES):
        held = await show(ctx, account.account, key)
        room = _changed(account, held, fields)
        await _check(ctx, room)
        with _taken():
            if await ctx.rooms.store.change(room):
                break
    else:
        raise StateConflict(_BUSY)
    await _tell_changes(ctx, held, room)
    changed = await show(ctx, account.account, room.id)
    live = ctx.rooms.live.get(room.id)
    if live is not None and live.room.updated_at <= changed.updated_at:
        live.room = changed
        ctx.rooms.stay.limit(live)
    return changed


async def remove(ctx: Context, account: str, key: str) -> str:
    """Whoever is in it is let go. Raises NotFound."""
    room = await show(ctx, account, key)
    if not await ctx.rooms.store.remove(account, room.id):
        raise NotFound("no room has this id")
    live = ctx.rooms.live.get(room.id)
    if live is not None:
        live.end("deleted")
    return room.id


async def _tell_changes(ctx: Context, before: Room, after: Room) -> None:
    changes = [
        (before.locked, after.locked, "room.locked", "room.unlocked"),
        (before.open, after.open, "room.opened", "room.closed"),
    ]
    for was, now, on, off in changes:
        if was != now:
            await tell(ctx, after, on if now else off)


async def tell(ctx: Context, room: Room, kind: str, **data: Any) -> None:
    live = ctx.rooms.live.get(room.id)
    count = live.entered() if live is not None else 0
    await ctx.rooms.store.tell(room.id, kind, ctx.now(), {"from": WEB, "connected_count": count, "data": data})


def _room(account: Account, room_id: str, fields: Mapping[str, Any], now: datetime) -> Room:
    empty = Room(room_id, account.account, "", None, (), True, False, MANUAL, 0, 0, None, {}, now, now)
    room = _changed(account, empty, fields)
    accesses = tuple(_access(account, room, token("RA"), each, now) for each in fields.get("accesses") or ())
    return replace(room, accesses=accesses)


_PLAIN = ("name", "open", "locked", "recording")
_LIMITS = ("max_connected", "max_duration", "date_expiration")


def _changed(account: Account, room: Room, fields: Mapping[str, Any]) -> Room:
    given: dict[str, Any] = {name: fields[name] for name in _PLAIN if fields.get(name) is not None}
    limits = fields.get("limits") or {}
    given |= {name: limits[name] for name in _LIMITS if name in limits}
    if fields.get("media") is not None:
        given["media"] = {name: text for name, text in {**room.media, **fields["media"]}.items() if text}
    if fields.get("number") is not None:
        given["number"] = fields["number"] or None
    if fields.get("numbers") is not None:
        given["numbers"] = _numbers(account, fields["numbers"])
    return replace(room, **given)


def _numbers(account: Account, given: Sequence[str]) -> tuple[str, ...]:
    try:
        found = tuple(dict.fromkeys(normalize(each, country=account.country) for each in given))
    except BadNumber as error:
        raise InvalidFields({"numbers": str(error)}) from None
    if any(is_extension(each) for each in found):
        raise InvalidFields({"numbers": "must be 7 to 15 digits each; `number` is what phones dial"})
    return found


async def _check(ctx: Context, room: Room) -> None:
    """Raises InvalidFields, StateConflict."""
    wrong: dict[str, str] = {}
    if room.number is not None:
        if room.number in EMERGENCY:
            wrong["number"] = "is an emergency number"
        elif any(phone.extension == room.number for phone in ctx.config.softphones):
            wrong["number"] = "is a phone's"
    for name, text in room.media.items():
        if reason := await unplayable(ctx, room.account, text):
            wrong["media"] = f"{name}: {reason}"
    if wrong:
        raise InvalidFields(wrong)
    for number in room.numbers:
        _check_number(ctx, room, number)


def _check_number(ctx: Context, room: Room, number: str) -> None:
    """An inbound number that leads somewhere else, or that belongs to somebody else, is not given away. Raises
    StateConflict."""
    try:
        route = routing.resolve(ctx.routes.current(), number, None, direction="inbound")
    except routing.NoRoute:
        return
    if route.prefix == number or route.account not in (None, room.account):
        raise StateConflict("a number leads somewhere else already")


async def unplayable(ctx: Context, account: str, text: str) -> str | None:
    """Why a media's name, or ``TTS|VOICE|text``, can't be played; None when it can."""
    try:
        if text.startswith(TTS):
            resolve(speech(text))
        else:
            await Sounds(ctx.library, ctx.objects).find(account, text)
    except NotFound:
        return "no media and no object has this name"
    except InvalidFields as error:
        return "; ".join(error.fields.values())
    return None


def speech(text: str) -> Speech:
    """Of ``TTS|VOICE|text``. Raises InvalidFields."""
    voice, bar, said = text.removeprefix(TTS).partition("|")
    if not bar or not said.strip():
        raise InvalidFields({"text": "must be TTS|VOICE|text; VOICE may be empty"})
    return Speech(said, voice=voice)


class _taken:  # noqa: N801 - a context
    """A number or a PIN that is somebody's already, as whoever asked may be told."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, Duplicate):
            return
        if error.constraint == "room_accesses_pin":
            raise StateConflict("the room has an access with this PIN already") from None
        raise StateConflict("a number belongs to another room already") from None


def _there(room: Room | None) -> Room:
    if room is None:
        raise NotFound("no room has this id")
    return room


# -- accesses ----------------------------------------------------------------------------------------------------------


async def add_access(
    ctx: Context, account: Account, key: str, fields: Mapping[str, Any], idempotent: Key | None = None
) -> Access:
    """Raises NotFound, InvalidFields, StateConflict."""
    room = await show(ctx, account.account, key)
    access = _access(account, room, token("RA"), fields, ctx.now())

    async def act() -> None:
        with _taken():
            await ctx.rooms.store.add_access(access)

    async def happened(answer: Mapping[str, Any]) -> bool:
        held = await ctx.rooms.store.find(account.account, room.id)
        return held is not None and any(each.id == answer["id"] for each in held.accesses)

    answer = await once(ctx, account.account, idempotent, {"id": access.id}, act=act, happened=happened)
    return await show_access(ctx, account.account, room.id, answer["id"])


async def show_access(ctx: Context, account: str, key: str, access_id: str) -> Access:
    """Raises NotFound."""
    room = await show(ctx, account, key)
    for access in room.accesses:
        if access.id == access_id:
            return access
    raise NotFound("the room has no access with this id")


async def change_access(
    ctx: Context, account: Account, key: str, access_id: str, fields: Mapping[str, Any]
) -> Access:  # fmt: skip
    for _ in range(TRIES):
        room = await show(ctx, account.account, key)
        held = await show_access(ctx, account.account, room.id, access_id)
        changed = _access(account, room, held.id, fields, held.created_at, held=held)
        with _taken():
            if await ctx.rooms.store.change_access(changed):
                break
    else:
        raise StateConflict(_BUSY)
    return await show_access(ctx, account.account, room.id, access_id)


async def remove_access(ctx: Context, account: str, key: str, access_id: str) -> None:
    """Whoever came in by it stays."""
    access = await show_access(ctx, account, key, access_id)
    if not await ctx.rooms.store.remove_access(access.room, access.id):
        raise NotFound("the room has no access with this id")


def _access(
    account: Account,
    room: Room,
    access_id: str,
    fields: Mapping[str, Any],
    now: datetime,
    *,
    held: Access | None = None,
) -> Access:
    base = held or Access(access_id, room.id, "", "GUEST", "", None, None, 0, None, now, now)
    given: dict[str, Any] = {
        name: fields[name] for name in ("label", "level", "pin", "max_duration") if fields.get(name) is not None
    }
    if "date_expiration" in fields and fields["date_expiration"] is not None:
        given["date_expiration"] = fields["date_expiration"] or None
    for name in ("phone_number", "number"):
        if fields.get(name) is not None:
            given[name] = _digits(account, name, fields[name]) if fields[name] else None
    access = replace(base, **given)
    if access.number is not None and access.number not in (*room.numbers, room.number):
        raise InvalidFields({"number": "must be one of the room's numbers"})
    return access


def _digits(account: Account, name: str, text: str) -> str:
    try:
        return normalize(text, country=account.country)
    except BadNumber as error:
        raise InvalidFields({name: str(error)}) from None
