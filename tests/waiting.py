"""Waiting for what a test expects, with a deadline."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 60.0) -> None:
    """Return when ``condition`` holds. Raises TimeoutError after ``within`` seconds."""
    async with asyncio.timeout(within):
        while True:
            holds = condition()
            if inspect.isawaitable(holds):
                holds = await holds
            if holds:
                return
            await asyncio.sleep(0.01)
