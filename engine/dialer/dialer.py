"""The engine's hand at due calls: claim a few, wait for their instants, ask their kinds, place them, look after them.

What is in memory is the next second's work and what is under way. All else is in PostgreSQL, and an engine that dies leaves
nothing there that another one can't tell: what it had claimed was not dialled, what it had placed may have been.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from engine.calls.account import Account
from engine.calls.events import Event
from engine.calls.model import Call, replay
from engine.calls.routing import NoRoute, endpoint
from engine.dialer import caps, windows
from engine.dialer.brake import Brake
from engine.dialer.kinds import Kind, Later, Order, Skip
from engine.dialer.port import EXPIRED, REFUSED, Claimed, Dialing
from engine.errors import RequestError, StoreAway, StoreError, Unavailable
from engine.sessions.reconcile import FRESH
from engine.sessions.session import Session
from engine.store.port import Accounts, Calls, NewCall, Routes
from engine.telephony.port import Switch

log = structlog.get_logger(__name__)

LEASE = 6.0
"""Seconds after the last sign of life until what an engine has claimed passes on."""
BEAT = 1.0
PAUSE = 0.5
"""Seconds until what could not be placed now is looked at again."""
TROUBLE = timedelta(seconds=5)
"""Until a due call is looked at again that could not be asked about."""
LEAST_PAUSE = 0.05
"""Seconds between two claims when the last one found nothing."""
HOUSEKEEPING = 600.0
FORGET = 500
"""Ended due calls that are deleted at once, so that nobody waits for it; and seconds until the next."""
FORGET_PAUSE = 0.2
LOST_AFTER = 4 * 3600.0
"""Seconds after which a placed call of which no engine told an end is given up: longer than a call may last."""
CONCURRENT = 500
"""Calls at once of an account without a limit of its own."""


class Engine(Protocol):
    """What the dialer needs of the engine around it (``engine.sessions.registry.Registry``)."""

    def choose(self) -> Switch: ...
    def live_calls(self, account: str) -> int: ...
    def take_up(self, call: Call, account: Account, switch: Switch) -> Session: ...


@dataclass(slots=True)
class Dialer:
    engine_id: str
    table: Dialing
    kinds: Mapping[str, Kind]
    engine: Engine
    calls: Calls
    accounts: Accounts
    routes: Routes
    brake: Brake
    accepting: Callable[[], None]
    """Raises Unavailable while no call can be begun."""
    trunks: Mapping[str, int] = field(default_factory=dict)
    """Trunk → calls at once that it takes."""
    keep_days: int = 90
    """Days for which due calls are kept after their end."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    holding: int = 0
    """Due calls that were claimed and are not placed yet."""
    flying: int = 0
    """Due calls that this engine has placed and that have not ended."""
    of_account: Counter[str] = field(default_factory=Counter)
    """Calls that are about to begin."""
    of_trunk: Counter[str] = field(default_factory=Counter)
    limits: dict[str, int] = field(default_factory=dict)
    """Account → calls at once, as last heard; of those whose due calls came by here."""
    placed: Counter[str] = field(default_factory=Counter)
    """Kind → due calls placed so far."""
    held: set[int] = field(default_factory=set)
    """Due calls that were claimed and are not settled."""
    unsure: bool = False
    """The answer to a claim was lost: PostgreSQL may think that we have what we do not."""
    busy: set[str] = field(default_factory=set)
    """Lanes that are being fed, or ended."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stopping: bool = False

    def wake(self) -> None:
        """Something may be due."""
        self.woken.set()

    async def run(self) -> None:
        """Dial what is due, for ever."""
        with suppress(StoreError):
            await self.table.alive(self.engine_id, LEASE)
        beside = [
            asyncio.create_task(self._beat(), name="dialer lease"),
            asyncio.create_task(self._tidy(), name="dialer housekeeping"),
        ]
        try:
            while not self.stopping:
                pause = await self._turn_whatever()
                self.woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause * random.uniform(0.9, 1.0)):
                        await self.woken.wait()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def stop(self) -> None:
        """Claim nothing more, and give back what is claimed and not placed."""
        self.stopping = True
        self.wake()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        with suppress(StoreError):
            await self.table.restart(self.engine_id)

    # -- claiming ----------------------------------------------------------------------------------------------------

    async def _turn_whatever(self) -> float:
        """A lane that can't be understood today must not end the dialing of all."""
        try:
            return await self._turn()
        except Exception:
            log.exception("claim_failed")
            self.unsure = True
            return TROUBLE.total_seconds()

    async def _turn(self) -> float:
        """Claim once; seconds until the next time."""
        room = self._room()
        if room <= 0:
            return LEAST_PAUSE
        try:
            if self.unsure:
                await self.table.restart(self.engine_id, sorted(self.held))
                self.unsure = False
            claims = await self.table.claim(self.engine_id, room=room, full=self._full(), concurrent=CONCURRENT)
        except StoreError as error:
            tell = log.debug if isinstance(error, StoreAway) else log.error
            tell("nothing_claimed", error=str(error))
            self.unsure = True
            return PAUSE
        began = asyncio.get_running_loop().time()
        for claimed in claims.calls:
            self.holding += 1
            self.held.add(claimed.due.id)
            self._spawn(self._hold(claimed, began + claimed.after), f"due {claimed.due.id}")
        for lane in claims.hungry:
            self._once(lane, self._feed(lane))
        for lane in claims.drained:
            self._once(lane, self._drained(lane))
        return claims.again if claims.calls else max(claims.again, LEAST_PAUSE)

    def _room(self) -> int:
        """Due calls that this engine may claim now; none while it can't place any."""
        try:
            self.accepting()
        except Unavailable:
            return 0
        return self.brake.room(self.flying + self.holding)

    def _full(self) -> list[str]:
        """Accounts that have no room here."""
        return [account for account, most in self.limits.items() if self._crowded(account, most)]

    def _crowded(self, account: str, most: int) -> bool:
        return self.engine.live_calls(account) + self.of_account[account] >= most

    async def _feed(self, lane: str) -> None:
        """Raises what its kind raises."""
        await self.kinds["campaign"].feed(lane)
        self.wake()

    async def _drained(self, lane: str) -> None:
        await self.kinds["campaign"].drained(lane)

    def _once(self, lane: str, work: Coroutine[Any, Any, None]) -> None:
        """One such task a lane."""
        if lane in self.busy or "campaign" not in self.kinds:
            work.close()
            return
        self.busy.add(lane)
        self._spawn(work, f"lane {lane}").add_done_callback(lambda _: self.busy.discard(lane))

    # -- one due call --------------------------------------------------------------------------------------------------

    async def _hold(self, claimed: Claimed, at: float) -> None:
        """From the claim to the end of the call."""
        placed = None
        try:
            kind = self.kinds[claimed.due.kind]
            ready = self._spawn(kind.ahead(claimed.due), f"ahead {claimed.due.id}")
            await asyncio.sleep(max(at - asyncio.get_running_loop().time(), 0))
            if not ready.done():
                await asyncio.wait([ready], timeout=PAUSE)
            placed = await self._dial(kind, claimed)
        except Exception as error:  # noqa: BLE001 - whatever a kind raises, its due call is not lost
            log.warning("due_call_waits", due=claimed.due.id, error=repr(error))
            self._spawn(self._give_back(claimed), f"give back {claimed.due.id}")
        finally:
            self.holding -= 1
            self.held.discard(claimed.due.id)
        if placed is not None:
            await self._look_after(placed)

    async def _dial(self, kind: Kind, claimed: Claimed) -> Session | None:
        due = claimed.due
        account = await self.accounts.get(due.account)
        if account is None:
            await self._skip(kind, claimed, REFUSED)
            return None
        if due.expires_at is not None and due.expires_at <= self.now():
            await self._skip(kind, claimed, EXPIRED)
            return None
        self.limits[due.account] = account.limits.concurrent_calls
        try:
            self.accepting()
            switch = self.engine.choose()
        except Unavailable:
            await self._later(claimed, None)
            return None
        trunk = self._trunk(account, due.number)
        if not self._has_room(account, trunk):
            await self._later(claimed, None)
            return None
        self.of_account[due.account] += 1
        self.of_trunk[trunk] += 1
        try:
            return await self._ask_and_place(kind, claimed, account, switch, trunk)
        finally:
            self.of_account[due.account] -= 1
            self.of_trunk[trunk] -= 1

    def _has_room(self, account: Account, trunk: str) -> bool:
        if self._crowded(account.account, account.limits.concurrent_calls):
            return False
        return trunk not in self.trunks or self.of_trunk[trunk] < self.trunks[trunk]

    def _trunk(self, account: Account, number: str) -> str:
        """The trunk that the number leads to; the gate will tell if there is none."""
        with suppress(NoRoute):
            return endpoint(self.routes.current(), number, account.account).partition("@")[2]
        return ""

    async def _ask_and_place(
        self, kind: Kind, claimed: Claimed, account: Account, switch: Switch, trunk: str
    ) -> Session | None:
        if (until := await self._not_before(claimed)) is not None:
            await self._later(claimed, until)
            return None
        answer = await kind.order(claimed.due)
        if isinstance(answer, Skip):
            await self._skip(kind, claimed, answer.result)
            return None
        if isinstance(answer, Later):
            await self._later(claimed, answer.until)
            return None
        return await self._place(claimed, answer, account, switch, trunk)

    async def _not_before(self, claimed: Claimed) -> datetime | None:
        """When the number may be called, if that is not now: by its lane's windows, and its caps. What can't be called in
        the days that can be seen is looked at again then, until it expires."""
        due, rules = claimed.due, claimed.rules
        if rules.schedule and not windows.open_at(rules, due.number, self.now()):
            opening = windows.opening(rules, due.number, self.now())
            return opening or self.now() + timedelta(days=windows.LOOK)
        if rules.per_day is None and rules.per_week is None:
            return None
        tries, now = await self.table.tries(due.account, due.number)
        free = caps.free_at(rules, tries, now)
        return free if free > now else None

    async def _place(
        self, claimed: Claimed, order: Order, account: Account, switch: Switch, trunk: str
    ) -> Session | None:
        due = claimed.due
        first = due.request_id if due.request_id and not due.attempt else None
        call = NewCall(
            request_id=first or await self.calls.next_request_id(),
            account=due.account,
            flow=order.flow,
            direction="outbound",
            engine=self.engine_id,
            created_at=self.now(),
            params=order.params,
            campaign_id=due.campaign_id,
        )
        timeline = await self._written_down(claimed, call, switch)
        if not timeline:
            await self._later(claimed, None)
            return None
        self.placed[due.kind] += 1
        self.flying += 1
        session = self.engine.take_up(replay(timeline), account, switch)
        assert session.task is not None
        if self.now() - call.created_at > FRESH:
            session.stop("engine_restart")
        self.of_trunk[trunk] += 1
        session.task.add_done_callback(lambda _: self._over(trunk))
        return session

    async def _written_down(self, claimed: Claimed, call: NewCall, switch: Switch) -> Sequence[Event]:
        """The timeline of the call that stands for the due call now. While PostgreSQL is away nobody knows whether it was
        written, so that it is asked until it tells."""
        while True:
            try:
                return (await self.table.place(self.engine_id, claimed, call, switch.name)).timeline
            except StoreAway:
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))

    def _over(self, trunk: str) -> None:
        self.flying -= 1
        self.of_trunk[trunk] -= 1
        self.wake()

    async def _look_after(self, session: Session) -> None:
        """Learn from how it ends."""
        assert session.task is not None
        await asyncio.wait([session.task])
        failed = any(leg.why == "unplaced" or leg.sip_code == 503 for leg in session.call.legs.values())  # noqa: PLR2004
        self.brake.ended(self.flying + 1, failed=failed)

    async def _later(self, claimed: Claimed, until: datetime | None) -> None:
        """Give it back; None: it could not be placed, and may be in a moment."""
        await self.table.postpone(self.engine_id, claimed, until or self.now() + timedelta(seconds=PAUSE))

    async def _give_back(self, claimed: Claimed) -> None:
        """Whatever it was that went wrong, until PostgreSQL has it."""
        while not self.stopping:
            with suppress(StoreAway):
                await self.table.postpone(self.engine_id, claimed, self.now() + TROUBLE)
                return
            await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))

    async def _skip(self, kind: Kind, claimed: Claimed, result: str) -> None:
        if await self.table.skip(self.engine_id, claimed, result, at=self.now()):
            await kind.skipped(claimed.due, result)

    # -- keeping alive -------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            try:
                await self.table.alive(self.engine_id, LEASE)
            except StoreError as error:
                log.debug("lease_not_renewed", error=str(error))
            await asyncio.sleep(BEAT * random.uniform(0.8, 1.0))

    async def _tidy(self) -> None:
        """Beside the lease, which must not wait for it."""
        while True:
            try:
                await self.table.lost(LOST_AFTER)
                while await self.table.forget(self.keep_days, FORGET) == FORGET:
                    await asyncio.sleep(FORGET_PAUSE)
            except StoreError as error:
                log.debug("not_tidied", error=str(error))
            await asyncio.sleep(HOUSEKEEPING * random.uniform(0.8, 1.0))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            known = isinstance(error, StoreError | RequestError)
            (log.info if known else log.error)("due_task_failed", task=task.get_name(), error=repr(error))
