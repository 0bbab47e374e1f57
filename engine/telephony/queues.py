"""How full Asterisk's own queues (task processors) are, read from its control socket where the engine may open that.

The manager interface would tell it to a user that may run console commands, which ours may not. The socket is asked as
``asterisk -rx`` asks it, without a process: a greeting comes, a line that ends in NUL goes, the answer ends with the
connection. It takes about a millisecond.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

EVERY: Final = 3.0
"""Seconds between two looks while anything is wanted; a full queue is looked at again after one."""
AGAIN: Final = 1.0
DEADLINE: Final = 2.0
"""Seconds; an Asterisk that is too busy for its console shows it elsewhere (slow answers over ARI)."""
LONGEST: Final = 4 << 20
"""Bytes of an answer: 150 for each queue, and a few queues for each call."""
_ASK: Final = b"cli quit after core show taskprocessors\0"
_ROW: Final = re.compile(r"^(\S.*?) +\d+ +(\d+) +\d+ +\d+ +(\d+)(?: +\d+)*\s*$", re.MULTILINE)
"""Name, processed, in queue, most so far, low water, high water; 22 adds times."""


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    waiting: int
    high: int
    """Asterisk's own mark (500 by default), from which on it takes no new SIP dialog."""

    @property
    def full(self) -> bool:
        return 0 < self.high <= self.waiting


def parse(text: str) -> list[Queue]:
    """``core show taskprocessors``, as Asterisk 20 and later write it.

    >>> parse("pjsip/distributor-0000001e      7       501          502        450        500       0       135")
    [Queue(name='pjsip/distributor-0000001e', waiting=501, high=500)]
    """
    return [Queue(name, int(waiting), int(high)) for name, waiting, high in _ROW.findall(text)]


async def ask(socket: Path) -> list[Queue]:
    """Raises OSError (TimeoutError is one): there is no such socket, it is not ours to open, or nobody answers."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        try:
            await reader.read(1024)  # the greeting: host, process, version
            writer.write(_ASK)
            await writer.drain()
            answer = bytearray()
            while len(answer) < LONGEST and (part := await reader.read(1 << 16)):
                answer += part
        finally:
            writer.transport.abort()
    return parse(answer.decode(errors="replace"))


@dataclass(slots=True)
class Queues:
    """Looks, now and then, whether a queue of an Asterisk is full. ``sockets``: server → control socket. ``wanted``: whether
    anybody wants to know now."""

    sockets: Mapping[str, Path]
    wanted: Callable[[], bool]
    full: dict[str, Queue] = field(default_factory=dict)
    """Server → the fullest of its queues, where one is over its mark."""

    def flooded(self) -> bool:
        return bool(self.full)

    async def run(self) -> None:
        """For ever. What can't be asked has no full queue, and nobody hears of it."""
        while True:
            for server, socket in self.sockets.items():
                await self._look(server, socket)
            await asyncio.sleep(AGAIN if self.full else EVERY)

    async def _look(self, server: str, socket: Path) -> None:
        found: list[Queue] = []
        if self.wanted():
            try:
                found = await ask(socket)
            except OSError as error:
                log.debug("queues_unknown", server=server, error=repr(error))
        fullest = max((queue for queue in found if queue.full), key=lambda queue: queue.waiting, default=None)
        if fullest is None:
            self.full.pop(server, None)
            return
        if server not in self.full:
            log.warning("asterisk_queue_full", server=server, queue=fullest.name, waiting=fullest.waiting)
        self.full[server] = fullest
