"""What commands ask of the running engine: its calls and those of the other engines of its database."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.calls.model import Call, replay
from engine.commands import orders
from engine.commands.context import LiveFlow
from engine.config import Config
from engine.errors import NotFound, StoreAway, Unavailable
from engine.sessions.arrival import Arrivals
from engine.sessions.inbox import Order
from engine.sessions.registry import Registry
from engine.store.call_book import PgCallBook
from engine.store.operators import Operators
from engine.store.orders import Orders
from engine.store.port import Accounts, Calls, Journal, NewCall, Routes
from engine.telephony.ami.link import AmiLink

ELSEWHERE: Final = 5.0
"""Seconds that another engine has to end a call of its own that somebody deletes here."""
RETRY: Final = 0.1
"""Seconds between looks at whether it has."""


@dataclass(slots=True)
class Desk:
    """Implements ``engine.commands.context.EnginePort``."""

    config: Config
    registry: Registry
    managers: Sequence[AmiLink]
    journal: Journal
    calls: Calls
    accounts: Accounts
    routes: Routes
    arrivals: Arrivals
    operators: Operators
    orders: Orders
    call_book: PgCallBook
    remembered: asyncio.Event = field(default_factory=asyncio.Event)
    """PostgreSQL was reached, the spool is drained, the calls of the last process are adopted."""

    def ready(self) -> Mapping[str, bool]:
        return {
            "postgres": self.remembered.is_set() and not self.journal.away,
            "asterisk": any(
                switch.up and name in self.registry.settled for name, switch in self.registry.switches.items()
            ),
            "ami": any(manager.up for manager in self.managers),
        }

    def accepting(self) -> None:
        if not self.remembered.is_set():
            raise Unavailable("the engine is starting", retry_after=1)
        if self.journal.away and self.config.database.when_away == "refuse":
            raise Unavailable("PostgreSQL can't be reached", retry_after=2)
        self.registry.accepting()

    def live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    async def start_call(self, call: NewCall) -> None:
        self.accepting()
        account = await self.accounts.get(call.account)
        if account is None:
            raise NotFound("no such account")
        try:
            await self.registry.start(call, account, self.registry.choose())
        except StoreAway as error:
            raise Unavailable("the call can't be kept", retry_after=2) from error

    def find(self, request_id: str) -> Call | None:
        return self.registry.find(request_id)

    async def end_call(self, request_id: str) -> None:
        try:
            await self.registry.end_call(request_id)
        except NotFound:
            await self._end_elsewhere(request_id)

    async def channel(self, account: str, name: str) -> tuple[str, str, str] | None:
        """Of this engine's calls, else of another one's."""
        if found := self.registry.channel(account, name):
            return found
        request_id = await self.orders.call_of_channel(account, name)
        if request_id is None or request_id in self.registry.sessions:
            return None
        call = replay(await self.calls.events(request_id, account) or ())
        leg = next((leg for leg in call.legs.values() if leg.alive and leg.channel == name), None)
        others = [call.legs[n].leg_id for n in call.parties if leg and n != leg.n and call.legs[n].alive]
        return (request_id, leg.leg_id, others[0] if others else "") if leg else None

    def leads_to(self, account: str, code: str) -> tuple[str, Mapping[str, Any]] | None:
        return self.arrivals.leads_to(self.routes.current(), account, code)

    async def live_flows(self, account: str) -> list[LiveFlow]:
        """Ours from memory, which events keep right; the others' as they have written them down, unless that is away."""
        found = Counter(
            (session.call.flow, session.call.direction, session.call.campaign_id is not None)
            for session in self.registry.sessions.values()
            if session.call.alive and session.call.account == account
        )
        with contextlib.suppress(StoreAway):
            for flow, direction, campaign, calls in await self.call_book.live_elsewhere(account, self.config.engine_id):
                found[flow, direction, campaign] += calls
        return [LiveFlow(*kind, calls) for kind, calls in found.items()]

    async def control(
        self, request_id: str, action: str, leg: str, fields: Mapping[str, Any], *, by: str = "api"
    ) -> Mapping[str, Any]:
        """Here, or in the engine that has the call."""
        order = Order(action, leg, fields, by)
        if request_id in self.registry.sessions or not await self.calls.is_live([request_id]):
            return await self.registry.control(request_id, order)
        return orders.given_back(
            await self.orders.ask(request_id, action, leg, fields, by=by, within=order.within + ELSEWHERE)
        )

    async def _end_elsewhere(self, request_id: str) -> None:
        """Ask the engine that has the call, another one of this database, and see that it ends. Raises Unavailable."""
        await self.operators.ask_hangup(request_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ELSEWHERE):
                while await self.calls.is_live([request_id]):
                    await asyncio.sleep(RETRY * random.uniform(0.75, 1.25))
                return
        raise Unavailable("the engine that has the call does not answer", retry_after=5)
