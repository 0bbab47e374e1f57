"""The database of the configuration that a command is about."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from engine import config
from engine.store.pool import Database


def run(work: Callable[[argparse.Namespace, Database], Awaitable[int]], arguments: argparse.Namespace) -> int:
    """Run ``work`` with a database; its exit code. Raises ConfigError, StoreAway and what ``work`` raises."""

    async def all_of_it() -> int:
        async with _opened(arguments) as database:
            return await work(arguments, database)

    return asyncio.run(all_of_it())


@asynccontextmanager
async def _opened(arguments: argparse.Namespace) -> AsyncIterator[Database]:
    settings = config.load(config.find(arguments.config))
    database = Database(settings.database.dsn.get_secret_value(), pool=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
