"""/api/rooms/{room_id}/…: who is in a room, what is done to them, and what happened."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.api.room_fields import ANNOUNCE, EVENTS, HISTORY, INVITE, MEMBER, MEMBER_ID, MEMBERS, ROOM_ID
from engine.api.room_views import (
    EVENT_EXAMPLE,
    EVENT_SCHEMA,
    HISTORY_EXAMPLE,
    HISTORY_SCHEMA,
    MEMBER_EXAMPLE,
    MEMBER_SCHEMA,
    event_view,
    history_view,
    member_view,
)
from engine.api.route import Answer, Ask, Route
from engine.commands import room_members
from engine.errors import InvalidFields
from engine.store.port import RoomFilter, RoomMember


async def listed(ask: Ask) -> Mapping[str, Any]:
    _, found = await room_members.members(ask.ctx, ask.name, ask.path("room_id"))
    return {"members": [member_view(each) for each in found]}


async def show(ask: Ask) -> Mapping[str, Any]:
    _, found = await room_members.member(ask.ctx, ask.name, ask.path("room_id"), ask.path("member_id"))
    return {"member": member_view(found)}


def _wanted(ask: Ask) -> dict[str, bool | None]:
    wanted = {name: ask.fields[name] for name in ("muted", "paused")}
    if all(each is None for each in wanted.values()):
        raise InvalidFields(dict.fromkeys(wanted, "one of the two is required"))
    return wanted


async def change(ask: Ask) -> Mapping[str, Any]:
    room_id, member_id = ask.path("room_id"), ask.path("member_id")
    changed = await room_members.change_member(ask.ctx, ask.name, room_id, member_id, **_wanted(ask))
    return {"id": changed.id, "member": member_view(changed)}


async def change_all(ask: Ask) -> Mapping[str, Any]:
    room_id, level = ask.path("room_id"), ask.fields["level"]
    changed = await room_members.change_all(ask.ctx, ask.name, room_id, **_wanted(ask), level=level)
    return {"members": [member_view(each) for each in changed]}


async def kick(ask: Ask) -> Mapping[str, Any]:
    member_id = ask.path("member_id")
    await room_members.kick(ask.ctx, ask.name, ask.path("room_id"), member_id)
    return {"id": member_id, "message": "member removed successfully"}


async def kick_all(ask: Ask) -> Mapping[str, Any]:
    count = await room_members.kick_all(ask.ctx, ask.name, ask.path("room_id"))
    return {"removed": count, "message": f"({count}) members removed successfully"}


async def invite(ask: Ask) -> Mapping[str, Any]:
    wanted = room_members.Invite(**ask.fields)
    return await room_members.invite(ask.ctx, ask.identity, ask.path("room_id"), wanted, await ask.key())


async def announce(ask: Ask) -> Mapping[str, Any]:
    fields = ask.fields
    room_id = ask.path("room_id")
    await room_members.announce(
        ask.ctx, ask.name, room_id, media=fields["media"], text=fields["text"], voice=fields["voice"]
    )
    return {"id": room_id, "message": "announcement started successfully"}


async def start_recording(ask: Ask) -> Mapping[str, Any]:
    return {"recording_name": await room_members.start_recording(ask.ctx, ask.name, ask.path("room_id"))}


async def stop_recording(ask: Ask) -> Mapping[str, Any]:
    return {"recording_name": await room_members.stop_recording(ask.ctx, ask.name, ask.path("room_id"))}


def _filter(ask: Ask) -> RoomFilter:
    return RoomFilter(ask.fields["action"], ask.fields["member_id"], ask.fields["access_id"])


async def events(ask: Ask) -> Mapping[str, Any]:
    room_id, limit, after = ask.path("room_id"), ask.fields["limit"], ask.fields["cursor"]
    found, following, (total, items) = await room_members.events(
        ask.ctx, ask.name, room_id, _filter(ask), limit=limit, after=after
    )
    view = [event_view(each) for each in found]
    return {"events": view, "next": following, "total": total, "total_items": items}


async def history(ask: Ask) -> Mapping[str, Any]:
    room_id, limit, after = ask.path("room_id"), ask.fields["limit"], _after(ask.fields["cursor"])
    found, last, (total, items) = await room_members.history(
        ask.ctx, ask.name, room_id, _filter(ask), limit=limit, after=after
    )
    view = [history_view(each) for each in found]
    return {"history": view, "next": _cursor(last) if last else None, "total": total, "total_items": items}


def _cursor(last: RoomMember) -> str:
    return f"{last.joined_at.isoformat()}_{last.id}"


def _after(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    at, _, member = cursor.partition("_")
    try:
        found = datetime.fromisoformat(at.replace(" ", "+"))
        if found.tzinfo is not None and member:
            return found.astimezone(UTC), member
    except (ValueError, OverflowError):
        pass
    raise InvalidFields({"cursor": "is not one that a page gave"})


_TEXT, _COUNT = {"type": "string"}, {"type": "integer"}
_COUNTS = {"total": _COUNT, "total_items": _COUNT}
_MEMBERS = Answer(
    "Who is in it, in the order in which they came",
    {"members": {"type": "array", "items": MEMBER_SCHEMA}},
    {"members": [MEMBER_EXAMPLE]},
)
_RECORDING = Answer(
    "The recording's name, for `GET /api/recordings/{recording_name}`",
    {"recording_name": _TEXT},
    {"recording_name": "room-8000-5c31a0b2.wav"},
)
_ONE, _ROOM = (ROOM_ID, MEMBER_ID), (ROOM_ID,)

ROUTES = (
    Route(
        "GET", "/api/rooms/{room_id}/members", "Who is in the room, or on the way into it", listed, scope="read",
        parameters=_ROOM, errors=(404, 503), answers={200: _MEMBERS},
    ),
    Route(
        "PATCH", "/api/rooms/{room_id}/members", "Mute or pause everybody in the room, at once", change_all, scope="call",
        body=MEMBERS, parameters=_ROOM, errors=(404, 409, 503), answers={200: _MEMBERS},
    ),
    Route(
        "DELETE", "/api/rooms/{room_id}/members", "Let everybody go", kick_all, scope="call", parameters=_ROOM,
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "They have left",
                {"removed": _COUNT, "message": _TEXT},
                {"removed": 2, "message": "(2) members removed successfully"},
            )
        },
    ),
    Route(
        "GET", "/api/rooms/{room_id}/members/{member_id}", "One of them", show, scope="read", parameters=_ONE,
        errors=(404, 503), answers={200: Answer("The member", {"member": MEMBER_SCHEMA}, {"member": MEMBER_EXAMPLE})},
    ),
    Route(
        "PATCH", "/api/rooms/{room_id}/members/{member_id}", "Mute or pause one, or undo it", change, scope="call",
        body=MEMBER, parameters=_ONE, errors=(404, 409, 503),
        answers={
            200: Answer(
                "As it is now",
                {"id": _TEXT, "member": MEMBER_SCHEMA},
                {"id": MEMBER_EXAMPLE["id"], "member": MEMBER_EXAMPLE},
            )
        },
    ),
    Route(
        "DELETE", "/api/rooms/{room_id}/members/{member_id}", "Let one go: the call ends", kick, scope="call",
        parameters=_ONE, errors=(404, 409, 503),
        answers={
            200: Answer(
                "The member has left",
                {"id": _TEXT, "message": _TEXT},
                {"id": MEMBER_EXAMPLE["id"], "message": "member removed successfully"},
            )
        },
    ),
    Route(
        "POST", "/api/rooms/{room_id}/calls", "Have the room call somebody", invite, scope="call", body=INVITE, creates=True,
        parameters=_ROOM, errors=(404, 409, 503),
        answers={
            200: Answer(
                "The call is under way; `member_id` is who is expected",
                {"request_id": _TEXT, "member_id": _TEXT},
                {"request_id": "57362de4f0", "member_id": MEMBER_EXAMPLE["id"]},
            )
        },
    ),
    Route(
        "POST", "/api/rooms/{room_id}/announce", "Play a sound, or speak a text, to all in the room", announce, scope="call",
        body=ANNOUNCE, parameters=_ROOM, errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is being played",
                {"id": _TEXT, "message": _TEXT},
                {"id": "8000", "message": "announcement started successfully"},
            )
        },
    ),
    Route(
        "POST", "/api/rooms/{room_id}/recording", "Begin to record the room", start_recording, scope="call",
        parameters=_ROOM, errors=(404, 409, 503), answers={200: _RECORDING},
    ),
    Route(
        "DELETE", "/api/rooms/{room_id}/recording", "End the recording", stop_recording, scope="call", parameters=_ROOM,
        errors=(404, 409, 503), answers={200: _RECORDING},
    ),
    Route(
        "GET", "/api/rooms/{room_id}/events", "What happened in the room, in order", events, scope="read", query=EVENTS,
        parameters=_ROOM, errors=(404, 503),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last; `total` of all, `total_items` of those asked for",
                {"events": {"type": "array", "items": EVENT_SCHEMA}, "next": {"type": ["integer", "null"]}, **_COUNTS},
                {"events": [EVENT_EXAMPLE], "next": None, "total": 12, "total_items": 1},
            )
        },
    ),
    Route(
        "GET", "/api/rooms/{room_id}/history", "Who was in the room, in the order in which they came", history, scope="read",
        query=HISTORY, parameters=_ROOM, errors=(404, 503),
        answers={
            200: Answer(
                "A page, as of events",
                {"history": {"type": "array", "items": HISTORY_SCHEMA}, "next": {"type": ["string", "null"]}, **_COUNTS},
                {"history": [HISTORY_EXAMPLE], "next": None, "total": 5, "total_items": 1},
            )
        },
    ),
)  # fmt: skip
