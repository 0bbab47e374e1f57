"""The stream of facts about calls into PostgreSQL, or into the spool while PostgreSQL is away.

One writer task has the stream. **Direct**: what was appended since the last batch becomes the next one; a batch begins
when somebody waits for ``committed``, when it is full, or ``linger`` seconds after its first record. **Away**: batches
go to the spool, and so does everything after them until the spool has been drained in order and is empty; then it is
direct again. A connection is made by a task of its own, so that a server that does not answer never holds up the spool.

A batch whose fate is unknown (the connection broke in the commit) is written again: records are idempotent.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog

from engine.errors import Duplicate, StoreAway
from engine.store.entry import Entry, encode
from engine.store.faults import RecordRefused
from engine.store.pool import Database
from engine.store.port import JournalRecord
from engine.store.spool import Spool
from engine.store.writer import SESSION, write

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_HELD = 200_000
"""Records kept in memory while neither PostgreSQL nor the spool takes them; the oldest are lost beyond that."""


class PgJournal:
    """Implements ``engine.store.port.Journal``. Times in seconds. ``deadline`` bounds the write of a batch."""

    def __init__(
        self, database: Database, spool: Spool, *, batch: int = 500, linger: float = 0.02, deadline: float = 4.0
    ) -> None:
        self._database = database
        self._spool = spool
        self._batch = batch
        self._linger = linger
        self._deadline = deadline
        self._queue: deque[Entry] = deque()
        self._in_hand: list[Entry] = []
        self._appended = 0
        self._durable = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._work = asyncio.Event()
        self._down = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connection: asyncpg.Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pause = _FIRST_PAUSE
        self._direct = False
        self._full = False
        self.drained = asyncio.Event()
        """The spool is empty and records go to PostgreSQL."""
        self.away_since: datetime | None = None
        self.batches = 0
        self.records = 0
        """Written to PostgreSQL, drained ones included."""
        self.spooled = 0
        self.rejected = 0
        self.lost = 0

    @property
    def away(self) -> bool:
        return not self._direct

    @property
    def pending(self) -> int:
        """Records in memory."""
        return len(self._queue)

    @property
    def spool_bytes(self) -> int:
        """What the spool holds that is not in PostgreSQL yet."""
        return self._spool.waiting

    async def start(self) -> None:
        """Open the spool, try PostgreSQL once, begin. Raises ConfigError when the spool's folder can't be used.

        When it returns PostgreSQL may be away, or the spool be in draining: wait for ``drained``.
        """
        await asyncio.to_thread(self._spool.open)
        with contextlib.suppress(StoreAway):
            self._use(await self._database.connect(**SESSION))
        if self._connection is None:
            self._lose("not there at the start")
        elif self._spool.empty:
            self._go_direct()
        self._tasks = [
            asyncio.create_task(self._write_forever(), name="journal-writer"),
            asyncio.create_task(self._keep_connected(), name="journal-connection"),
        ]
        self._work.set()

    async def close(self) -> None:
        """Write what was appended, to wherever it can go, then stop."""
        if self._tasks:
            with contextlib.suppress(StoreAway):
                await self.committed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._timer:
            self._timer.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._spool.close()

    def append(self, *records: JournalRecord) -> None:
        for record in records:
            try:
                self._queue.append(encode(record))
            except (TypeError, ValueError):
                self.rejected += 1
                log.exception("record is not JSON", kind=type(record).__name__, request_id=record.request_id)
                continue
            self._appended += 1
        if len(self._queue) >= self._batch:
            self._work.set()
        elif self._timer is None and self._queue:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._work.set)

    async def committed(self) -> None:
        if not self._tasks:
            raise StoreAway("the journal is not running")
        if self._durable >= self._appended:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._appended, waiter))
        self._work.set()
        await waiter

    # The writer

    async def _write_forever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._timer:
                self._timer.cancel()
                self._timer = None
            try:
                while await self._step():
                    # Those whose records have just become durable append their next before a new batch is taken.
                    await asyncio.sleep(0)
            except Exception:
                log.exception("the journal's writer failed; it goes on")
                self._lose("the writer failed")
                self._put_back()

    async def _step(self) -> bool:
        """Write one batch. False when there is nothing to do until ``_work``."""
        batch = self._take()
        if batch and self._direct:
            await self._write_direct(batch)
            return True
        if batch and not await self._write_spool(batch):
            return False
        if self._connection is not None and not self._direct:
            return await self._drain()
        return bool(batch)

    def _take(self) -> list[Entry]:
        self._in_hand = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
        return self._in_hand

    def _put_back(self) -> None:
        """The batch in hand was not written: it is the next one again."""
        self._queue.extendleft(reversed(self._in_hand))
        self._in_hand = []
        self._work.set()

    async def _write_direct(self, batch: list[Entry]) -> None:
        try:
            await self._write(batch)
        except StoreAway as error:
            self._lose(str(error))
            self._put_back()
        else:
            self._settle()

    async def _write_spool(self, batch: list[Entry]) -> bool:
        """False when the spool takes nothing: the batch is kept in memory, and whoever waits hears of it."""
        try:
            await asyncio.to_thread(self._spool.append, batch)
        except StoreAway as error:
            self._hold(error)
            return False
        self._full = False
        self.spooled += len(batch)
        self._settle()
        return True

    async def _drain(self) -> bool:
        """Write the next part of the spool; direct when it was the last."""
        try:
            batch = self._spool.read(self._batch)
            if batch:
                await self._write(batch)
            self._spool.taken()
            if self._spool.drained:
                await asyncio.to_thread(self._spool.clear)
                self._go_direct()
        except StoreAway as error:
            self._lose(str(error))
            return bool(self._queue)
        return True

    async def _write(self, batch: list[Entry]) -> None:
        """One transaction, or several when a record in it is refused: that one is found and put aside."""
        if self._connection is None:
            raise StoreAway("no connection")
        try:
            await write(self._connection, batch, self._deadline)
        except (RecordRefused, Duplicate) as error:
            if len(batch) == 1:
                await self._reject(batch[0], error)
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        self.batches += 1
        self.records += len(batch)

    async def _reject(self, entry: Entry, error: Exception) -> None:
        self.rejected += 1
        log.error("record refused by PostgreSQL and put aside", kind=entry.kind, error=str(error))
        await asyncio.to_thread(self._spool.reject, entry, str(error))

    def _settle(self) -> None:
        """All that is not in the queue any more is durable: wake who waited for it."""
        self._in_hand = []
        self._durable = self._appended - len(self._queue)
        while self._waiters and self._waiters[0][0] <= self._durable:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)

    def _hold(self, error: StoreAway) -> None:
        """Neither takes the batch. Records of calls that are under way stay, to be tried again; a call whose very first
        record is refused is forgotten, because its request is answered with 503 and must leave nothing behind."""
        self._put_back()
        self._work.clear()
        new = {entry.request_id for entry in self._queue if entry.kind == "call"}
        kept = [entry for entry in self._queue if entry.request_id not in new]
        self.lost += max(0, len(kept) - _HELD)
        self._queue = deque(kept[-_HELD:])
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(StoreAway(f"neither PostgreSQL nor the spool takes records: {error}"))
        if not self._full:
            log.error("neither PostgreSQL nor the spool takes records", error=str(error))
        self._full = True
        asyncio.get_running_loop().call_later(_LONGEST_PAUSE / 2, self._work.set)

    # The connection

    def _use(self, connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(self._terminated(connection))
        self._connection = connection
        self._down.clear()

    def _terminated(self, connection: asyncpg.Connection) -> Callable[..., None]:
        def terminated(_connection: Any) -> None:
            if self._connection is connection:
                self._lose("the connection ended")

        return terminated

    def _lose(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if self.away_since is None:
            self.away_since = datetime.now(UTC)
            log.warning("PostgreSQL is away: records go to the spool", reason=reason)
        self._direct = False
        self.drained.clear()
        self._down.set()
        if connection is not None:
            connection.terminate()

    def _go_direct(self) -> None:
        self._direct = True
        self._pause = _FIRST_PAUSE
        self.drained.set()
        if self.away_since is not None:
            log.info("PostgreSQL is back and the spool is drained", away_since=self.away_since.isoformat())
        self.away_since = None

    async def _keep_connected(self) -> None:
        while True:
            await self._down.wait()
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            with contextlib.suppress(StoreAway):
                self._use(await self._database.connect(**SESSION))
                self._work.set()
