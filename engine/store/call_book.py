"""Pages of an account's calls and devices, each page held onto the row it begins behind, so that what comes and goes
meanwhile moves nothing from one page to another."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from engine.errors import InvalidFields
from engine.store.pool import Database
from engine.store.port import Device, Span

COUNTED = 100_000
"""Calls up to which pages are counted: a count has no end otherwise."""
_FIRST, _LAST = (datetime.min.replace(tzinfo=UTC), ""), (datetime.max.replace(tzinfo=UTC), "\U0010ffff")


async def _page(
    database: Database,
    queries: tuple[str, str],
    args: Sequence[Any],
    *,
    descending: bool,
    start: tuple[datetime, str] | None,
    limit: int,
    offset: int,
    back: bool,
) -> list[asyncpg.Record]:
    """``queries``: the ascending and the descending one."""
    downwards = descending != back
    edge = start or (_LAST if downwards else _FIRST)
    rows = await database.fetch(queries[downwards], *args, *edge, limit, offset)
    return rows[::-1] if back else rows


class PgCallBook:
    """Implements ``engine.store.port.CallBook``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, account: str, span: Span) -> int:
        return int(await self._database.fetchval("cc_count", account, span.since, span.until, span.extension, COUNTED))

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[str]:
        start = None
        if after is not None:
            at = await self._database.fetchval("cc_position", account, after)
            start = (_known(at), after)
        rows = await _page(
            self._database, ("cc_later", "cc_earlier"), (account, span.since, span.until, span.extension),
            descending=span.descending, start=start, limit=limit, offset=offset, back=back,
        )  # fmt: skip
        return [row["request_id"] for row in rows]

    async def live_elsewhere(self, account: str, engine: str) -> list[tuple[str, str, bool, int]]:
        """(flow, direction, of a campaign, how many) of the calls that other engines have."""
        rows = await self._database.fetch("live_elsewhere", account, engine)
        return [(row["flow"], row["direction"], row["campaign"], row["calls"]) for row in rows]


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise InvalidFields({"cursor": "is not one that a page gave"})
    return at


class PgDevices:
    """Implements ``engine.store.port.Devices``, and keeps them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, account: str, device: Device, *, lifetime: int, expires_at: datetime) -> None:
        """A registration. ``lifetime`` in seconds."""
        await self._database.fetchval(
            "keep_device", account, device.key, device.extension, device.mac, device.address, device.contact, lifetime,
            expires_at, device.last_success,
        )  # fmt: skip

    async def contacts(self) -> dict[tuple[str, str], tuple[str, int, datetime]]:
        """(account, key) → (contact, lifetime, when it expires) of all that were ever kept."""
        rows = await self._database.fetch("device_contacts")
        return {(row["account"], row["key"]): (row["contact"], row["lifetime"], row["expires_at"]) for row in rows}

    async def count(self, account: str, span: Span) -> int:
        return int(await self._database.fetchval("device_count", account, span.since, span.until))

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[Device]:
        start = None
        if after is not None:
            start = (_known(await self._database.fetchval("device_position", account, after)), after)
        rows = await _page(
            self._database, ("devices_later", "devices_earlier"), (account, span.since, span.until),
            descending=span.descending, start=start, limit=limit, offset=offset, back=back,
        )  # fmt: skip
        return [_device(row) for row in rows]

    async def get(self, account: str, key: str) -> Device | None:
        row = await self._database.fetchrow("device", account, key)
        return _device(row) if row else None

    async def forget(self, account: str, key: str) -> bool:
        return await self._database.fetchval("forget_device", account, key) is not None


def _device(row: asyncpg.Record) -> Device:
    return Device(
        key=row["key"],
        extension=row["extension"],
        mac=row["mac"],
        address=row["address"],
        contact=row["contact"],
        last_request=row["last_request"],
        last_success=row["last_success"],
    )
