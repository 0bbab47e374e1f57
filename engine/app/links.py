"""What comes in beside the events of calls: links that break and are back, operators, orders from other processes."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from engine.commands import orders
from engine.commands.context import Context
from engine.errors import NotFound, StateConflict, StoreError, TelephonyError, TrunklineError
from engine.ops.devices import DeviceWatch
from engine.ops.operators import ASKED, obey
from engine.sessions import reconcile
from engine.sessions.registry import Registry
from engine.store.orders import Orders
from engine.telephony.ami.link import AmiLink
from engine.telephony.cel_reader import CelReader
from engine.telephony.events import LinkRestored, TelephonyEvent
from engine.telephony.manager import ManagerEvent, UserEvent
from engine.telephony.port import Switch

log = structlog.get_logger(__name__)

RETRY: Final = 0.25
"""Seconds between two comparisons with a server, or two looks for calls of a stopped campaign."""
STOP_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class Links:
    registry: Registry
    switches: Mapping[str, Switch]
    cels: Mapping[str, CelReader]
    managers: Sequence[AmiLink]
    device_watch: DeviceWatch
    orders: Orders
    context: Callable[[], Context]
    spawn: Callable[[Coroutine[Any, Any, None], str], None]

    def on_manager(self, event: ManagerEvent) -> None:
        self.device_watch.heard(event)
        if isinstance(event, UserEvent) and event.name == ASKED:
            manager = next(each for each in self.managers if each.name == event.server)
            self.spawn(obey(self.context(), manager, event), "operator")
        log.debug("ami", received=repr(event))

    async def obey(self, told: str) -> None:
        """An order that another process has for a call of ours."""
        request_id, _, number = told.partition(" ")
        if request_id not in self.registry.sessions:
            return
        row = await self.orders.find(int(number))
        if row is None:
            return
        try:
            answer = await orders.execute(
                self.context(), row.request_id, row.action, row.leg, row.fields, by=row.asked_by
            )
        except TrunklineError as error:
            answer = orders.told(error)
        await self.orders.answer(int(number), answer)

    async def stop_campaign(self, campaign_id: str) -> None:
        """Let go of whom it rings; who has answered is let finish. What was placed in the moment of the stop comes to
        light within the next."""
        for _ in range(STOP_LOOKS):
            for session in list(self.registry.sessions.values()):
                if session.call.campaign_id == campaign_id and session.call.answered_at is None:
                    session.stop("cancelled")
            await asyncio.sleep(RETRY)

    def on_link(self, event: TelephonyEvent) -> None:
        self.registry.settled.discard(event.server)
        log.warning("link", server=event.server, up=isinstance(event, LinkRestored))
        if isinstance(event, LinkRestored):
            self.spawn(self._reconcile(event.server), f"reconcile {event.server}")

    async def _reconcile(self, server: str) -> None:
        """Compare calls and channels; tried again while the link holds, for a list may come late on a busy server."""
        switch, cel = self.switches[server], self.cels.get(server) or reconcile.NoCel()
        while switch.up:
            try:
                await reconcile.server(self.registry, switch, cel)
            except (TelephonyError, StoreError) as error:
                log.warning("reconcile_again", server=server, error=repr(error))
                await asyncio.sleep(RETRY * random.uniform(1, 2))
            else:
                return

    async def hang_up(self, request_id: str) -> None:
        with contextlib.suppress(NotFound, StateConflict):
            await self.registry.end_call(request_id)
