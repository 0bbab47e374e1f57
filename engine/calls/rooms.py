"""Conference rooms: what they are, and who may enter. Pure: the facts are handed in, the answer is a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.calls.events import Event, Kind

ADMIN, GUEST = "ADMIN", "GUEST"
LEVELS = (ADMIN, GUEST)
AUTO, MANUAL, OFF = "AUTO", "MANUAL", "OFF"
RECORDING = (AUTO, MANUAL, OFF)
PHONE, WEB = "PHONE", "WEB"
"""Where an event of a room came from."""
MEDIA = ("alone", "bridge", "max_duration_reached", "out_confirm", "out_welcome", "pin_ask", "pin_invalid", "welcome")
"""What a room may play, in the words of the conference documents."""
LONGEST_PIN = 8
PIN_TRIES = 3


@dataclass(frozen=True, slots=True)
class Access:
    """A way into a room. ``phone_number``: for callers of that number alone; ``number``: for calls to that number of the
    room alone. ``max_duration`` in seconds, 0: as long as the call may last."""

    id: str
    room: str
    label: str
    level: str
    pin: str
    phone_number: str | None
    number: str | None
    max_duration: int
    date_expiration: datetime | None
    created_at: datetime
    updated_at: datetime

    def expired(self, now: datetime) -> bool:
        return self.date_expiration is not None and self.date_expiration <= now


@dataclass(frozen=True, slots=True)
class Room:
    """``number`` is what phones of the account dial, ``numbers`` the inbound ones. Limits of 0 are none; seconds."""

    id: str
    account: str
    name: str
    number: str | None
    numbers: tuple[str, ...]
    open: bool
    locked: bool
    recording: str
    max_connected: int
    max_duration: int
    date_expiration: datetime | None
    media: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    accesses: tuple[Access, ...] = ()

    def expired(self, now: datetime) -> bool:
        return self.date_expiration is not None and self.date_expiration <= now


def closed(room: Room, now: datetime) -> str | None:
    """Why nobody at all may enter, or None."""
    if not room.open:
        return "closed"
    return "expired" if room.expired(now) else None


def refused(room: Room, level: str, connected: int, now: datetime) -> str | None:
    """Why somebody of ``level`` may not enter beside the ``connected`` ones, or None. An ADMIN passes a lock and a full
    room."""
    if reason := closed(room, now):
        return reason
    if level == ADMIN:
        return None
    if room.locked:
        return "locked"
    return "full" if 0 < room.max_connected <= connected else None


def fitting(room: Room, caller: str, called: str, now: datetime) -> tuple[Access, ...]:
    """Accesses that a call may use, the most particular first: those of the caller's number, those of the number that was
    called, the rest."""
    found = [
        access
        for access in room.accesses
        if not access.expired(now)
        and (access.phone_number is None or same_number(access.phone_number, caller))
        and access.number in (None, called)
    ]
    return tuple(sorted(found, key=lambda access: (access.phone_number is None, access.number is None)))


def without_pin(accesses: Sequence[Access]) -> Access | None:
    """The access that asks for no PIN, among the most particular ones alone: a guest's must not shut out the caller for
    whom there is one of its own."""
    best = accesses[0] if accesses else None
    if best is None:
        return None
    equals = [
        access
        for access in accesses
        if (access.phone_number is None, access.number is None) == (best.phone_number is None, best.number is None)
    ]
    return next((access for access in equals if not access.pin), None)


def by_pin(accesses: Sequence[Access], pin: str) -> Access | None:
    return next((access for access in accesses if access.pin and access.pin == pin), None) if pin else None


def same_number(held: str, shown: str) -> bool:
    """A caller is shown with or without ``+``, ``00`` or its country."""
    digits = shown.lstrip("+")
    digits = digits.removeprefix("00") if len(digits) > _NATIONAL else digits
    if held == digits:
        return True
    short, long = sorted((held, digits), key=len)
    return len(short) >= _NATIONAL and long.endswith(short)


_NATIONAL = 10


@dataclass(slots=True)
class Membership:
    """That somebody is, or was, in a room; part of its call, and rebuilt from the call's timeline."""

    room: str
    member: str
    level: str
    direction: str
    """IN or OUT."""
    number: str
    joined_at: datetime
    began_at: datetime
    """When the conference began that is going on."""
    access_id: str | None = None
    access_label: str = ""
    max_duration: int = 0
    kicked: bool = False
    left_at: datetime | None = None
    muted: bool = False
    paused: bool = False
    """As the room's log has it."""


def take(membership: Membership | None, event: Event) -> Membership | None:
    """The membership after an event of its call."""
    if event.kind is Kind.ROOM_ENTERED:
        return _entered(event)
    if membership is None:
        return None
    if event.kind is Kind.ROOM_HANGUP:
        membership.kicked = membership.kicked or event.data.get("from") == WEB
    elif event.kind is Kind.ROOM_LEFT:
        membership.left_at = event.at
    elif event.kind in (Kind.ROOM_MUTED, Kind.ROOM_UNMUTED):
        membership.muted = event.kind is Kind.ROOM_MUTED
    elif event.kind in (Kind.ROOM_PAUSED, Kind.ROOM_UNPAUSED):
        membership.paused = event.kind is Kind.ROOM_PAUSED
    return membership


def _entered(event: Event) -> Membership:
    data = event.data
    began = data.get("began_at")
    return Membership(
        room=data["room"],
        member=data["member"],
        level=data["level"],
        direction=data["direction"],
        number=data["number"],
        joined_at=event.at,
        began_at=datetime.fromisoformat(began) if began else event.at,
        access_id=data.get("access_id"),
        access_label=data.get("access_label") or "",
        max_duration=data.get("max_duration", 0),
    )
