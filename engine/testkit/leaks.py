"""What a stack holds, counted before and after a test."""

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from engine.testkit.poll import eventually

if TYPE_CHECKING:
    from engine.testkit.stack import Stack

EMPTY_WITHIN = 40.0
"""Seconds after a test for the last call to be gone; less than until the engine sweeps ghosts, which would hide one."""
SPARE_DESCRIPTORS = 64
"""That many more the engine may have after a test: connections are kept for later (20 to ARI, 10 to PostgreSQL, those
of HTTP clients)."""
SPARE_TASKS = 32
"""Each HTTP connection that a client keeps open has one."""
_TASKS = re.compile(r"^trunkline_tasks (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Inventory:
    engine_pid: int
    descriptors: int
    tasks: int

    @classmethod
    async def of(cls, stack: "Stack") -> "Inventory":
        return cls(stack.engine_pid, _descriptors(stack.engine_pid), await _tasks(stack))

    async def compare(self, stack: "Stack") -> None:
        """Wait until nothing of a call is left. Raises NotInTime, naming what is."""

        async def look() -> bool:
            with contextlib.suppress(OSError, aiohttp.ClientError):  # an engine that was killed is on its way back
                return not await _left(stack) and not self._grown(await Inventory.of(stack))
            return False

        async def tell() -> str:
            return "\n".join([*await _left(stack), f"before: {self}", f"now: {await Inventory.of(stack)}"])

        await eventually(look, within=EMPTY_WITHIN, what="empty Asterisk and engine", tell=tell, every=0.05)

    def _grown(self, now: "Inventory") -> bool:
        if now.engine_pid != self.engine_pid:
            return False
        descriptors, tasks = now.descriptors - self.descriptors, now.tasks - self.tasks
        return descriptors > SPARE_DESCRIPTORS or tasks > SPARE_TASKS


async def _left(stack: "Stack") -> list[str]:
    """Channels and bridges in Asterisk, and live calls of the engine."""
    channels = [f"channel {each['id']} {each['name']} {each['state']}" for each in await stack.ari.channels()]
    bridges = [f"bridge {each['id']}" for each in await stack.ari.bridges()]
    clients = (stack.api, stack.api2)
    calls = [f"call {each['request_id']} {each['state']}" for client in clients for each in await client.calls()]
    return channels + bridges + calls


async def _tasks(stack: "Stack") -> int:
    found = _TASKS.search((await stack.api.get("/metrics")).body.decode())
    return int(found[1]) if found else 0


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


async def clear(stack: "Stack") -> None:
    """End every live call of both accounts."""
    for account in (stack.api, stack.api2):
        for call in await account.calls():
            await account.hang_up(call["request_id"])
