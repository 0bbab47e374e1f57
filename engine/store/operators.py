"""What an operator asks of the database beside what the API shows: stored rows as they are, and a word to the engines."""

from collections.abc import Mapping
from typing import Any

from engine.store.pool import Database

HANGUP = "hangup "
"""Begins the notification that asks the engine which has a call to end it; the request id follows."""

RELOAD = "reload"
"""Asks every engine to read its menus anew."""


class Operators:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def call_row(self, request_id: str) -> Mapping[str, Any] | None:
        row = await self._database.fetchrow("call_row", request_id)
        return dict(row) if row else None

    async def leg_rows(self, request_id: str) -> list[Mapping[str, Any]]:
        """Rows of table ``legs`` in the order of the legs; ``leg_id`` as text."""
        found = await self._database.fetch("call_legs", request_id)
        return [{**row, "leg_id": str(row["leg_id"])} for row in found]

    async def ask_hangup(self, request_id: str) -> None:
        """Tell the engines; returns before the call ends."""
        await self._database.fetchval("ask_hangup", request_id)

    async def due_lanes(self) -> list[Mapping[str, Any]]:
        """Lanes of due calls with something to do, and how much."""
        return [dict(row) for row in await self._database.fetch("due_lanes_shown")]

    async def dialers(self) -> list[Mapping[str, Any]]:
        """Engines whose lease on due calls runs."""
        return [dict(row) for row in await self._database.fetch("dialers_shown")]

    async def ask_reload(self) -> None:
        await self._database.fetchval("ask_reload")
