"""Names to addresses, once for each connection, and never to one that may not be spoken to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.errors import AddressRefused
from engine.webhooks import urls
from engine.webhooks.addresses import Network, permitted

WITHIN = 5.0
"""Seconds that a name server has."""
_THREADS = 32
"""For getaddrinfo(3), which blocks. Not the loop's own threads: a name server that hangs must not hold up the spool."""

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) → addresses. Raises OSError."""


class SystemLookup:
    """The system's resolver, ``/etc/hosts`` included."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _getaddrinfo, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _getaddrinfo(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Guard(AbstractResolver):
    """aiohttp's resolver: it connects to exactly the addresses that come from here, so that a second answer of the name
    server (rebinding) is never asked for. An address that stands in the URL itself does not pass here: ``check`` it."""

    def __init__(self, allow: Sequence[Network] = (), lookup: Lookup | None = None) -> None:
        self._allow = tuple(allow)
        self._lookup = lookup or SystemLookup()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused, OSError when the name is unknown."""
        addresses = [each for each in await self.addresses(host, port) if permitted(each, port, self._allow)]
        if not addresses:
            raise AddressRefused(f"{host} leads to no public address and port")
        made = [_result(host, address, port) for address in addresses]
        return [each for each in made if family in (socket.AF_UNSPEC, each["family"])]

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All that the name server says. Raises OSError (TimeoutError is one)."""
        async with asyncio.timeout(WITHIN):
            return await self._lookup(host, port)

    def check_literal(self, url: URL) -> None:
        """Raises AddressRefused when an address stands in the URL that may not be spoken to."""
        address = urls.literal(url)
        if address is not None and not permitted(address, url.port or 0, self._allow):
            raise AddressRefused("leads to no public address and port")

    async def check(self, url: URL) -> None:
        """As far as can be known now. Raises AddressRefused. A name that nobody knows yet is not refused, because it is
        judged again at each connection, but for names that never lead out of a network."""
        self.check_literal(url)
        if urls.literal(url) is not None:
            return
        host = url.raw_host or ""
        try:
            await self.resolve(host, url.port or 0)
        except OSError:
            if urls.local_name(host):
                raise AddressRefused("leads to no public address and port") from None

    async def close(self) -> None:
        if isinstance(self._lookup, SystemLookup):
            self._lookup.close()


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
