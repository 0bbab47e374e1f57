"""What the suite of the telephony port runs on: a switch, and the events it told, in order."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.telephony.events import LinkLost, LinkRestored, TelephonyEvent
from engine.telephony.port import Switch

E = TypeVar("E", bound=TelephonyEvent)


def subject(event: TelephonyEvent) -> str:
    """The id that an event is about."""
    told: Any = event
    for name in ("playback_id", "name"):
        if hasattr(told, name):
            return str(getattr(told, name))
    return str(told.channel.id) if hasattr(told, "channel") else ""


@dataclass
class Heard:
    """The sink: keeps all, wakes who waits."""

    events: list[TelephonyEvent] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: TelephonyEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def wait(self, kind: type[E], about: str = "", *, seconds: float = 60, number: int = 1) -> E:
        """The ``number``-th event of that kind about ``about``, now or within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                while len(found := self.of(kind, about)) < number:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} about {about!r}; heard {self.kinds(about)}") from None
        return found[number - 1]

    def of(self, kind: type[E], about: str = "") -> list[E]:
        return [event for event in self.events if isinstance(event, kind) and (not about or subject(event) == about)]

    def kinds(self, about: str = "") -> list[str]:
        """Names of the events about one thing, in order."""
        return [
            type(event).__name__
            for event in self.events
            if not isinstance(event, LinkLost | LinkRestored) and (not about or subject(event) == about)
        ]


@dataclass
class Line:
    """A switch under test."""

    switch: Switch
    heard: Heard
    trunk: str
    real: bool

    def endpoint(self, number: str) -> str:
        return f"PJSIP/{number}@{self.trunk}"

    async def lists(self, *channels: str, bridges: int | None = None) -> None:
        """Wait until just these channels are listed, and so many bridges: lists lag behind events by a moment."""
        async with asyncio.timeout(60):
            while {each.id for each in await self.switch.channels()} != set(channels) or (
                bridges is not None and len(await self.switch.bridges()) != bridges
            ):
                await asyncio.sleep(0.01)

    async def dial(self, channel_id: str, number: str, *, timeout: float = 60) -> None:
        """Create, wait until it entered, dial: as the verb does it."""
        await self.switch.create_channel(channel_id, self.endpoint(number), caller_id="15168148111")
        from engine.telephony.events import ChannelEntered

        await self.heard.wait(ChannelEntered, channel_id)
        await self.switch.dial(channel_id, timeout=timeout)
