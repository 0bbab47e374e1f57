"""Transcripts after the call: one at a time, when nothing else wants the processor, found again after a restart."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engine.errors import StoreError
from engine.media.receive import folder_of
from engine.media.stt.port import (
    CannotTranscribe,
    Recogniser,
    Transcript,
    Transcription,
    TranscriptionFailed,
    TranscriptTable,
)

log = structlog.get_logger(__name__)

SPEAKERS = ("agent", "customer")
"""Left and right of a recording of both sides (engine.media.recordings)."""
TRIES = 3
POLL = 15.0
"""Seconds between looks for work that was not heard of."""
LEASE = 6 * 3600.0
"""Seconds after which one that is running is taken for abandoned; longer than any may run."""
AGAIN_AFTER = 30.0
AWAY = 5.0


@dataclass(slots=True)
class Transcriptions:
    table: TranscriptTable
    recogniser: Recogniser
    folder: Path
    """Of merged recordings."""
    engine_id: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, table: str | None) -> None:
        """A subscriber of the database's notifications."""
        if table in (None, "transcripts"):
            self.wake.set()

    async def recover(self) -> None:
        """Take up what a process that ended was at; delete what it was about to delete. Raises StoreAway."""
        await self.table.recover(self.engine_id)
        for row in await self.table.to_discard(self.engine_id):
            await self._discard(row)

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            self.wake.clear()
            if not await self._all_due():
                await asyncio.sleep(AWAY * random.uniform(0.8, 1.2))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL * random.uniform(0.8, 1.2)):
                    await self.wake.wait()

    async def _all_due(self) -> bool:
        """False when something went wrong, and it is to be looked at again soon."""
        try:
            while (row := await self.table.claim(self.engine_id, LEASE)) is not None:
                await self.transcribe(row)
        except StoreError as error:
            log.warning("transcripts_wait", error=repr(error))
        except Exception:
            log.exception("transcript_failed")
        else:
            return True
        return False

    async def transcribe(self, row: Transcript) -> None:
        """Make it, or write down why not. Raises StoreAway."""
        recording = folder_of(self.folder, row.account) / row.recording
        try:
            done = await self._made(row, recording)
        except CannotTranscribe as error:
            await self._failed(row, str(error))
        except Exception as error:
            if not isinstance(error, TranscriptionFailed):
                log.exception("transcriber_failed", request_id=row.request_id)
            if row.attempts < TRIES:
                await self.table.again(row.request_id, seconds=AGAIN_AFTER, error=str(error))
            else:
                await self._failed(row, str(error))
        else:
            await self.table.ready(row.request_id, done, self.now())
            log.info("transcript", request_id=row.request_id, segments=len(done.segments))
            await self._discard(row)

    async def _made(self, row: Transcript, recording: Path) -> Transcription:
        """Raises CannotTranscribe, TranscriptionFailed."""
        if row.attempts > TRIES:
            raise CannotTranscribe("the engine ended each time it was tried")
        return await self.recogniser.transcribe(recording, SPEAKERS)

    async def _failed(self, row: Transcript, why: str) -> None:
        await self.table.failed(row.request_id, why, self.now())
        log.warning("transcript_failed", request_id=row.request_id, error=why)
        await self._discard(row)

    async def _discard(self, row: Transcript) -> None:
        """Delete a recording that nobody asked to keep."""
        if not row.kept:
            (folder_of(self.folder, row.account) / row.recording).unlink(missing_ok=True)
            await self.table.discarded(row.request_id)
