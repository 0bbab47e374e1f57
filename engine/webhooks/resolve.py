"""Names to addresses, once for each connection, and never to one that may not be spoken to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.errors import AddressRefused
from engine.webhooks import urls
from engine.webhooks.addresses import Network, permitted

WITHIN = 5.0
"""Seconds that a name server has."""
_THREADS = 64
"""For getaddrinfo(3), which blocks. Not the loop's own threads: a name server that hangs must not hold up the spool."""

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) → addresses. Raises OSError."""


class SystemLookup:
    """The system's resolver, ``/etc/hosts`` included. A thread for each question, and none that an exit waits for."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_THREADS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        async with self._free:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[list[str]] = loop.create_future()
            Thread(target=_ask_system, args=(loop, answer, host, port), name=f"name {host}", daemon=True).start()
            return list(dict.fromkeys(await answer))


def _ask_system(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]], host: str, port: int) -> None:
    try:
        found, error = _getaddrinfo(host, port), None
    except (OSError, UnicodeError) as unknown:
        found, error = [], OSError(f"{type(unknown).__name__}: {unknown}")
    with suppress(RuntimeError):  # the loop has been closed
        loop.call_soon_threadsafe(_tell, answer, found, error)


def _tell(answer: asyncio.Future[list[str]], found: list[str], error: OSError | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(found)
    else:
        answer.set_exception(error)


def _getaddrinfo(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Guard(AbstractResolver):
    """aiohttp's resolver: it connects to exactly the addresses that come from here, so that a second answer of the name
    server (rebinding) is never asked for. An address that stands in the URL itself does not pass here: ``check`` it."""

    def __init__(self, allow: Sequence[Network] = (), lookup: Lookup | None = None) -> None:
        self._allow = tuple(allow)
        self._lookup = lookup or SystemLookup()
        self._asking: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}
        """Questions under way: connections that begin together share one, so that a name server that hangs costs one
        thread."""

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
        key = (host, port)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(host, port), name=f"name {host}")
            task.add_done_callback(partial(self._answered, key))
        async with asyncio.timeout(WITHIN):
            return await asyncio.shield(task)

    async def _ask(self, host: str, port: int) -> Sequence[str]:
        return await self._lookup(host, port)

    def _answered(self, key: tuple[str, int], task: asyncio.Task[Sequence[str]]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have gone

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
        for task in list(self._asking.values()):
            task.cancel()


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
