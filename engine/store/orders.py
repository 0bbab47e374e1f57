"""Commands into calls that live in another process: asked by notification, answered in a row."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.store.pool import Database

ORDER = "order "
"""Begins the notification; request id and number of the order follow."""
LOOK = 0.05
"""Seconds between two looks for the answer."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    request_id: str
    action: str
    leg: str
    fields: Mapping[str, Any]
    asked_by: str


class Orders:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, request_id: str, action: str, leg: str, fields: Mapping[str, Any], *, by: str, within: float
    ) -> Mapping[str, Any] | None:
        """The answer; None when no engine gave one ``within`` seconds. Raises StoreAway."""
        number = await self._database.fetchval("ask_order", request_id, action, leg, json.dumps(dict(fields)), by)
        try:
            async with asyncio.timeout(within):
                while (answer := await self._database.fetchval("order_answer", number)) is None:
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            return None
        finally:
            await self._database.fetchval("forget_order", number)
        told = json.loads(answer)
        assert isinstance(told, dict)
        return told

    async def find(self, number: int) -> OrderRow | None:
        """None when it is answered, or forgotten."""
        row = await self._database.fetchrow("order_row", number)
        return OrderRow(**{**row, "fields": json.loads(row["fields"])}) if row else None

    async def answer(self, number: int, told: Mapping[str, Any]) -> None:
        await self._database.fetchval("answer_order", number, json.dumps(dict(told)))

    async def call_of_channel(self, account: str, channel: str) -> str | None:
        """Request id of the account's live call that has a channel of this name, of any engine."""
        found = await self._database.fetchval("live_call_of_channel", account, channel)
        return str(found) if found else None
