"""The media library's rows."""

from collections.abc import Sequence
from dataclasses import astuple

from engine.errors import StoreAway
from engine.media.library.port import Media, NewMedia
from engine.store.pool import Database


class PgMedia:
    """Implements ``engine.media.library.port.MediaTable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, media: NewMedia) -> Media:
        row = await self._database.fetchrow("media_put", *astuple(media))
        if row is None:
            raise StoreAway("the media row was not given back")
        return Media(**row)

    async def get(self, account: str, name: str) -> Media | None:
        row = await self._database.fetchrow("media_get", account, name)
        return Media(**row) if row else None

    async def by_extension(self, account: str, extension: str) -> Media | None:
        row = await self._database.fetchrow("media_by_extension", account, extension)
        return Media(**row) if row else None

    async def list(self, account: str, *, limit: int, after: str) -> Sequence[Media]:
        return [Media(**row) for row in await self._database.fetch("media_list", account, limit, after)]

    async def delete(self, account: str, name: str) -> Media | None:
        row = await self._database.fetchrow("media_delete", account, name)
        return Media(**row) if row else None

    async def files(self) -> frozenset[tuple[str, str]]:
        return frozenset((row["account"], row["file"]) for row in await self._database.fetch("media_files"))
