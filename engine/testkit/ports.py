"""Ports for what tests start: blocks that no two processes of this machine have at the same time.

A port that is asked of the kernel and bound some seconds later may be another program's by then: a second test worker's,
or the local end of a connection. Blocks lie below the kernel's own range (32768 on) and below that of the stack (20000
on); who has one holds its first port.
"""

import contextlib
import random
import socket
import time
from typing import Self

_FIRST, _LAST = 10000, 20000
_SIZE = 500
_SIGNALLING = 20
_WAITS = 60.0


class Ports:
    """A block on 127.0.0.1, held until ``close`` or the end of the process. Raises OSError when none comes free."""

    def __init__(self) -> None:
        self._held, self._first = _block()
        self._given = 0
        half = (_SIZE - _SIGNALLING) // 2
        start = self._first + _SIGNALLING
        self.rtp = (start, start + half - 1)
        self.far_rtp = (start + half, start + 2 * half - 1)
        """Of the simulator."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._held.close()

    def one(self) -> int:
        """Another port of the block that is free for TCP and UDP."""
        while self._given < _SIGNALLING - 1:
            self._given += 1
            if _is_free(port := self._first + self._given):
                return port
        raise OSError(f"no free port left from {self._first}")

    def address(self) -> str:
        return f"127.0.0.1:{self.one()}"


def _block() -> tuple[socket.socket, int]:
    """The socket that holds a block, and its first port. Any of the free ones: late packets meet nobody then."""
    deadline = time.monotonic() + _WAITS
    while True:
        for first in random.sample(range(_FIRST, _LAST, _SIZE), (_LAST - _FIRST) // _SIZE):
            held = socket.socket()
            try:
                held.bind(("127.0.0.1", first))
            except OSError:
                held.close()
            else:
                return held, first
        if time.monotonic() > deadline:
            raise OSError(f"all blocks of ports between {_FIRST} and {_LAST} are taken")
        time.sleep(0.1)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp, contextlib.suppress(OSError):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("127.0.0.1", port))
        tcp.bind(("127.0.0.1", port))
        return True
    return False
