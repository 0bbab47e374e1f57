"""The live feed as it stands in the timelines and beside them, in one order."""

import json

from engine.store.pool import Database
from engine.webhooks.feed import FeedEvent


class PgFeed:
    """Implements ``engine.webhooks.feed.FeedLog``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def position(self) -> int:
        return int(await self._database.fetchval("feed_position"))

    async def page(self, after: int, until: int, account: str | None, limit: int) -> list[FeedEvent]:
        return [
            FeedEvent(
                id=row["id"],
                account=row["account"],
                type=row["type"],
                timestamp=row["timestamp"],
                data=json.loads(row["data"]),
                unfinished=row["unfinished"],
            )
            for row in await self._database.fetch("feed_page", after, until, account, limit)
        ]

    async def attend(self, engine: str) -> None:
        await self._database.fetchval("feed_attend", engine)

    async def begin(self, engine: str) -> None:
        """Nobody listens at this engine: it has just started."""
        await self._database.fetchval("feed_begin", engine)

    async def leave(self, engine: str) -> None:
        await self._database.fetchval("feed_leave", engine)
