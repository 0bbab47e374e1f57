"""Subscriptions, the outbox and its log."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from engine.errors import StateConflict
from engine.store.pool import Database
from engine.webhooks.port import Claim, Delivery, Message, Webhook
from engine.webhooks.signing import new_secret

MOST = 20
"""Subscriptions of one account."""
CHANGED = "outbox"
"""What the listener hears when something was put into the outbox."""


class PgHooks:
    """Implements ``engine.webhooks.port.Hooks`` and ``Outbox``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook_id: str, account: str, url: str, types: Sequence[str], secret: str) -> Webhook:
        created_at = await self._database.fetchval("add_webhook", webhook_id, account, url, list(types), secret, MOST)
        if created_at is None:
            raise StateConflict(f"the account has {MOST} web hooks, which is as many as it may")
        return Webhook(webhook_id, account, url, tuple(types), created_at)

    async def all(self, account: str | None) -> list[Webhook]:
        return [_webhook(row) for row in await self._database.fetch("webhooks_of", account)]

    async def get(self, account: str | None, webhook_id: str) -> Webhook | None:
        row = await self._database.fetchrow("webhook", webhook_id, account)
        return _webhook(row) if row else None

    async def remove(self, account: str | None, webhook_id: str) -> bool:
        return await self._database.fetchval("remove_webhook", webhook_id, account) is not None

    async def account_secret(self, account: str, *, rotate: bool = False) -> str:
        held = None if rotate else await self._database.fetchval("hook_secret", account)
        return str(held or await self._database.fetchval("keep_hook_secret", account, new_secret(), rotate))

    async def deliveries(
        self, account: str | None, webhook_id: str | None, *, state: str | None, limit: int, before: int | None
    ) -> list[Delivery]:
        if webhook_id is None:
            found = await self._database.fetch("deliveries", account, before, limit, state)
        elif state is None:
            found = await self._database.fetch("deliveries_of", webhook_id, account, before, limit)
        else:
            found = await self._database.fetch("deliveries_in_state", webhook_id, account, before, limit, state)
        return [_delivery(row) for row in found]

    async def redeliver(self, account: str | None, webhook_id: str | None, delivery: int) -> bool:
        return await self._database.fetchval("redeliver", delivery, webhook_id, account) is not None

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
        when, text = at or datetime.now(UTC), json.dumps(dict(data), allow_nan=False)
        row = await self._database.fetchrow("publish", account, kind, subject, when, text, url, webhook_id, sequence)
        return [*row["ids"]] if row else []

    async def claim(
        self, *, limit: int, per_host: int, busy: Mapping[str, int], lease: float, without: Sequence[str] = ()
    ) -> Claim:
        found = await self._database.fetch(
            "claim_deliveries", limit, per_host, json.dumps(dict(busy)), lease, list(without)
        )
        return Claim([_message(row) for row in found if row["claimed"]], len(found))

    async def settle(
        self, delivery: int, state: str, *, status: int | None, error: str | None, again_in: float = 0.0
    ) -> None:
        await self._database.fetchval("settle_delivery", delivery, state, status, error, again_in)

    async def release(self, deliveries: Sequence[int]) -> None:
        await self._database.fetchval("release_deliveries", list(deliveries))

    async def forget(self) -> None:
        await self._database.fetchval("forget_deliveries")


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(row["id"], row["account"], row["url"], tuple(row["types"]), row["created_at"])


def _delivery(row: asyncpg.Record) -> Delivery:
    waiting = row["state"] == "waiting"
    return Delivery(
        id=row["id"],
        webhook=row["webhook"],
        url=row["url"],
        subject=row["subject"],
        sequence=row["sequence"],
        type=row["type"],
        body=json.loads(row["body"]),
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_at=row["next_at"] if waiting and not row["claimed"] else None,
        attempted_at=row["attempted_at"],
        settled_at=row["settled_at"],
        status=row["status"],
        error=row["error"],
    )


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=row["id"],
        account=row["account"],
        url=row["url"],
        host=row["host"],
        subject=row["subject"],
        sequence=row["sequence"],
        type=row["type"],
        body=json.loads(row["body"]),
        attempts=row["attempts"],
        secret=row["secret"],
    )
