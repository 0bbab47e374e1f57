"""Objects in a bucket that speaks S3, by obstore: ``<prefix><account>/<name>``."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import obstore
from obstore import exceptions
from obstore.store import S3Store

from engine.config import Bucket
from engine.errors import NotFound, Unavailable
from engine.media.objects.port import Opened, StoredObject
from engine.media.receive import within

_DEADLINE = 20.0
"""Seconds that one question may take."""
_UPLOAD = 3600.0
"""Seconds that an upload or a download may take: as long as its sender sends."""
_PART = 5 << 20
_CHUNK = 256 << 10
_MISSING = (FileNotFoundError, exceptions.NotFoundError)


class S3Objects:
    """Implements ``engine.media.objects.port.Objects``."""

    def __init__(self, settings: Bucket) -> None:
        self._store = S3Store(
            settings.name,
            region=settings.region,
            prefix=settings.prefix or None,
            endpoint=settings.endpoint,
            access_key_id=settings.access_key.get_secret_value() or None,
            secret_access_key=settings.secret_key.get_secret_value() or None,
            virtual_hosted_style_request=settings.endpoint is None,
            client_options={"allow_http": True, "timeout": timedelta(seconds=_UPLOAD), "connect_timeout": "5s"},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_DEADLINE)},
        )

    async def put(self, account: str, name: str, chunks: AsyncIterator[bytes], *, limit: int) -> StoredObject:
        key = _key(account, name)
        counted = _Counted(chunks, limit)
        with _mapped():
            try:
                async with asyncio.timeout(_UPLOAD):
                    await self._send(key, counted.parts())
            except Exception:
                if counted.error:
                    raise counted.error from None
                raise
            async with asyncio.timeout(_DEADLINE):
                meta = await obstore.head_async(self._store, key)
        return StoredObject(name, counted.size, meta["last_modified"], counted.digest.hexdigest())

    async def _send(self, key: str, parts: AsyncIterator[bytes]) -> None:
        """In one request what fits into one; S3 has no upload of no parts."""
        first = bytearray()
        async for part in parts:
            first += part
            if len(first) >= _PART:
                rest = _chained(bytes(first), parts)
                await obstore.put_async(self._store, key, rest, chunk_size=_PART, max_concurrency=2)
                return
        await obstore.put_async(self._store, key, bytes(first), use_multipart=False)

    async def get(self, account: str, name: str) -> Opened | None:
        with _mapped():
            try:
                async with asyncio.timeout(_DEADLINE):
                    found = await obstore.get_async(self._store, _key(account, name))
            except _MISSING:
                return None
        stored = StoredObject(name, found.meta["size"], found.meta["last_modified"])
        return Opened(stored, chunks=_stream(found))

    async def delete(self, account: str, name: str) -> bool:
        key = _key(account, name)
        with _mapped():
            try:
                async with asyncio.timeout(_DEADLINE):
                    await obstore.head_async(self._store, key)
                    await obstore.delete_async(self._store, key)
            except _MISSING:
                return False
        return True

    async def list(self, account: str) -> Sequence[StoredObject]:
        prefix = _key(account, "")
        found = []
        with _mapped():
            async for page in obstore.list(self._store, prefix=prefix):
                found += [StoredObject(_name(meta["path"]), meta["size"], meta["last_modified"]) for meta in page]
        return sorted(found, key=lambda stored: stored.name)


class _Counted:
    """What passes through it is counted and digested; its error is kept, because obstore wraps it."""

    def __init__(self, chunks: AsyncIterator[bytes], limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self.size = 0
        self.digest = hashlib.sha256()
        self.error: BaseException | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self.size = within(self._limit, self.size + len(chunk))
                self.digest.update(chunk)
                yield chunk
        except BaseException as error:
            self.error = error
            raise


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


async def _stream(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    with _mapped():
        async for chunk in found.stream(min_chunk_size=_CHUNK):
            yield bytes(chunk)


@contextmanager
def _mapped() -> Iterator[None]:
    """Errors of obstore, by class, and its silence."""
    try:
        yield
    except _MISSING:
        raise NotFound("no object has this name") from None
    except (exceptions.BaseError, TimeoutError) as error:
        raise Unavailable("the object store can't be reached") from error


def _key(account: str, name: str) -> str:
    if account in ("", ".", "..") or "/" in account:
        raise NotFound("no folder for this account")
    return f"{account}/{name}"


def _name(path: str) -> str:
    return path.rpartition("/")[2]
