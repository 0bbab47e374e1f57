"""Sounds that a fresh installation has."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import structlog

from engine.errors import RequestError
from engine.media.library.library import Library

log = structlog.get_logger(__name__)


async def seed(library: Library, entries: Sequence[Mapping[str, str]]) -> None:
    """Add those that are not there: ``account``, ``name``, ``extension``, ``file``. One that can't be added is told of in the
    log: an engine with a sound less is better than none. Raises StoreAway."""
    for each in entries:
        if await library.named(each["account"], each["name"]) is None:
            try:
                await _add(library, each)
            except (RequestError, OSError) as error:
                log.warning("sound_not_seeded", name=each["name"], error=str(error))


async def _add(library: Library, entry: Mapping[str, str]) -> None:
    staged = await library.receive(entry["account"], _bytes(Path(entry["file"])))
    await library.add(entry["account"], entry["name"], staged, extension=entry["extension"])


async def _bytes(path: Path) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(path.read_bytes)
