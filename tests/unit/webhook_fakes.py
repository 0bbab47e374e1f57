"""Subscriptions and an outbox in memory, and a name server whose answers are the test's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.errors import StateConflict, StoreAway
from engine.webhooks.port import Delivery, Webhook
from engine.webhooks.signing import new_secret

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
PUBLIC = "93.184.215.14"


class FakeHooks:
    """Implements ``engine.webhooks.port.Hooks``."""

    def __init__(self) -> None:
        self.away = False
        self.most = 20
        self.hooks: dict[str, tuple[Webhook, str]] = {}
        self.secrets: dict[str, str] = {}
        self.log: list[Delivery] = []
        self.under_way: set[int] = set()
        self.names: dict[str, Sequence[str]] = {"example.com": [PUBLIC]}
        self.asked: list[str] = []

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError(host)
        return self.names[host]

    def _reach(self) -> None:
        if self.away:
            raise StoreAway("away")

    async def add(self, webhook_id: str, account: str, url: str, types: Sequence[str], secret: str) -> Webhook:
        self._reach()
        if len(await self.all(account)) >= self.most:
            raise StateConflict("as many as it may")
        hook = Webhook(webhook_id, account, url, tuple(types), T0)
        self.hooks[webhook_id] = (hook, secret)
        return hook

    async def all(self, account: str | None) -> list[Webhook]:
        self._reach()
        return [hook for hook, _ in self.hooks.values() if account in (None, hook.account)]

    async def get(self, account: str | None, webhook_id: str) -> Webhook | None:
        self._reach()
        hook = self.hooks.get(webhook_id, (None, ""))[0]
        return hook if hook and account in (None, hook.account) else None

    async def remove(self, account: str | None, webhook_id: str) -> bool:
        if await self.get(account, webhook_id) is None:
            return False
        del self.hooks[webhook_id]
        return True

    async def account_secret(self, account: str, *, rotate: bool = False) -> str:
        if rotate or account not in self.secrets:
            self.secrets[account] = new_secret()
        return self.secrets[account]

    async def deliveries(
        self, account: str | None, webhook_id: str | None, *, state: str | None, limit: int, before: int | None
    ) -> list[Delivery]:
        found = [
            each
            for each in reversed(self.log)
            if webhook_id in (None, each.webhook)
            and state in (None, each.state)
            and (before is None or each.id < before)
        ]
        return found[:limit]

    async def redeliver(self, account: str | None, webhook_id: str | None, delivery: int) -> bool:
        for place, each in enumerate(self.log):
            if each.id == delivery and webhook_id in (None, each.webhook) and each.id not in self.under_way:
                self.log[place] = replace(each, state="waiting", attempts=0)
                return True
        return False

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
        hook = await self.get(account, webhook_id or "")
        if hook is None and url is None:
            return []
        number = len(self.log) + 1
        body = {"type": kind, "timestamp": "", "data": {**data, "sequence": sequence or number}}
        self.log.append(delivery(number, webhook_id, kind=kind, subject=subject, body=body, url=url or hook.url))
        return [number]


def delivery(number: int, webhook_id: str | None, *, kind: str = "call.ended", **changes: Any) -> Delivery:
    found = Delivery(
        id=number,
        webhook=webhook_id,
        url="https://example.com/",
        subject="57362de4f0",
        sequence=number,
        type=kind,
        body={"type": kind, "timestamp": "", "data": {"request_id": "57362de4f0", "sequence": number}},
        state="waiting",
        attempts=0,
        created_at=T0,
        next_at=T0,
        attempted_at=None,
        settled_at=None,
        status=None,
        error=None,
    )
    return replace(found, **changes)
