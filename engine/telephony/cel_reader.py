"""CEL as reconciliation reads it: in a thread, from a bookmark that lies before the oldest call that still lives."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from engine.telephony.cel import CelFile, ChannelHistory

EVERY = 15.0
"""Seconds between two looks at the file's end."""
MARGIN = timedelta(seconds=10)


class CelReader:
    """``oldest``: when the oldest live call began; None when there is none."""

    def __init__(self, file: CelFile, oldest: Callable[[], datetime | None]) -> None:
        self._file = file
        self._oldest = oldest
        self._ends: deque[tuple[datetime, int]] = deque()

    async def lookup(self, channel_ids: set[str], since: datetime) -> Mapping[str, ChannelHistory]:  # noqa: ARG002
        return await asyncio.to_thread(self._file.lookup, channel_ids)

    async def run(self) -> None:
        """Move the bookmark on for ever: reading after a restart then costs what happened lately, not the whole file."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(EVERY)

    def _look(self) -> None:
        now = datetime.now(UTC)
        self._ends.append((now, self._file.offset()))
        before = (self._oldest() or now) - MARGIN
        passed = 0
        while self._ends and self._ends[0][0] < before:
            passed = self._ends.popleft()[1]
        if passed:
            self._file.remember(passed)
