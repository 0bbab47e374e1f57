"""Conference rooms as the API shows them; where the conference documents have an object, its names are there too."""

from datetime import UTC, datetime
from typing import Any

from engine.api.views import iso
from engine.calls.rooms import MEDIA, Access, Room
from engine.sessions.rooms import LiveRoom, Member
from engine.store.port import RoomEvent, RoomMember


def stamp(at: datetime | None) -> str | None:
    """The documents' ``2012-04-24 23:42:00``, UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def room_view(room: Room, live: LiveRoom | None) -> dict[str, Any]:
    return {
        "id": room.id,
        "name": room.name,
        "number": room.number,
        "numbers": list(room.numbers),
        "open": room.open,
        "locked": room.locked,
        "recording": room.recording,
        "limits": {
            "max_connected": room.max_connected,
            "max_duration": room.max_duration,
            "date_expiration": iso(room.date_expiration),
        },
        "media": {name: room.media.get(name) for name in MEDIA},
        "accesses": [access_view(access) for access in room.accesses],
        "live": {
            "connected": len(live.inside()) if live else 0,
            "since": iso(live.began_at) if live else None,
            "recording": live is not None and live.recording is not None,
            "recording_name": live.recording if live else None,
        },
        "created_at": iso(room.created_at),
        "updated_at": iso(room.updated_at),
    }


def access_view(access: Access) -> dict[str, Any]:
    return {
        "id": access.id,
        "room_id": access.room,
        "label": access.label,
        "level": access.level,
        "pin": access.pin,
        "phone_number": access.phone_number,
        "number": access.number,
        "max_duration": access.max_duration,
        "date_expiration": iso(access.date_expiration),
        "created_at": iso(access.created_at),
        "updated_at": iso(access.updated_at),
    }


def member_view(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "number": member.number,
        "level": member.level,
        "status": member.status,
        "muted": member.muted,
        "paused": member.paused,
        "talking": member.talking,
        "joined_at": iso(member.joined_at),
        "direction": member.direction,
        "access_id": member.access_id,
        "access_label": member.access_label,
        "request_id": member.session.call.request_id,
    }


def event_view(event: RoomEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "action": event.action,
        "at": iso(event.at),
        "date": stamp(event.at),
        "from": event.origin,
        "connected_count": event.connected_count,
        "connected_hash": event.member,
        "room_access_hash": event.access_id,
        "room_access_label": event.access_label,
        "data": dict(event.data),
    }


def history_view(member: RoomMember) -> dict[str, Any]:
    left = member.left_at or member.joined_at
    return {
        "id": member.id,
        "number": member.number,
        "level": member.level,
        "joined_at": iso(member.joined_at),
        "left_at": iso(member.left_at),
        "request_id": member.request_id,
        "hash": member.id,
        "phone_number": member.number,
        "direction": member.direction,
        "date_connection": stamp(member.joined_at),
        "duration": f"{(left - member.joined_at).total_seconds():.0f}",
        "last_status": member.last_status,
        "muted": member.muted,
        "paused": member.paused,
        "called": member.called,
        "room_hash": member.room,
        "room_access_hash": member.access_id,
        "room_access_label": member.access_label,
        "room_access_level": member.level,
    }


_TEXT, _FLAG, _COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
_TIME = {"type": "string", "format": "date-time"}
_MAYBE, _MAYBE_TIME = {"type": ["string", "null"]}, {"type": ["string", "null"], "format": "date-time"}
_LEVEL = {"type": "string", "enum": ["ADMIN", "GUEST"]}
_SEEN = "2026-11-22T00:20:52.123Z"
_MEMBER_ID = "5f3a0b0e-6a55-4c39-9e0e-1f5d3c1a7b42"


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


ACCESS_SCHEMA = _object(
    id=_TEXT, room_id=_TEXT, label=_TEXT, level=_LEVEL, pin=_TEXT, phone_number=_MAYBE, number=_MAYBE, max_duration=_COUNT,
    date_expiration=_MAYBE_TIME, created_at=_TIME, updated_at=_TIME,
)  # fmt: skip
ROOM_SCHEMA = _object(
    id=_TEXT, name=_TEXT, number=_MAYBE, numbers={"type": "array", "items": _TEXT}, open=_FLAG, locked=_FLAG,
    recording={"type": "string", "enum": ["AUTO", "MANUAL", "OFF"]},
    limits=_object(max_connected=_COUNT, max_duration=_COUNT, date_expiration=_MAYBE_TIME),
    media=_object(**dict.fromkeys(MEDIA, _MAYBE)), accesses={"type": "array", "items": ACCESS_SCHEMA},
    live=_object(connected=_COUNT, since=_MAYBE_TIME, recording=_FLAG, recording_name=_MAYBE), created_at=_TIME,
    updated_at=_TIME,
)  # fmt: skip
MEMBER_SCHEMA = _object(
    id=_TEXT, number=_TEXT, level=_LEVEL,
    status={"type": "string", "enum": ["CONNECTING", "CONNECTED", "DISCONNECTING", "DISCONNECTED"]}, muted=_FLAG, paused=_FLAG,
    talking=_FLAG, joined_at=_MAYBE_TIME, direction={"type": "string", "enum": ["IN", "OUT"]}, access_id=_MAYBE,
    access_label=_TEXT, request_id=_TEXT,
)  # fmt: skip
EVENT_SCHEMA = _object(
    id=_COUNT, action=_TEXT, at=_TIME, date=_TEXT, **{"from": {"type": "string", "enum": ["PHONE", "WEB"]}},
    connected_count=_COUNT, connected_hash=_MAYBE, room_access_hash=_MAYBE, room_access_label=_MAYBE, data={"type": "object"},
)  # fmt: skip
HISTORY_SCHEMA = _object(
    id=_TEXT, number=_TEXT, level=_LEVEL, joined_at=_TIME, left_at=_MAYBE_TIME, request_id=_TEXT, hash=_TEXT,
    phone_number=_TEXT, direction=_TEXT, date_connection=_TEXT, duration=_TEXT, last_status=_TEXT, muted=_FLAG, paused=_FLAG,
    called=_TEXT, room_hash=_TEXT, room_access_hash=_MAYBE, room_access_label=_TEXT, room_access_level=_LEVEL,
)  # fmt: skip
ACCESS_EXAMPLE = {
    "id": "RA0123456789", "room_id": "RM0123456789", "label": "guests", "level": "GUEST", "pin": "1234", "phone_number": None,
    "number": None, "max_duration": 0, "date_expiration": None, "created_at": _SEEN, "updated_at": _SEEN,
}  # fmt: skip
ROOM_EXAMPLE = {
    "id": "RM0123456789", "name": "Board", "number": "8001", "numbers": [], "open": True, "locked": False,
    "recording": "MANUAL", "limits": {"max_connected": 25, "max_duration": 0, "date_expiration": None},
    "media": dict.fromkeys(MEDIA), "accesses": [ACCESS_EXAMPLE],
    "live": {"connected": 2, "since": _SEEN, "recording": False, "recording_name": None}, "created_at": _SEEN,
    "updated_at": _SEEN,
}  # fmt: skip
MEMBER_EXAMPLE = {
    "id": _MEMBER_ID, "number": "919979270001", "level": "GUEST", "status": "CONNECTED", "muted": False, "paused": False,
    "talking": True, "joined_at": _SEEN, "direction": "IN", "access_id": "RA0123456789", "access_label": "guests",
    "request_id": "57362de4f0",
}  # fmt: skip
EVENT_EXAMPLE = {
    "id": 17, "action": "ENTER_ROOM", "at": _SEEN, "date": "2026-11-22 00:20:52", "from": "PHONE", "connected_count": 2,
    "connected_hash": _MEMBER_ID, "room_access_hash": "RA0123456789", "room_access_label": "guests", "data": {},
}  # fmt: skip
HISTORY_EXAMPLE = {
    "id": _MEMBER_ID, "number": "919979270001", "level": "GUEST", "joined_at": _SEEN, "left_at": "2026-11-22T00:25:52.123Z",
    "request_id": "57362de4f0", "hash": _MEMBER_ID, "phone_number": "919979270001", "direction": "IN",
    "date_connection": "2026-11-22 00:20:52", "duration": "300", "last_status": "CONNECTED", "muted": False, "paused": False,
    "called": "15557000002", "room_hash": "RM0123456789", "room_access_hash": "RA0123456789", "room_access_label": "guests",
    "room_access_level": "GUEST",
}  # fmt: skip
