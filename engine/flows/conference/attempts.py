"""Wrong PINs, counted over calls: three end a call, many end the guessing."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.calls.rooms import PIN_TRIES

WINDOW = 600.0
"""Seconds for which a wrong PIN counts."""
OF_CALLER = 15
"""Wrong PINs of one number, after which it is refused until the window has passed."""
OF_ROOM = 100
"""Wrong PINs of all callers of a room (numbers can be forged), after which every call has one try."""


@dataclass(slots=True)
class Attempts:
    clock: Callable[[], float] = time.monotonic
    _wrong: dict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)

    def allowed(self, room: str, caller: str) -> int:
        """How many PINs a call may try."""
        if self._count(room, caller) >= OF_CALLER:
            return 0
        return 1 if self._count(room, "") >= OF_ROOM else PIN_TRIES

    def wrong(self, room: str, caller: str) -> None:
        now = self.clock()
        for key in ((room, caller), (room, "")):
            self._wrong[key].append(now)

    def right(self, room: str, caller: str) -> None:
        self._wrong.pop((room, caller), None)

    def _count(self, room: str, caller: str) -> int:
        found = self._wrong.get((room, caller))
        if found is None:
            return 0
        while found and found[0] <= self.clock() - WINDOW:
            found.popleft()
        if not found:
            del self._wrong[room, caller]
        return len(found)
