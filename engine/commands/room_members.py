"""Who is in a conference room, and what is done to them; calls out of it; its logs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, normalize
from engine.calls.rooms import OFF, WEB, Room, closed, refused
from engine.commands import refusals
from engine.commands.calls import kept
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.placing import new_call, pass_gate
from engine.commands.rooms import TTS, show, tell, unplayable
from engine.controls import rooms as controls
from engine.errors import Forbidden, InvalidFields, NotFound, StateConflict, TelephonyError, Unavailable
from engine.ids import leg_id
from engine.sessions.inbox import Order
from engine.sessions.rooms import LiveRoom, Member
from engine.store.port import RoomEvent, RoomFilter, RoomMember

FLOW = "conference_call"

# -- who is in it ------------------------------------------------------------------------------------------------------


async def members(ctx: Context, account: str, key: str) -> tuple[Room, list[Member]]:
    room = await show(ctx, account, key)
    live = ctx.rooms.live.get(room.id)
    return room, live.present() if live is not None else []


async def member(ctx: Context, account: str, key: str, member_id: str) -> tuple[LiveRoom, Member]:
    """Raises NotFound when nobody in the room has this id."""
    room = await show(ctx, account, key)
    live = ctx.rooms.live.get(room.id)
    found = live.members.get(member_id) if live is not None else None
    if live is None or found is None or not found.leg.alive:
        raise NotFound("nobody in the room has this id")
    return live, found


async def change_member(
    ctx: Context, account: str, key: str, member_id: str, *, muted: bool | None, paused: bool | None
) -> Member:
    """Raises NotFound, StateConflict (not in the room yet, or ending), Unavailable."""
    live, found = await member(ctx, account, key, member_id)
    if not found.inside:
        raise StateConflict("the member is not connected yet")
    await controls.give(controls.change(live, found, muted=muted, paused=paused))
    return found


async def change_all(
    ctx: Context, account: str, key: str, *, muted: bool | None, paused: bool | None, level: str | None
) -> list[Member]:
    """Everybody who is in the room (of one level), at once. Who leaves meanwhile is passed over."""
    room, found = await members(ctx, account, key)
    live = ctx.rooms.live.get(room.id)
    wanted = [each for each in found if each.inside and level in (None, each.level)]
    if live is not None:
        await _each([controls.change(live, each, muted=muted, paused=paused) for each in wanted])
    return [each for each in wanted if each.leg.alive]


async def kick(ctx: Context, account: str, key: str, member_id: str) -> None:
    live, found = await member(ctx, account, key, member_id)
    await controls.give(controls.kick(live, found))
    await ctx.journal.committed()


async def kick_all(ctx: Context, account: str, key: str) -> int:
    room, found = await members(ctx, account, key)
    live = ctx.rooms.live.get(room.id)
    if live is not None:
        await _each([controls.kick(live, each) for each in found])
        await ctx.journal.committed()
    return len(found)


async def _each(orders: Sequence[Order]) -> None:
    done = await asyncio.gather(*(controls.give(order) for order in orders), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException) and not isinstance(outcome, NotFound | StateConflict):
            raise outcome


# -- calls out ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Invite:
    """``number`` as a caller writes it, or ``access_id``: the phone number of that access, with its level. ``confirm`` None:
    when the room has a question for it."""

    number: str | None = None
    access_id: str | None = None
    caller_id: str | None = None
    level: str | None = None
    label: str | None = None
    max_duration: int | None = None
    confirm: bool | None = None


async def invite(
    ctx: Context, identity: Identity, key: str, wanted: Invite, idempotent: Key | None = None
) -> Mapping[str, str]:
    """Have the room call somebody; ``request_id`` and ``member_id``, when the call is committed. Raises NotFound,
    InvalidFields, Forbidden (gate), StateConflict (closed, expired, full), Unavailable."""
    account = identity.account
    room = await show(ctx, account.account, key)
    params = _params(account, room, wanted)
    _refuse(ctx, room, params["level"])
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        ctx.engine.accepting()
        call = new_call(ctx, account.account, request_id, FLOW, params)
        try:
            pass_gate(ctx, account, [params["customer_number"]], params["caller_id"])
        except Forbidden as refusal:
            await refusals.record(ctx, call, refusal)
            raise
        await ctx.engine.start_call(call)

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account.account, answer["request_id"])

    answer = await once(ctx, account.account, idempotent, {"request_id": request_id}, act=act, happened=happened)
    made = str(answer["request_id"])
    return {"request_id": made, "member_id": leg_id(made, 1)}


def _refuse(ctx: Context, room: Room, level: str) -> None:
    """The API is the room's owner: a lock does not keep it out. Raises StateConflict."""
    live = ctx.rooms.live.get(room.id)
    connected = live.connected() if live is not None else 0
    reason = closed(room, ctx.now()) or refused(replace(room, locked=False), level, connected, ctx.now())
    if reason:
        raise StateConflict(f"the room is {reason}")


def _params(account: Account, room: Room, wanted: Invite) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    access = next((each for each in room.accesses if each.id == wanted.access_id), None)
    if wanted.access_id is not None and access is None:
        raise InvalidFields({"access_id": "the room has no access with this id"})
    number = wanted.number or (access.phone_number if access else None)
    if number is None:
        raise InvalidFields(
            {"access_id": "has no phone number"} if access else {"number": "is required, or an access_id"}
        )  # fmt: skip
    digits = {"number": number, "caller_id": wanted.caller_id or min(account.caller_ids, default="")}
    for name, text in digits.items():
        try:
            digits[name] = normalize(text, country=account.country)
        except BadNumber as error:
            wrong[name] = str(error)
    if wrong:
        raise InvalidFields(wrong)
    label = wanted.label if wanted.label is not None else (access.label if access else "")
    longest = wanted.max_duration if wanted.max_duration is not None else (access.max_duration if access else 0)
    return {
        "room": room.id,
        "customer_number": digits["number"],
        "caller_id": digits["caller_id"],
        "level": wanted.level or (access.level if access else "GUEST"),
        "label": label,
        "access_id": access.id if access else None,
        "max_duration": longest,
        "confirm": bool(room.media.get("out_confirm")) if wanted.confirm is None else wanted.confirm,
    }


# -- what all hear -----------------------------------------------------------------------------------------------------


async def announce(ctx: Context, account: str, key: str, *, media: str | None, text: str | None, voice: str) -> None:
    """Play a sound, or speak a text, to everybody in the room. Raises NotFound, InvalidFields, StateConflict."""
    if (media is None) == (text is None):
        raise InvalidFields({"media": "name a media or a text, one of the two"})
    said = media if media is not None else f"{TTS}{voice}|{text}"
    if reason := await unplayable(ctx, account, said):
        raise InvalidFields({"text" if media is None else "media": reason})
    live, speaker = await _speaker(ctx, account, key)
    await ctx.rooms.stay.announce(live, speaker, said)
    await tell(ctx, live.room, "room.announced", media=media, text=text)


async def start_recording(ctx: Context, account: str, key: str) -> str:
    """The recording's name. Raises NotFound, StateConflict (off, under way, nobody there), Unavailable."""
    live, speaker = await _speaker(ctx, account, key)
    if live.room.recording == OFF:
        raise StateConflict("recording is off for this room")
    if live.recording is not None:
        raise StateConflict("the room is being recorded already")
    try:
        name = await ctx.rooms.stay.record(live, speaker, origin=WEB)
    except TelephonyError as error:
        raise Unavailable("the room can't be recorded now") from error
    await speaker.session.committed()
    return name


async def stop_recording(ctx: Context, account: str, key: str) -> str:
    live, speaker = await _speaker(ctx, account, key)
    name = await ctx.rooms.stay.stop_recording(live, speaker, origin=WEB)
    if name is None:
        raise StateConflict("the room is not being recorded")
    return name


async def _speaker(ctx: Context, account: str, key: str) -> tuple[LiveRoom, Member]:
    """The room and one of its members, whose call hears of what is played. Raises NotFound, StateConflict."""
    room = await show(ctx, account, key)
    live = ctx.rooms.live.get(room.id)
    inside = live.inside() if live is not None else []
    if live is None or not inside:
        raise StateConflict("nobody is in the room")
    return live, inside[0]


# -- logs --------------------------------------------------------------------------------------------------------------


async def events(
    ctx: Context, account: str, key: str, wanted: RoomFilter, *, limit: int, after: int | None
) -> tuple[list[RoomEvent], int | None, tuple[int, int]]:
    """A page of the log, the cursor of the next, (all, wanted)."""
    room = await show(ctx, account, key)
    found, total, items = await ctx.rooms.store.events(room.id, wanted, limit=limit + 1, after=after)
    return found[:limit], found[limit - 1].id if len(found) > limit else None, (total, items)


async def history(
    ctx: Context, account: str, key: str, wanted: RoomFilter, *, limit: int, after: tuple[datetime, str] | None
) -> tuple[list[RoomMember], RoomMember | None, tuple[int, int]]:
    room = await show(ctx, account, key)
    found, total, items = await ctx.rooms.store.history(room.id, wanted, limit=limit + 1, after=after)
    return found[:limit], found[limit - 1] if len(found) > limit else None, (total, items)
