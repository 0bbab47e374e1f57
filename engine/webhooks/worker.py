"""Delivers what is in the outbox: at least once, in order within a lane, and a slow receiver harms only itself.

Several engines share the work: each claims rows for the time of a lease. A claim is a row's own state, so that an engine
that dies leaves nothing behind but a lease that runs out.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import structlog

from engine.errors import StoreError
from engine.webhooks.port import Message, Outbox
from engine.webhooks.sender import Outcome, Sender
from engine.webhooks.signing import encode, headers

log = structlog.get_logger(__name__)

DELAYS: Sequence[float] = (5, 60, 300, 1800, 7200, 21600, 43200, 86400)
"""Seconds before each further try (CONTRACT §6); after the last one the message is dead."""
JITTER = 0.1
"""A delay is up to that part longer, so that what failed together does not come again together."""
AT_ONCE, PER_ACCOUNT, PER_HOST = 200, 60, 10
"""Deliveries under way in one engine; of one account, about; to one host."""
CLAIM = 20
"""Messages of one claim."""
LEASE = 20.0
"""Seconds; a delivery takes at most 15."""
POLL = 5.0
"""Seconds between looks when nobody woke us: other engines' retries, leases that ran out."""
SETTLE_TRIES = 8
FORGET_EVERY = 3600.0


class Worker:
    """``run`` until it is cancelled; what is under way then is given back."""

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        delays: Sequence[float] = DELAYS,
        poll: float = POLL,
        lease: float = LEASE,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._delays = delays
        self._poll = poll
        self._lease = lease
        self._wake = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], Message] = {}
        self._busy: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()
        self._forgotten_at = 0.0
        self.delivered = 0
        self.failed = 0
        """Attempts that did not deliver."""
        self.dead = 0

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                await self._turn()
                await self._sleep()
        finally:
            await self._give_back()

    async def _turn(self) -> None:
        try:
            await self._take()
            await self._forget()
        except StoreError as error:
            log.info("outbox_away", error=str(error))
        except Exception:
            log.exception("outbox_failed")

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll * random.uniform(0.8, 1.2)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _take(self) -> None:
        while (free := AT_ONCE - len(self._tasks)) > 0:
            claim = await self._outbox.claim(
                limit=min(free, CLAIM),
                per_host=PER_HOST,
                busy=self._busy,
                lease=self._lease,
                without=[account for account, count in self._accounts.items() if count >= PER_ACCOUNT],
            )
            for message in claim.messages:
                self._begin(message)
            if not claim.moved:
                return

    def _begin(self, message: Message) -> None:
        self._busy[message.host] += 1
        self._accounts[message.account] += 1
        task = asyncio.create_task(self._deliver(message), name=f"hook {message.id}")
        self._tasks[task] = message
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        message = self._tasks.pop(task)
        _less(self._busy, message.host)
        _less(self._accounts, message.account)
        if not task.cancelled() and (error := task.exception()):
            log.error("delivery_failed", delivery=message.id, exc_info=error)
        self.wake()

    async def _deliver(self, message: Message) -> None:
        secret = message.secret or await self._outbox.account_secret(message.account)
        body = encode(message.body)
        outcome = await self._sender.post(message.url, body, headers(message, secret, body))
        await self._settle(message, outcome)

    async def _settle(self, message: Message, outcome: Outcome) -> None:
        state, again_in = self._fate(message, outcome)
        told = log.info if state == "dead" else log.debug
        told("delivery", delivery=message.id, state=state, status=outcome.status, error=outcome.error)
        for turn in range(SETTLE_TRIES):
            try:
                await self._outbox.settle(
                    message.id, state, status=outcome.status, error=outcome.error, again_in=again_in
                )
            except StoreError:
                await asyncio.sleep(min(0.1 * 2**turn, 4) * random.uniform(0.5, 1))
            else:
                break
        self._count(state)
        if 0 < again_in < self._lease * 4:
            asyncio.get_running_loop().call_later(again_in + 0.01, self.wake)

    def _fate(self, message: Message, outcome: Outcome) -> tuple[str, float]:
        """(state, seconds until the next try)."""
        if outcome.delivered:
            return "delivered", 0.0
        if message.attempts > len(self._delays):
            return "dead", 0.0
        return "waiting", self._delays[message.attempts - 1] * random.uniform(1, 1 + JITTER)

    def _count(self, state: str) -> None:
        self.delivered += state == "delivered"
        self.failed += state != "delivered"
        self.dead += state == "dead"

    async def _give_back(self) -> None:
        """What is cut off in the middle may have arrived; it is delivered again."""
        under_way = list(self._tasks.items())
        for task, _ in under_way:
            task.cancel()
        await asyncio.gather(*(task for task, _ in under_way), return_exceptions=True)
        cut = [message.id for task, message in under_way if task.cancelled()]
        if cut:
            try:
                await self._outbox.release(cut)
            except StoreError as error:
                log.info("not_given_back", deliveries=len(cut), error=str(error))

    async def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._forgotten_at >= FORGET_EVERY or not self._forgotten_at:
            self._forgotten_at = now
            await self._outbox.forget()


def _less(counter: Counter[str], name: str) -> None:
    """One less; names with none are forgotten."""
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
