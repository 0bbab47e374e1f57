"""Conference rooms; which numbers lead to them is kept in memory, fresh by notifications."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import asyncpg

from engine.calls.rooms import Access, Room
from engine.errors import StateConflict
from engine.store import rows
from engine.store.fresh import POLL, Fresh
from engine.store.pool import Database
from engine.store.port import RecordingRow, RoomEvent, RoomFilter, RoomMember
from engine.store.queries import query
from engine.store.rows import Row

MOST = 1000
"""Rooms of one account."""
MOST_ACCESSES = 500
"""Of one room."""
_ACCESS = tuple(item.name for item in fields(Access))
_MEMBER = tuple(item.name for item in fields(RoomMember))


class PgRooms:
    """Implements ``engine.store.port.Rooms``."""

    def __init__(self, database: Database, *, poll: float = POLL) -> None:
        self._database = database
        self._extensions: Mapping[tuple[str, str], str] = {}
        self._numbers: Mapping[str, tuple[str, str]] = {}
        self._fresh = Fresh(database, "rooms", frozenset(("rooms", "room_numbers")), self.refresh, poll=poll)

    # -- the directory -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the directory and keep it fresh from now on. May be called again after it raised StoreAway."""
        await self._fresh.start()

    def by_extension(self, account: str, number: str) -> str | None:
        return self._extensions.get((account, number))

    def by_number(self, number: str) -> tuple[str, str] | None:
        return self._numbers.get(number)

    async def refresh(self) -> None:
        found = await self._database.fetch("room_directory")
        self._extensions = {(row["owner"], row["number"]): row["room"] for row in found if not row["inbound"]}
        self._numbers = {row["number"]: (row["room"], row["owner"]) for row in found if row["inbound"]}

    # -- rooms ---------------------------------------------------------------------------------------------------------

    async def find(self, account: str | None, key: str) -> Room | None:
        row = await self._database.fetchrow("room", account, key)
        return (await self._with_accesses([row]))[0] if row else None

    async def page(self, account: str | None, *, limit: int, after: str | None) -> list[Room]:
        return await self._with_accesses(await self._database.fetch("rooms_of", account, after, limit))

    async def _with_accesses(self, found: Sequence[Row]) -> list[Room]:
        rooms = [_room(row) for row in found]
        accesses = [_access(row) for row in await self._database.fetch("room_accesses", [room.id for room in rooms])]
        return [replace(room, accesses=tuple(each for each in accesses if each.room == room.id)) for room in rooms]

    async def add(self, room: Room) -> None:
        async with self._database.transaction() as connection:
            made = await connection.fetchval(query("add_room"), room.id, room.account, *_settings(room), MOST)
            if made is None:
                raise StateConflict(f"the account has {MOST} rooms, which is as many as it may")
            await connection.execute(query("add_room_numbers"), room.id, list(room.numbers))
            for access in room.accesses:
                await _add_access(connection, access)
        await self.refresh()

    async def change(self, room: Room) -> bool:
        async with self._database.transaction() as connection:
            done = await connection.fetchval(
                query("change_room"), room.id, room.account, *_settings(room), room.updated_at
            )
            if done is not None:
                await connection.execute(query("clear_room_numbers"), room.id)
                await connection.execute(query("add_room_numbers"), room.id, list(room.numbers))
        await self.refresh()
        return done is not None

    async def remove(self, account: str | None, room: str) -> bool:
        gone = await self._database.fetchval("remove_room", room, account) is not None
        await self.refresh()
        return gone

    async def seed(self, rooms: Sequence[Mapping[str, Any]]) -> None:
        """Make those of a seed file that do not exist yet."""
        for each in rooms:
            async with self._database.transaction() as connection:
                made = await connection.fetchval(
                    query("seed_room"), each["id"], each["account"], each["name"], each["number"]
                )
                if made is None:
                    continue
                await connection.execute(query("seed_room_numbers"), made, list(each["numbers"]))
                for access in each["accesses"]:
                    values = (access["id"], made, access["label"], access["level"], access["pin"])
                    await connection.execute(query("seed_room_access"), *values)

    # -- accesses ------------------------------------------------------------------------------------------------------

    async def add_access(self, access: Access) -> None:
        async with self._database.acquire() as connection:
            await _add_access(connection, access)

    async def change_access(self, access: Access) -> bool:
        return await self._database.fetchval("change_room_access", *_values(access), access.updated_at) is not None

    async def remove_access(self, room: str, access: str) -> bool:
        return await self._database.fetchval("remove_room_access", access, room) is not None

    # -- logs ----------------------------------------------------------------------------------------------------------

    async def tell(self, room: str, kind: str, at: datetime, data: Mapping[str, Any]) -> None:
        await self._database.fetchval("tell_room", room, kind, at, json.dumps(dict(data), allow_nan=False))

    async def events(
        self, room: str, wanted: RoomFilter, *, limit: int, after: int | None
    ) -> tuple[list[RoomEvent], int, int]:
        chosen = (room, wanted.action, wanted.member, wanted.access)
        found = await self._database.fetch("room_events", *chosen, after, limit)
        return [_event(row) for row in found], *await self._counts("count_room_events", *chosen)

    async def history(
        self, room: str, wanted: RoomFilter, *, limit: int, after: tuple[datetime, str] | None
    ) -> tuple[list[RoomMember], int, int]:
        chosen = (room, wanted.member, wanted.access, wanted.action)
        found = await self._database.fetch("room_history", *chosen, *(after or (None, None)), limit)
        return [_member(row) for row in found], *await self._counts("count_room_history", *chosen)

    async def members(self, room: str) -> list[RoomMember]:
        """Who is in it now, as far as it is written down."""
        return [_member(row) for row in await self._database.fetch("room_members_now", room)]

    async def _counts(self, name: str, *chosen: str | None) -> tuple[int, int]:
        row = await self._database.fetchrow(name, *chosen)
        return (row["total"], row["total_items"]) if row else (0, 0)

    async def open_recordings(self, engine: str) -> list[RecordingRow]:
        return [rows.recording(row) for row in await self._database.fetch("open_room_recordings", engine)]


def _settings(room: Room) -> tuple[Any, ...]:
    limits = (room.max_connected, room.max_duration, room.date_expiration)
    return (room.name, room.number, room.open, room.locked, room.recording, *limits, json.dumps(dict(room.media)))


async def _add_access(connection: asyncpg.Connection, access: Access) -> None:
    if await connection.fetchval(query("add_room_access"), *_values(access), MOST_ACCESSES) is None:
        raise StateConflict(f"the room has {MOST_ACCESSES} accesses, which is as many as it may")


def _values(access: Access) -> tuple[Any, ...]:
    limits = (access.max_duration, access.date_expiration)
    return (access.id, access.room, access.label, access.level, access.pin, access.phone_number, access.number, *limits)


def _room(row: Row) -> Room:
    known = {item.name: row[item.name] for item in fields(Room) if item.name not in ("accesses", "media", "numbers")}
    return Room(**known, media=json.loads(row["media"]), numbers=tuple(row["numbers"]))


def _access(row: Row) -> Access:
    return Access(**{name: row[name] for name in _ACCESS})


def _member(row: Row) -> RoomMember:
    return RoomMember(**{name: row[name] for name in _MEMBER})


def _event(row: Row) -> RoomEvent:
    return RoomEvent(**{**row, "data": json.loads(row["data"])})
