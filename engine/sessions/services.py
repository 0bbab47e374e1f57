"""What every live call is handed: its memory, its clock, its routes. No module state."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.media.tts.port import Speaker, Speechless
from engine.sessions.codes import Codes
from engine.store.port import Accounts, Calls, Journal, Routes

if TYPE_CHECKING:
    from engine.sessions.inbox import Order
    from engine.sessions.session import Session

PLACED_AT_ONCE = 24
"""First legs on their way to Asterisk at once; in a burst the others wait, so that it keeps up with those it has."""

Apologise = Callable[["Session"], Awaitable[None]]
"""Tells who is on the line that the call failed."""

Flow = Callable[["Session", Mapping[str, Any]], Awaitable[str | None]]
"""A call flow. What it returns is the call's ``result``; that a party hung up is no error."""

Control = Callable[["Session", "Order"], Awaitable[Mapping[str, Any]]]
"""What an order from outside does to a live call; what it returns is in the order's answer."""

CallBack = Callable[["Session", str, str, float], Awaitable[None]]
"""Have an agent (the first number) called in so many seconds, and then connected to the second number. Never raises for
what a caller typed."""


def utc_now() -> datetime:
    return datetime.now(UTC)


async def _nobody_calls_back(_session: "Session", _agent: str, _number: str, _after: float) -> None:
    """Without a dialer."""


async def in_silence(_session: "Session") -> None:
    """No apology."""


@dataclass(frozen=True, slots=True)
class Services:
    engine_id: str
    journal: Journal
    calls: Calls
    accounts: Accounts
    routes: Routes
    flow_of: Callable[[str], Flow | None]
    live_calls: Callable[[str], int]
    """Live calls of an account."""
    now: Callable[[], datetime] = utc_now
    on_recorded: Callable[[str], None] = lambda _name: None
    """Told the name of a recording whose call has ended."""
    placing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PLACED_AT_ONCE))
    """Held by a call while its first leg is handed to Asterisk. Further legs pass: somebody waits for them already."""
    link_patience: float = 20.0
    """Seconds that a call waits for a lost link before it takes a command for undone."""
    prompts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Purpose of a prompt → media URI."""
    speaker: Speaker = field(default_factory=Speechless)
    """Text to speech."""
    has_menu: Callable[[str], bool] = lambda _: False
    parked: Callable[[str], Mapping[str, str]] = lambda _: {}
    """Account → slots that are taken → request ids."""
    session_with: Callable[[str], "Session | None"] = lambda _: None
    """The live call that a channel is in."""
    move: Callable[[str, str], None] = lambda _channel, _call: None
    """A channel goes over to another call (its request id): its events too."""
    controls: Mapping[str, Control] = field(default_factory=dict)
    """Action → what it does to a live call."""
    call_back: CallBack = _nobody_calls_back
    apologise: Apologise = in_silence
    codes: Codes = field(default_factory=Codes)
    """One-time passwords of calls under way."""


@dataclass(slots=True)
class Waiters:
    """Futures that wait for something to become true of a call; looked at after each event, never polled."""

    pending: list[tuple[Callable[[], bool], asyncio.Future[None]]] = field(default_factory=list)

    def wake(self) -> None:
        for ready, future in self.pending:
            if not future.done() and ready():
                future.set_result(None)

    async def until(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """True when ``ready()`` holds, False after ``timeout`` seconds."""
        if ready():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (ready, future)
        self.pending.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return ready()
        else:
            return True
        finally:
            self.pending.remove(entry)
