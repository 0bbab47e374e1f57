"""Wait for a condition with a deadline: what tests do instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

EVERY = 0.02
"""Seconds between looks."""


class NotInTime(AssertionError):
    """What was waited for did not happen; the message tells what was there instead."""


async def eventually(
    look: Callable[[], Awaitable[T | None]],
    *,
    within: float,
    what: str,
    tell: Callable[[], Awaitable[str]] | None = None,
    every: float = EVERY,
) -> T:
    """The first result of ``look`` that is neither None nor False. ``what`` names it and ``tell`` says more when it
    does not come within that many seconds. Raises NotInTime."""
    deadline = time.monotonic() + within
    late = False
    while True:
        found = await look()
        if found is not None and found is not False:
            return found
        if late:
            raise NotInTime(f"no {what} within {within:g} s" + (f"\n{await tell()}" if tell else ""))
        await asyncio.sleep(every)
        late = (
            time.monotonic() > deadline
        )  # the last look is one that begins then: the one before may have been long ago
