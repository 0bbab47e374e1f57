"""When calls begin: so many at a time, or so many a second. The same for both sides."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """``calls`` calls: each begins when one of ``in_flight`` has ended, or, with a ``pace`` (calls per second), in its
    time whatever the others do (open loop)."""

    calls: int
    in_flight: int = 60
    pace: float = 0.0
    give_up: float = 60.0
    """Seconds after the last call began."""


@dataclass
class Run:
    """One run of a load: ``begin`` starts call number i and returns at once; ``ended`` is to be called for each."""

    load: Load
    begin: Callable[[int], None]
    _next: int = 0
    _left: int = 0
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    async def finish(self) -> int:
        """Run it; how many calls never ended."""
        self._left = self.load.calls
        if self.load.pace:
            await self._paced()
        else:
            for _ in range(min(self.load.in_flight, self.load.calls)):
                self._begin()
        try:
            async with asyncio.timeout(self.load.give_up):
                await self._done.wait()
        except TimeoutError:
            pass
        return self._left

    async def _paced(self) -> None:
        loop = asyncio.get_running_loop()
        first = loop.time()
        for i in range(self.load.calls):
            await asyncio.sleep(max(0.0, first + i / self.load.pace - loop.time()))
            self._begin()

    def _begin(self) -> None:
        i, self._next = self._next, self._next + 1
        self.begin(i)

    def ended(self) -> None:
        self._left -= 1
        if not self.load.pace and self._next < self.load.calls:
            self._begin()
        if self._left == 0:
            self._done.set()
