"""The store in memory, for unit tests: the same meaning as PostgreSQL's (the contract tests run on both)."""

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.calls.account import SCOPES, Account, Identity
from engine.calls.events import Event
from engine.calls.record import CallRecord
from engine.calls.routing import Route
from engine.errors import StoreAway
from engine.ids import scramble
from engine.store.accounts import Known, digest, match
from engine.store.port import (
    CallEvent,
    ClosedCall,
    IdempotentAnswer,
    JournalRecord,
    LegRow,
    NewCall,
    NewLeg,
    RecordingRow,
)


@dataclass(slots=True)
class StoredCall:
    call: NewCall
    state: str
    legs: dict[str, NewLeg | LegRow] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    closing: ClosedCall | None = None

    @property
    def timeline(self) -> list[Event]:
        return [self.events[seq] for seq in sorted(self.events)]


class Memory:
    """What the journal writes and the reads find."""

    def __init__(self) -> None:
        self.calls: dict[str, StoredCall] = {}
        self.cdr: list[CallRecord] = []
        self.outbox: list[tuple[str, Mapping[str, Any]]] = []
        self.recordings: dict[str, RecordingRow] = {}
        self.rejected: list[JournalRecord] = []

    def take(self, record: JournalRecord) -> None:
        if isinstance(record, NewCall):
            state = "scheduled" if record.scheduled_at else "live"
            self.calls.setdefault(record.request_id, StoredCall(record, state))
            return
        stored = self.calls.get(record.request_id)
        if stored is None:
            self.rejected.append(record)
        elif isinstance(record, CallEvent):
            stored.events.setdefault(record.event.seq, record.event)
        elif isinstance(record, NewLeg):
            stored.legs.setdefault(record.leg_id, record)
            stored.state = "live" if stored.state == "scheduled" else stored.state
        elif isinstance(record, RecordingRow):
            self.recordings[record.name] = record
        elif stored.closing is None:
            self._close(stored, record)

    def _close(self, stored: StoredCall, closing: ClosedCall) -> None:
        stored.closing, stored.state = closing, "ended"
        stored.legs.update({leg.leg_id: leg for leg in closing.legs})
        self.cdr.extend(replace(record, id=len(self.cdr) + n) for n, record in enumerate(closing.records, 1))
        self.outbox.extend((closing.request_id, body) for body in closing.outbox)


class MemoryJournal:
    """Implements Journal. ``refuses``: neither PostgreSQL nor the spool takes anything."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._queue: list[JournalRecord] = []
        self.away = False
        self.refuses = False
        self.commits = 0
        self.drained = asyncio.Event()
        self.drained.set()

    async def start(self) -> None: ...

    async def close(self) -> None:
        self._write()

    def append(self, *records: JournalRecord) -> None:
        self._queue.extend(records)
        asyncio.get_running_loop().call_soon(self._write)

    async def committed(self) -> None:
        if self.refuses:
            new = {record.request_id for record in self._queue if isinstance(record, NewCall)}
            self._queue = [record for record in self._queue if record.request_id not in new]
            raise StoreAway("neither PostgreSQL nor the spool takes records")
        self.commits += 1
        self._write()

    def _write(self) -> None:
        if not self.refuses:
            queue, self._queue = self._queue, []
            for record in queue:
                self._memory.take(record)


class MemoryCalls:
    """Implements Calls. ``away``: everything but request ids raises StoreAway."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._numbers = itertools.count()
        self._keys: dict[tuple[str, str], IdempotentAnswer] = {}
        self.away = False

    async def next_request_id(self) -> str:
        return scramble(next(self._numbers), b"the key of the tests")

    async def fingerprint_key(self) -> bytes:
        return b"another key of the tests"

    async def claim_key(
        self, account: str, key: str, fingerprint: str, answer: Mapping[str, Any]
    ) -> IdempotentAnswer | None:
        self._check()
        held = self._keys.get((account, key))
        if held is None:
            self._keys[account, key] = IdempotentAnswer(fingerprint, dict(answer))
        return held

    async def release_key(self, account: str, key: str, answer: Mapping[str, Any]) -> None:
        self._check()
        held = self._keys.get((account, key))
        if held is not None and held.answer == answer:
            del self._keys[account, key]

    async def live(self, engine: str) -> list[tuple[NewCall, list[Event]]]:
        found = [stored for stored in self._newest() if stored.state == "live" and stored.call.engine == engine]
        return [(stored.call, stored.timeline) for stored in reversed(found)]

    async def is_live(self, request_ids: Sequence[str]) -> set[str]:
        return {stored.call.request_id for stored in self._newest() if stored.state != "ended"} & set(request_ids)

    async def events(self, request_id: str, account: str | None = None) -> list[Event] | None:
        stored = self._find(request_id, account)
        return stored.timeline if stored else None

    async def timelines(self, request_ids: Sequence[str]) -> dict[str, list[Event]]:
        found = {request_id: await self.events(request_id) for request_id in request_ids}
        return {request_id: events for request_id, events in found.items() if events}

    async def listed(self, account: str | None, *, states: Sequence[str], limit: int, before: str | None) -> list[str]:
        found = self._newest()
        if before is not None:
            order = [stored.call.request_id for stored in found]
            found = found[order.index(before) + 1 :] if before in order else []
        fitting = [s for s in found if s.state in states and account in (None, s.call.account)]
        return [stored.call.request_id for stored in fitting[:limit]]

    async def cdr_by_request(self, account: str, request_id: str) -> list[CallRecord] | None:
        if self._find(request_id, account) is None:
            return None
        return [record for record in self._memory.cdr if record.request_id == request_id]

    async def cdr_by_date(
        self, account: str, start: datetime, end: datetime, *, count: int, offset: int
    ) -> list[CallRecord]:
        self._check()
        found = [r for r in self._memory.cdr if r.account_id == account and start <= r.call_date < end]
        return found[offset : offset + count]

    async def recording(self, account: str | None, name: str) -> RecordingRow | None:
        self._check()
        row = self._memory.recordings.get(name)
        return row if row and account in (None, row.account) else None

    async def open_recordings(self, engine: str) -> list[RecordingRow]:
        ended = {s.call.request_id for s in self._newest() if s.state == "ended" and s.call.engine == engine}
        rows = sorted(self._memory.recordings.values(), key=lambda row: row.name)
        return [row for row in rows if row.state == "recording" and row.request_id in ended]

    def _newest(self) -> list[StoredCall]:
        self._check()
        return sorted(self._memory.calls.values(), key=lambda s: (s.call.created_at, s.call.request_id), reverse=True)

    def _find(self, request_id: str, account: str | None) -> StoredCall | None:
        self._check()
        stored = self._memory.calls.get(request_id)
        return stored if stored and account in (None, stored.call.account) else None

    def _check(self) -> None:
        if self.away:
            raise StoreAway("PostgreSQL is away")


class MemoryAccounts:
    """Implements Accounts."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def put(self, account: Account, auth: str, scopes: Iterable[str] = SCOPES) -> None:
        """Add or replace an account with one credential."""
        self._known[account.account] = Known(account, ((digest(auth), frozenset(scopes)),), 0.0)

    async def identify(self, account: str, auth: str) -> Identity | None:
        return match(self._known.get(account), auth)

    async def get(self, account: str) -> Account | None:
        known = self._known.get(account)
        return known.account if known else None

    async def seed(self, accounts: Sequence[Mapping[str, Any]]) -> None:
        for entry in accounts:
            if entry["account"] not in self._known:
                caller_ids = frozenset(entry["caller_ids"])
                self.put(Account(entry["account"], entry["number"], entry["country"], caller_ids), entry["auth"])


class MemoryRoutes:
    """Implements Routes; by default every number leads to the trunk ``carrier``."""

    def __init__(self, routes: Sequence[Route] = (Route(1, "outbound", "", "trunk", "carrier"),)) -> None:
        self.routes = routes

    def current(self) -> Sequence[Route]:
        return self.routes
