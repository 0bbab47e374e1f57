"""/api/rooms: conference rooms and their accesses."""

from collections.abc import Mapping
from typing import Any

from engine.api.fields import Field
from engine.api.room_fields import ACCESS, ACCESS_ID, CHANGES, PAGE, ROOM, ROOM_ID
from engine.api.room_views import (
    ACCESS_EXAMPLE,
    ACCESS_SCHEMA,
    ROOM_EXAMPLE,
    ROOM_SCHEMA,
    access_view,
    room_view,
)
from engine.api.route import Answer, Ask, Route
from engine.calls.rooms import Room
from engine.commands import rooms


def _view(ask: Ask, room: Room) -> dict[str, Any]:
    return room_view(room, ask.ctx.rooms.live.get(room.id))


async def create(ask: Ask) -> Mapping[str, Any]:
    made = await rooms.create(ask.ctx, ask.account, ask.fields, await ask.key())
    return {"id": made.id, "room": _view(ask, made)}


async def listed(ask: Ask) -> Mapping[str, Any]:
    page, following = await rooms.page(ask.ctx, ask.name, limit=ask.fields["limit"], after=ask.fields["cursor"])
    return {"rooms": [_view(ask, each) for each in page], "next": following}


async def show(ask: Ask) -> Mapping[str, Any]:
    return {"room": _view(ask, await rooms.show(ask.ctx, ask.name, ask.path("room_id")))}


async def change(ask: Ask) -> Mapping[str, Any]:
    changed = await rooms.change(ask.ctx, ask.account, ask.path("room_id"), ask.fields)
    return {"id": changed.id, "room": _view(ask, changed)}


async def remove(ask: Ask) -> Mapping[str, Any]:
    gone = await rooms.remove(ask.ctx, ask.name, ask.path("room_id"))
    return {"id": gone, "message": "room deleted successfully"}


async def add_access(ask: Ask) -> Mapping[str, Any]:
    made = await rooms.add_access(ask.ctx, ask.account, ask.path("room_id"), ask.fields, await ask.key())
    return {"id": made.id, "access": access_view(made)}


async def accesses(ask: Ask) -> Mapping[str, Any]:
    room = await rooms.show(ask.ctx, ask.name, ask.path("room_id"))
    return {"accesses": [access_view(each) for each in room.accesses], "next": None}


async def show_access(ask: Ask) -> Mapping[str, Any]:
    found = await rooms.show_access(ask.ctx, ask.name, ask.path("room_id"), ask.path("access_id"))
    return {"access": access_view(found)}


async def change_access(ask: Ask) -> Mapping[str, Any]:
    room_id, access_id = ask.path("room_id"), ask.path("access_id")
    changed = await rooms.change_access(ask.ctx, ask.account, room_id, access_id, ask.fields)
    return {"id": changed.id, "access": access_view(changed)}


async def remove_access(ask: Ask) -> Mapping[str, Any]:
    access_id = ask.path("access_id")
    await rooms.remove_access(ask.ctx, ask.name, ask.path("room_id"), access_id)
    return {"id": access_id, "message": "access deleted successfully"}


_TEXT = {"type": "string"}
_GONE = {"id": _TEXT, "message": _TEXT}
_ROOM = Answer("The room", {"room": ROOM_SCHEMA}, {"room": ROOM_EXAMPLE})
_ROOM_MADE = Answer("The room", {"id": _TEXT, "room": ROOM_SCHEMA}, {"id": ROOM_EXAMPLE["id"], "room": ROOM_EXAMPLE})
_ACCESS = Answer("The access", {"access": ACCESS_SCHEMA}, {"access": ACCESS_EXAMPLE})
_ACCESS_MADE = Answer(
    "The access", {"id": _TEXT, "access": ACCESS_SCHEMA}, {"id": ACCESS_EXAMPLE["id"], "access": ACCESS_EXAMPLE}
)  # fmt: skip
_NEXT = {"type": ["string", "null"]}
_IN_ROOM: tuple[Field, ...] = (ROOM_ID,)
_OF_ACCESS: tuple[Field, ...] = (ROOM_ID, ACCESS_ID)

ROUTES = (
    Route(
        "POST", "/api/rooms", "Make a conference room", create, scope="admin", body=ROOM, creates=True, errors=(409, 503),
        answers={200: _ROOM_MADE},
    ),
    Route(
        "GET", "/api/rooms", "Conference rooms of the account, by id", listed, scope="read", query=PAGE, errors=(503,),
        answers={
            200: Answer(
                "A page; `next` is the cursor of the following one, null on the last",
                {"rooms": {"type": "array", "items": ROOM_SCHEMA}, "next": _NEXT},
                {"rooms": [ROOM_EXAMPLE], "next": None},
            )
        },
    ),
    Route(
        "GET", "/api/rooms/{room_id}", "A conference room, with what goes on in it", show, scope="read", parameters=_IN_ROOM,
        errors=(404, 503), answers={200: _ROOM},
    ),
    Route(
        "PATCH", "/api/rooms/{room_id}", "Change a room: open and close, lock, limits, media; what is not named stays", change,
        scope="admin", body=CHANGES, parameters=_IN_ROOM, errors=(404, 409, 503), answers={200: _ROOM_MADE},
    ),
    Route(
        "DELETE", "/api/rooms/{room_id}", "Delete a room with its logs; whoever is in it is let go", remove, scope="admin",
        parameters=_IN_ROOM, errors=(404, 503),
        answers={200: Answer("It is gone", _GONE, {"id": "RM0123456789", "message": "room deleted successfully"})},
    ),
    Route(
        "POST", "/api/rooms/{room_id}/accesses", "Make a way into the room", add_access, scope="admin", body=ACCESS,
        creates=True, parameters=_IN_ROOM, errors=(404, 409, 503), answers={200: _ACCESS_MADE},
    ),
    Route(
        "GET", "/api/rooms/{room_id}/accesses", "Ways into the room, in the order in which they were made", accesses,
        scope="read", parameters=_IN_ROOM, errors=(404, 503),
        answers={
            200: Answer(
                "All of them; `next` is null",
                {"accesses": {"type": "array", "items": ACCESS_SCHEMA}, "next": _NEXT},
                {"accesses": [ACCESS_EXAMPLE], "next": None},
            )
        },
    ),
    Route(
        "GET", "/api/rooms/{room_id}/accesses/{access_id}", "One way into the room", show_access, scope="read",
        parameters=_OF_ACCESS, errors=(404, 503), answers={200: _ACCESS},
    ),
    Route(
        "PATCH", "/api/rooms/{room_id}/accesses/{access_id}", "Change it; what is not named stays, and so does who came by it",
        change_access, scope="admin", body=ACCESS, parameters=_OF_ACCESS, errors=(404, 409, 503),
        answers={200: _ACCESS_MADE},
    ),
    Route(
        "DELETE", "/api/rooms/{room_id}/accesses/{access_id}", "Delete it; who came by it stays", remove_access,
        scope="admin", parameters=_OF_ACCESS, errors=(404, 503),
        answers={200: Answer("It is gone", _GONE, {"id": "RA0123456789", "message": "access deleted successfully"})},
    ),
)  # fmt: skip
