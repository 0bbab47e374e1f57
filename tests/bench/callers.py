"""Callers who press keys: the telephone network, in this process, calls the engine's menus.

The moment of a sound is when its packet was read here. A gap of ``QUIET`` seconds makes the next packet a new prompt's
first one: Asterisk sends nothing while it plays nothing, but for comfort noise, which is of another type.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from engine.testkit.phone import Phone, PhoneCall
from engine.testkit.rtp import Sound

QUIET = 0.06
PROMPT_WITHIN = 10.0
ANSWERS_WITHIN = 20.0


class Ears(Sound):
    """Keeps when it heard something, and not what."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.began = 0.0
        """Seconds since the epoch of the first packet of what was heard last."""
        self.last = 0.0
        self.news = asyncio.Event()

    def datagram_received(self, data: bytes, _addr: tuple[str, int]) -> None:
        if len(data) > 12 and data[1] & 0x7F == 0:
            now = time.time()
            if now - self.last > QUIET:
                self.began = now
                self.news.set()
            self.last = now

    async def prompt(self, after: float) -> float:
        """When the first prompt after that moment began. Raises TimeoutError."""
        async with asyncio.timeout(PROMPT_WITHIN):
            while self.began <= after:
                self.news.clear()
                await self.news.wait()
        return self.began

    async def quiet(self, seconds: float = QUIET) -> None:
        """Until nothing has been heard for so long."""
        while (left := self.last + seconds - time.time()) > 0:
            await asyncio.sleep(left)


@dataclass
class Caller:
    call: PhoneCall
    ears: Ears

    async def press(self, key: str) -> float:
        """When the key began to be pressed."""
        began = time.time()
        self.ears.press(key)
        return began

    async def hang_up(self) -> None:
        await self.call.hang_up()


class Network(Phone):
    """The port that the engine's Asterisk knows as its trunk; any number of calls go out of it."""

    @classmethod
    async def at(cls, port: int, server: str) -> "Network":
        host, _, target = server.rpartition(":")
        network = cls((host, int(target)), "15550001111", "", 0.0, None)
        loop = asyncio.get_running_loop()
        network._transport, _ = await loop.create_datagram_endpoint(lambda: network, local_addr=("127.0.0.1", port))
        network._port = port
        return network

    async def enter(self, number: str) -> Caller:
        """Call ``number``; returns when it has answered. Raises AssertionError when it does not."""
        ears = Ears()
        call = PhoneCall(
            self, number, f"{secrets.token_hex(8)}@bench", ears, await ears.open("127.0.0.1"), incoming=False
        )
        call.local = f"<sip:{self.extension}@{self.where}>;tag={secrets.token_hex(5)}"
        call.remote, call.target = f"<sip:{number}@{self.where}>", f"sip:{number}@{self.where}"
        self.calls[call.call_id] = call
        self._invite(call, None)
        await call.answered(within=ANSWERS_WITHIN)
        return Caller(call, ears)
