"""What a stack holds, counted before and after a test."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.testkit.poll import eventually

if TYPE_CHECKING:
    from engine.testkit.stack import Stack

EMPTY_WITHIN = 3.0
"""Seconds after a test for the last call to be gone."""
FREE_DESCRIPTORS = 24
"""That many more the engine may have after a test: pools keep connections (20 to ARI, 10 to PostgreSQL) for later."""


@dataclass(frozen=True)
class Inventory:
    engine_pid: int
    descriptors: int

    @classmethod
    async def of(cls, stack: "Stack") -> "Inventory":
        return cls(stack.engine_pid, _descriptors(stack.engine_pid))

    async def compare(self, stack: "Stack") -> None:
        """Wait until nothing of a call is left. Raises NotInTime, naming what is."""

        async def look() -> bool:
            return not await _left(stack) and self._descriptors_given_back(stack)

        async def tell() -> str:
            grown = f"descriptors of the engine: {self.descriptors} before, {_descriptors(stack.engine_pid)} now"
            return "\n".join([*await _left(stack), grown])

        await eventually(look, within=EMPTY_WITHIN, what="empty Asterisk and engine", tell=tell, every=0.05)

    def _descriptors_given_back(self, stack: "Stack") -> bool:
        if stack.engine_pid != self.engine_pid:
            return True
        return _descriptors(stack.engine_pid) <= self.descriptors + FREE_DESCRIPTORS


async def _left(stack: "Stack") -> list[str]:
    """Channels and bridges in Asterisk, and live calls of the engine."""
    channels = [f"channel {each['id']} {each['name']} {each['state']}" for each in await stack.ari.channels()]
    bridges = [f"bridge {each['id']}" for each in await stack.ari.bridges()]
    calls = [f"call {each['request_id']} {each['state']}" for each in await stack.api.calls()]
    return channels + bridges + calls


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
