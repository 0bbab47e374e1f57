"""Calls, timelines, CDRs and recordings as they are read."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from engine.calls.events import Event
from engine.calls.record import CallRecord
from engine.errors import StoreAway, StoreError
from engine.store import rows
from engine.store.numbers import RequestNumbers
from engine.store.pool import Database
from engine.store.port import IdempotentAnswer, NewCall, RecordingRow

log = structlog.get_logger(__name__)

_SWEEP = 3600.0
"""Seconds between two sweeps, at most."""


class PgCalls:
    """Implements ``engine.store.port.Calls``. Everything raises StoreAway while PostgreSQL is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = RequestNumbers(database)
        self._sweeper: asyncio.Task[None] | None = None
        self._fingerprints: bytes | None = None

    async def start(self) -> None:
        """Fetch the first block of request ids, and keep house from now on; may be called again. Raises StoreAway."""
        await self._numbers.start()
        if self._sweeper is None:
            self._sweeper = self._database.spawn(self._sweep_forever(), "store-sweeper")

    async def next_request_id(self) -> str:
        return await self._numbers.next()

    async def fingerprint_key(self) -> bytes:
        """Key of the HMAC of idempotent bodies; the same for every engine of this database."""
        if self._fingerprints is None:
            self._fingerprints = bytes(await self._database.fetchval("meta", "fingerprints"))
        return self._fingerprints

    async def claim_key(
        self, account: str, key: str, fingerprint: str, answer: Mapping[str, Any]
    ) -> IdempotentAnswer | None:
        for _ in range(3):
            if await self._database.fetchval("claim_key", account, key, fingerprint, json.dumps(dict(answer))):
                return None
            held = await self._database.fetchrow("held_key", account, key)
            if held is not None:
                return IdempotentAnswer(held["fingerprint"], json.loads(held["answer"]))
        raise StoreAway(f"the idempotency key of {account} is claimed and released without end")

    async def release_key(self, account: str, key: str, answer: Mapping[str, Any]) -> None:
        await self._database.fetchval("release_key", account, key, json.dumps(dict(answer)))

    async def live(self, engine: str) -> list[tuple[NewCall, list[Event]]]:
        calls = [rows.new_call(row) for row in await self._database.fetch("live_calls", engine)]
        timelines = await self.timelines([call.request_id for call in calls])
        return [(call, timelines.get(call.request_id, [])) for call in calls]

    async def is_live(self, request_ids: Sequence[str]) -> set[str]:
        found = await self._database.fetch("not_ended", list(request_ids))
        return {row["request_id"] for row in found}

    async def events(self, request_id: str, account: str | None = None) -> list[Event] | None:
        found = await self._database.fetch("timeline", request_id, account)
        return [rows.event(row) for row in found if row["seq"] is not None] if found else None

    async def timelines(self, request_ids: Sequence[str]) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for row in await self._database.fetch("events_of", list(request_ids)):
            found.setdefault(row["request_id"], []).append(rows.event(row))
        return found

    async def listed(self, account: str | None, *, states: Sequence[str], limit: int, before: str | None) -> list[str]:
        ended = "listed_of_all" if account is None else "listed_of_account"
        name = ended if "ended" in states else "listed_open"
        found = await self._database.fetch(name, account, list(states), limit, before)
        return [row["request_id"] for row in found]

    async def cdr_by_request(self, account: str, request_id: str) -> list[CallRecord] | None:
        found = await self._database.fetch("cdr_by_request", account, request_id)
        return [rows.call_record(row) for row in found if row["id"] is not None] if found else None

    async def cdr_by_date(
        self, account: str, start: datetime, end: datetime, *, count: int, offset: int
    ) -> list[CallRecord]:
        found = await self._database.fetch("cdr_by_date", account, start, end, count, offset)
        return [rows.call_record(row) for row in found]

    async def recording(self, account: str | None, name: str) -> RecordingRow | None:
        row = await self._database.fetchrow("recording", account, name)
        return rows.recording(row) if row else None

    async def open_recordings(self, engine: str) -> list[RecordingRow]:
        return [rows.recording(row) for row in await self._database.fetch("open_recordings", engine)]

    async def sweep(self) -> None:
        """Make partitions for the months ahead; drop what has expired: idempotency keys, tokens, notes of the feed."""
        await self._database.fetchval("cdr_make_partitions", 3)
        for name in ("expired_keys", "forget_tokens", "forget_feed_notes"):
            await self._database.fetchval(name)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("the store could not be swept", error=str(error))
            await asyncio.sleep(_SWEEP * random.uniform(0.5, 1.0))
