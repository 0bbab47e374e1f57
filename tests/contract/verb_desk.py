"""Calls whose flow is a test: verbs on the fake and on a real Asterisk with the simulator behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from engine.calls.account import Account, Limits
from engine.calls.model import Call, Leg
from engine.calls.routing import Route
from engine.embedded.carrier import place_inbound
from engine.flows.apology import apologise
from engine.flows.prompts import PROMPTS
from engine.media.tts.port import Speech, Spoken
from engine.sessions.arrival import Arrivals
from engine.sessions.reconcile import NoCel, server
from engine.sessions.registry import Registry
from engine.sessions.services import Flow, Services
from engine.sessions.session import Session
from engine.store.memory import Memory, MemoryAccounts, MemoryCalls, MemoryJournal, MemoryRoutes
from engine.store.port import NewCall
from engine.telephony.events import LinkRestored, TelephonyEvent
from engine.telephony.port import Switch
from engine.testkit.asterisks import TRUNK, Asterisks
from engine.testkit.heard import Callee as HeardCallee
from engine.testkit.heard import last_call
from engine.verbs.dial import Dial, dial

INBOUND = "inbound_test"
"""Flow of calls that come in."""
CALLER_ID = "15168148111"
ACCOUNT = Account("a", 1, "1", frozenset({CALLER_ID}), limits=Limits(connect_prompt=False))
_SERIAL = count(1)


class Beeps:
    """A speaker whose speech is a recorded prompt, so that what is heard does not hang on a voice."""

    def check(self, speech: Speech) -> str:
        return ""

    async def speak(self, speech: Speech) -> Spoken:
        return Spoken("sound:vm-goodbye", None, 1.0)

    async def speak_secret(self, speech: Speech) -> Spoken:
        return await self.speak(speech)


@dataclass
class Desk:
    """``run`` places a call whose flow is what is handed in, and gives the call when it has ended."""

    pair: Asterisks | None
    switch: Switch = field(init=False)
    registry: Registry = field(init=False)
    memory: Memory = field(default_factory=Memory)
    flows: dict[str, Flow] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    account: Account = ACCOUNT

    @property
    def real(self) -> bool:
        return self.pair is not None

    def build(self, make: Callable[[Callable[[TelephonyEvent], None]], Switch]) -> None:
        self.switch = make(self._take)
        accounts = MemoryAccounts()
        accounts.put(ACCOUNT, "auth")
        routes = MemoryRoutes((Route(1, "outbound", "", "trunk", TRUNK), Route(2, "inbound", "", "flow", INBOUND, "a")))
        services = Services(
            engine_id="e",
            journal=MemoryJournal(self.memory),
            calls=MemoryCalls(self.memory),
            accounts=accounts,
            routes=routes,
            flow_of=self.flows.get,
            live_calls=self._live_calls,
            speaker=Beeps(),
            prompts=PROMPTS,
            apologise=apologise,
        )
        self.registry = Registry(services, {"asterisk": self.switch}, Arrivals({}, "a"), self._on_link)

    def _live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    def _take(self, event: TelephonyEvent) -> None:
        self.registry.dispatch(event)

    def _on_link(self, event: TelephonyEvent) -> None:
        if isinstance(event, LinkRestored):
            self.registry.spawn(server(self.registry, self.switch, NoCel()), "compare")

    async def run(
        self,
        flow: Callable[[Session], Awaitable[Any]],
        *,
        within: float = 120.0,
        params: Mapping[str, Any] | None = None,
        raising: bool = True,
    ) -> tuple[Any, Call]:
        """(what the flow gave, the call). Raises what the flow raised, if that is wanted."""
        given: list[Any] = []
        name = f"flow{next(_SERIAL)}"
        self.flows[name] = self._kept(flow, given)
        request_id = f"{next(_SERIAL):010x}"
        new = NewCall(request_id, "a", name, "outbound", "e", datetime.now(UTC), params or {})
        session = await self.registry.begin(new, self.account, self.switch)
        self.registry.run(session)
        assert session.task is not None
        async with asyncio.timeout(within):
            await session.task
        if self.failures and raising:
            raise self.failures.pop()
        return given[0] if given else None, session.call

    def _kept(self, flow: Callable[[Session], Awaitable[Any]], given: list[Any]) -> Flow:
        async def kept(session: Session, _params: Any) -> str | None:
            try:
                given.append(await flow(session))
            except Exception as error:
                self.failures.append(error)
                raise
            return None

        return kept

    async def heard(self, number: str) -> HeardCallee:
        assert self.pair is not None
        return await last_call(self.pair.results, number)

    def dial_in(self, caller: str, called: str, script: list[tuple[float, str]], hangup_after: float = 0) -> None:
        assert self.pair is not None
        place_inbound(self.pair.carrier.folders, caller, called, script=script, hangup_after=hangup_after)


async def dialled(session: Session, number: str, role: str, attempt: int) -> Leg:
    return await dial(session, Dial(role, number, CALLER_ID, ring_timeout=60, attempt=attempt))


BRING: ContextVar[Callable[[Session, str, str, int], Awaitable[Leg]]] = ContextVar("BRING", default=dialled)
"""How a party comes to be there: dialled, or by another door."""


async def up(session: Session, number: str, role: str = "customer", attempt: int = 1) -> Leg:
    """A party that has answered."""
    leg = await BRING.get()(session, number, role, attempt)
    assert leg.up, leg
    return leg
