"""The media library: sounds that were uploaded, as Asterisk can play them.

A file is written under a name of its own, and only then does a row name it; a row that is replaced leaves its file for a
while to calls that are about to play it. What no row names any more is swept away.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from engine.errors import Duplicate, InvalidFields, NotFound, StoreError, Unavailable
from engine.media import worker
from engine.media.library import names
from engine.media.library.port import Media, MediaTable, NewMedia, Playable
from engine.media.receive import STAGED, Staged, folder_of, receive, staged_path

log = structlog.get_logger(__name__)

LONGEST_WORK = 300.0
"""Seconds that making one sound may take."""
MEMORY = 2 << 30
"""Bytes of address space of the process that does it."""
NICE = 5
"""Below calls; but somebody waits for the answer."""
AT_ONCE = 2
LEFT_FOR = 3600.0
"""Seconds that a file without a row is left for those that are about to play it."""
SWEEP = 900.0


@dataclass(slots=True)
class Library:
    """``folder`` as we see it, ``sounds`` the same as Asterisk sees it; ``longest`` seconds that a sound may have."""

    table: MediaTable
    folder: Path
    sounds: Path
    longest: float
    limit: int
    """Bytes of an upload."""
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    # -- in ----------------------------------------------------------------------------------------------------------

    async def receive(self, account: str, chunks: AsyncIterator[bytes]) -> Staged:
        """Bytes of an upload, into the account's folder. Raises TooLarge, Unavailable when the disk is full."""
        try:
            return await receive(chunks, folder_of(self.folder, account), limit=self.limit)
        except OSError as error:
            log.warning("upload_not_kept", error=str(error))
            raise Unavailable("the file can't be kept") from error

    async def add(
        self, account: str, name: str, staged: Staged, *, extension: str | None = None, claimed: str | None = None
    ) -> Media:
        """Make a sound of ``staged`` and keep it as ``name``, in place of what had that name. ``staged`` is gone
        afterwards. Raises InvalidFields, Unavailable, StoreAway."""
        file = f"{name}-{secrets.token_hex(6)}"
        path = folder_of(self.folder, account) / f"{file}.wav"
        try:
            names.check(name, extension)
            made = await self.convert(staged.path, path, claimed)
        finally:
            staged.discard()
        return await self._kept(NewMedia(account, name, extension, file, *made), path)

    async def _kept(self, media: NewMedia, path: Path) -> Media:
        """When it is not known whether the row is there, the file stays, and is swept if it is not."""
        try:
            return await self.table.put(media)
        except Duplicate:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise InvalidFields({"extension": "belongs to another sound of the account"}) from None

    async def convert(self, source: Path, target: Path, claimed: str | None = None) -> tuple[str, float, int, str]:
        """Write ``target``, by rename; (what the source was, seconds, bytes, SHA-256). Raises InvalidFields (``file``),
        Unavailable; nothing is left then."""
        part = staged_path(target.parent)
        request = {"source": str(source), "target": str(part), "longest": self.longest, "claimed": claimed,
                   "memory": MEMORY, "seconds": int(LONGEST_WORK), "nice": NICE}  # fmt: skip
        try:
            async with self.turns:
                made = await worker.run("convert", request, deadline=LONGEST_WORK)
            part.chmod(0o644)
            part.replace(target)
        except worker.WorkRefused as refusal:
            raise InvalidFields({"file": str(refusal)}) from None
        except worker.NoRoom as error:
            raise Unavailable("the sound can't be kept") from error
        except worker.WorkerFailed as error:
            log.warning("media_not_made", error=str(error))
            raise InvalidFields({"file": "can't be read as audio"}) from None
        finally:
            part.unlink(missing_ok=True)
            part.with_name(f"{part.name}.samples").unlink(missing_ok=True)
        return made["source"], made["duration"], made["size"], made["sha256"]

    # -- out ---------------------------------------------------------------------------------------------------------

    async def get(self, account: str, name: str) -> Media:
        """Raises NotFound, StoreAway."""
        found = await self.table.get(account, name) if names.is_name(name) else None
        if found is None:
            raise NotFound("no media has this name")
        return found

    async def list(self, account: str, *, limit: int = 50, after: str = "") -> Sequence[Media]:
        return await self.table.list(account, limit=limit, after=after)

    async def delete(self, account: str, name: str) -> Media:
        """A call that plays it plays on. Raises NotFound, StoreAway."""
        found = await self.table.delete(account, name) if names.is_name(name) else None
        if found is None:
            raise NotFound("no media has this name")
        self.path(found).unlink(missing_ok=True)
        return found

    def path(self, media: Media) -> Path:
        return folder_of(self.folder, media.account) / f"{media.file}.wav"

    def playable(self, media: Media) -> Playable:
        place = folder_of(self.sounds, media.account) / media.file
        return Playable(f"sound:{place}", self.path(media), media.duration)

    async def named(self, account: str, name: str) -> Playable | None:
        """The sound that a request means by ``name``, with or without ``.wav``; None when there is none."""
        for each in dict.fromkeys((name, name.removesuffix(".wav"), f"{name}.wav")):
            if names.is_name(each) and (found := await self.table.get(account, each)):
                return self.playable(found)
        return None

    async def of_extension(self, account: str, extension: str) -> Playable | None:
        found = await self.table.by_extension(account, extension)
        return self.playable(found) if found else None

    # -- keeping house -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
            except (StoreError, OSError) as error:
                log.warning("media_not_swept", error=repr(error))
            await asyncio.sleep(SWEEP * random.uniform(0.8, 1.2))

    async def sweep(self) -> int:
        """Delete files that no row names and nobody will play any more; how many."""
        named = await self.table.files()
        return await asyncio.to_thread(_sweep, self.folder, named, time.time() - LEFT_FOR)


def _sweep(root: Path, named: frozenset[tuple[str, str]], before: float) -> int:
    gone = 0
    for path in root.glob("*/*"):
        ours = path.suffix == ".wav" or STAGED in path.name
        if ours and (path.parent.name, path.stem) not in named and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            gone += 1
    return gone
