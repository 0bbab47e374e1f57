"""The live feed: what happens in calls, rooms and campaigns, told to whoever listens now, each in an order that all agree
upon and that can be taken up again by an id.

It is read from the timelines (engine.store.feed), which are written before anybody is told; nothing is kept beside them.
One reader per engine reads while somebody listens, and hands each event to those of its account. A listener that does
not keep up is dropped, and comes back with the last id that it has seen.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from engine.errors import StoreError

log = structlog.get_logger(__name__)

CHANGED = "feed"
"""What the database's notification says."""
PAGE = 500
"""Events read at once."""
BEHIND = 2000
"""Events that a listener may be behind before it is dropped."""
LOOKED_AT_EVERY = 2.0
"""Seconds after which is looked without having been told."""
UNFINISHED = 0.1
"""Seconds until an end whose records are still being written is looked at again."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    id: int
    account: str
    type: str
    timestamp: str
    data: Mapping[str, Any]
    unfinished: bool = False
    """A call's end whose records will be there within moments."""


class FeedLog(Protocol):
    async def position(self) -> int:
        """The last id there is. No smaller one will come."""

    async def page(self, after: int, until: int, account: str | None, limit: int) -> Sequence[FeedEvent]:
        """Events of (after, until], ascending, of one account or of all (None)."""

    async def attend(self, engine: str) -> None:
        """Have the database notify from now on."""

    async def leave(self, engine: str) -> None: ...


class Dropped(Exception):
    """The listener is too far behind, or the engine stops."""


@dataclass(eq=False, slots=True)
class Listener:
    """``start``: the feed's place when it came; events behind that are handed over live."""

    account: str
    start: int
    waiting: asyncio.Queue[FeedEvent | None] = field(default_factory=lambda: asyncio.Queue(BEHIND))
    """None ends it."""
    dropped: bool = False

    def tell(self, event: FeedEvent | None) -> None:
        if event is None or self.waiting.full():
            self.dropped = True
            while not self.waiting.empty():
                self.waiting.get_nowait()
            self.waiting.put_nowait(None)
        elif not self.dropped:
            self.waiting.put_nowait(event)

    async def next(self, within: float) -> FeedEvent | None:
        """The next event; None when there was none within so many seconds. Raises Dropped."""
        try:
            async with asyncio.timeout(within):
                event = await self.waiting.get()
        except TimeoutError:
            return None
        if event is None:
            self.waiting.put_nowait(None)
            raise Dropped
        return event


class Feed:
    """One engine's feed."""

    def __init__(self, log_: FeedLog, engine: str) -> None:
        self._log = log_
        self._engine = engine
        self._listeners: set[Listener] = set()
        self._place: int | None = None
        """The last id that was handed on; None while nobody listens."""
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._closed = False
        self.listeners_dropped = 0

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def heard(self, told: str | None) -> None:
        """Something was written: look. Returns at once."""
        if told in (None, CHANGED):
            self._news.set()

    @asynccontextmanager
    async def listen(self, account: str) -> AsyncIterator[Listener]:
        """Hear what happens to the account from now on. Raises StoreAway, Dropped when the engine stops."""
        if self._closed:
            raise Dropped
        async with self._starting:
            listener = Listener(account, await self._attended())
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._news.set()

    async def missed(self, listener: Listener, after: int) -> AsyncIterator[FeedEvent]:
        """What happened from the id ``after`` until the listener came. Raises StoreAway."""
        while after < listener.start:
            page = await self._log.page(after, listener.start, listener.account, PAGE)
            for event in page:
                yield event
            after = page[-1].id if len(page) == PAGE else listener.start

    async def close(self) -> None:
        """Let all listeners go, and take no more."""
        self._closed = True
        for listener in self._listeners:
            listener.tell(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _attended(self) -> int:
        """The feed's place, which is followed from then on."""
        if self._place is None:
            await self._log.attend(self._engine)
            self._place = await self._log.position()
            self._task = asyncio.create_task(self._follow(), name="live feed")
        return self._place

    async def _follow(self) -> None:
        """Read on for as long as somebody listens."""
        failures = 0
        while not await self._left():
            try:
                pause, failures = await self._step(), 0
            except StoreError as error:
                log.info("feed_waits", error=str(error))
                pause, failures = min(0.2 * 2**failures, 2.0) * random.uniform(0.8, 1.2), failures + 1
            if pause:
                await self._rest(pause)

    async def _left(self) -> bool:
        """Nobody listens any more; whoever comes now begins anew."""
        async with self._starting:
            if self._listeners:
                return False
            self._place = None
            try:
                await self._log.leave(self._engine)
            except StoreError as error:
                log.info("feed_not_left", error=str(error))
            return True

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def _step(self) -> float:
        """Hand on a page; after how many seconds to look again."""
        assert self._place is not None
        until = await self._log.position()
        if until <= self._place:
            return LOOKED_AT_EVERY
        page = await self._log.page(self._place, until, None, PAGE)
        for event in page:
            if event.unfinished:
                return UNFINISHED
            self._place = event.id
            for listener in self._listeners:
                self._tell(listener, event)
        if len(page) == PAGE:
            return 0.0
        self._place = until
        return LOOKED_AT_EVERY

    def _tell(self, listener: Listener, event: FeedEvent) -> None:
        if listener.account == event.account and event.id > listener.start and not listener.dropped:
            listener.tell(event)
            self.listeners_dropped += listener.dropped
