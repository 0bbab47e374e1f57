"""What web hooks ask of the engine's memory. Everything raises StoreAway while PostgreSQL is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription. Its secret is shown once, at its making."""

    id: str
    """``WH`` and ten hex digits."""
    account: str
    url: str
    types: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """A line of the delivery log: one message to one hook."""

    id: int
    webhook: str | None
    """None: a notify URL of a request."""
    url: str
    subject: str
    """What it is about: a request id; a campaign, a room."""
    sequence: int
    type: str
    body: Mapping[str, Any]
    state: str
    """waiting, delivered or dead."""
    attempts: int
    created_at: datetime
    next_at: datetime | None
    """When it is tried next; None when it will not be."""
    attempted_at: datetime | None
    settled_at: datetime | None
    status: int | None
    """HTTP status of the last attempt."""
    error: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery that is to be made now, by whoever claimed it."""

    id: int
    account: str
    url: str
    host: str
    subject: str
    sequence: int
    type: str
    body: Mapping[str, Any]
    attempts: int
    """This one included."""
    secret: str | None
    """None: the account's, which has not been made yet."""

    @property
    def name(self) -> str:
        """The header ``webhook-id``: the same for every attempt, so that a receiver can drop what came before."""
        return f"msg_{self.subject}_{self.sequence}"


@dataclass(frozen=True, slots=True)
class Claim:
    messages: Sequence[Message]
    moved: int
    """Rows that were touched: while there are any, more may be due."""


class Hooks(Protocol):
    """Subscriptions and what is to be told. ``account`` None: an operator asks, for all."""

    async def add(self, webhook_id: str, account: str, url: str, types: Sequence[str], secret: str) -> Webhook:
        """Raises StateConflict when the account has as many as it may."""

    async def all(self, account: str | None) -> list[Webhook]:
        """Oldest first."""

    async def get(self, account: str | None, webhook_id: str) -> Webhook | None: ...

    async def remove(self, account: str | None, webhook_id: str) -> bool:
        """Also forgets what was waiting for it. False: there is none."""

    async def account_secret(self, account: str, *, rotate: bool = False) -> str:
        """Signs what goes to notify URLs; made when it is first asked for."""

    async def deliveries(
        self, account: str | None, webhook_id: str | None, *, state: str | None, limit: int, before: int | None
    ) -> list[Delivery]:
        """Newest first."""

    async def redeliver(self, account: str | None, webhook_id: str | None, delivery: int) -> bool:
        """Have it delivered (again), now. False: there is none, or it is under way."""

    async def publish(
        self,
        account: str,
        kind: str,
        subject: str,
        data: Mapping[str, Any],
        *,
        at: datetime | None = None,
        url: str | None = None,
        webhook_id: str | None = None,
        sequence: int | None = None,
    ) -> list[int]:
        """Enqueue a message: to the account's hooks that take type ``kind``, or to ``url`` alone, or to one hook. Ids of the
        deliveries. ``sequence`` None: the next number. The same subject and sequence to the same hook: nothing."""


class Outbox(Protocol):
    """The worker's side."""

    async def claim(
        self, *, limit: int, per_host: int, busy: Mapping[str, int], lease: float, without: Sequence[str] = ()
    ) -> Claim:
        """Messages that are due, the first of each lane. ``busy``: host → deliveries under way here. ``without``: accounts
        that have enough under way. Whoever does not settle within ``lease`` seconds is taken for dead, and another gets
        them."""

    async def settle(
        self, delivery: int, state: str, *, status: int | None, error: str | None, again_in: float = 0.0
    ) -> None:
        """``state`` waiting: to be tried again in that many seconds."""

    async def release(self, deliveries: Sequence[int]) -> None:
        """Give back what was claimed and not tried to its end."""

    async def account_secret(self, account: str) -> str: ...

    async def forget(self) -> None:
        """Delete what is old."""
