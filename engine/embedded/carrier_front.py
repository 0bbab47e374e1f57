"""The carrier's public SIP port: a UDP relay before the simulator that can also be deaf.

An Asterisk answers each INVITE with 100 at once, so it can't play a callee that "never answers a packet" (numbers
ending 0408). The front drops all that is sent to such a number and passes the rest on. Each client has an upstream
socket of its own, so that the simulator's answers and requests within a call find their way back.
"""

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import Callable

Address = tuple[str, int]

_REQUEST_TO = re.compile(rb"[A-Z]+ sips?:([^@;>\s]*)(?:;[^@\s]*)?@")
_DEAF = b"0408"
_MOST_CLIENTS = 64
"""Upstream sockets kept; the one that was silent longest goes first."""


class CarrierFront:
    """``await front.start(public, inner)`` … ``await front.close()``; costs some 20 µs a packet."""

    def __init__(self) -> None:
        self._public: asyncio.DatagramTransport | None = None
        self._upstream: OrderedDict[Address, asyncio.DatagramTransport] = OrderedDict()
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._inner: Address = ("", 0)
        self._peer: Address | None = None
        self.dropped = 0
        """Packets to deaf numbers, for tests."""

    async def start(self, public: Address, inner: Address, peer: Address | None = None) -> None:
        """Relay between ``public`` and ``inner``; calls that ``inner`` places to ``public`` go to ``peer``.

        Raises OSError when the port is taken.
        """
        self._inner, self._peer = inner, peer
        self._public = await _bound(public, self._from_outside)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in (self._public, *self._upstream.values()):
            if transport is not None:
                transport.close()
        self._upstream.clear()
        self._public = None
        await asyncio.sleep(0)  # transports give their sockets back in the loop's next turn

    def _from_outside(self, packet: bytes, sender: Address) -> None:
        if sender == self._inner:
            if self._peer is not None and self._public is not None:
                self._public.sendto(packet, self._peer)
        elif is_deaf(packet):
            self.dropped += 1
        elif (transport := self._upstream.get(sender)) is not None:
            self._upstream.move_to_end(sender)
            transport.sendto(packet, self._inner)
        elif sender in self._opening:
            self._opening[sender].append(packet)
        else:
            self._opening[sender] = [packet]
            task = asyncio.get_running_loop().create_task(self._open(sender), name=f"carrier-front-{sender[1]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, client: Address) -> None:
        """A client's first packets wait for its socket; afterwards the path has no task in it."""
        try:
            transport = await _bound((self._inner[0], 0), self._towards(client))
        except OSError:
            del self._opening[client]  # out of descriptors: SIP sends it again
            return
        self._upstream[client] = transport
        for packet in self._opening.pop(client):
            transport.sendto(packet, self._inner)
        while len(self._upstream) > _MOST_CLIENTS:
            self._upstream.popitem(last=False)[1].close()

    def _towards(self, client: Address) -> Callable[[bytes, Address], None]:
        def back(packet: bytes, _sender: Address) -> None:
            if self._public is not None:
                self._public.sendto(packet, client)

        return back


def is_deaf(packet: bytes) -> bool:
    """True for a request to a number that never answers a packet; answers are never that."""
    match = _REQUEST_TO.match(packet)
    return match is not None and match[1].endswith(_DEAF)


class _Relay(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self.datagram_received = received  # type: ignore[method-assign,assignment]


async def _bound(address: Address, received: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
    handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        handle.setblocking(False)
        handle.bind(address)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Relay(received), sock=handle)
    except BaseException:
        handle.close()
        raise
    return transport
