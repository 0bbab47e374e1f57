"""Transcripts and the work on them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from engine.calls.events import Kind
from engine.media.stt.port import Segment, Transcript, Transcription
from engine.store.pool import Database
from engine.store.rows import Row


class PgTranscripts:
    """Implements ``engine.media.stt.port.TranscriptTable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, request_id: str, account: str | None = None) -> Transcript | None:
        return _given(await self._database.fetchrow("transcript", request_id, account))

    async def claim(self, engine: str, seconds: float) -> Transcript | None:
        return _given(await self._database.fetchrow("transcript_claim", engine, seconds))

    async def take(self, request_id: str, seconds: float) -> Transcript | None:
        return _given(await self._database.fetchrow("transcript_take", request_id, seconds))

    async def recover(self, engine: str) -> None:
        await self._database.fetchval("transcript_recover", engine)

    async def again(self, request_id: str, *, seconds: float, error: str) -> None:
        await self._database.fetchval("transcript_again", request_id, seconds, error)

    async def ready(self, request_id: str, done: Transcription, at: datetime) -> None:
        segments = json.dumps([asdict(segment) for segment in done.segments])
        told = {"recogniser": done.recogniser, "language": done.language, "duration": done.duration,
                "segments": len(done.segments)}  # fmt: skip
        await self._database.fetchval(
            *("transcript_finish", request_id, "ready", done.recogniser, done.language, done.duration, done.text),
            *(segments, None, at, str(Kind.TRANSCRIPT_READY), json.dumps(told)),
        )

    async def failed(self, request_id: str, error: str, at: datetime) -> None:
        await self._database.fetchval(
            *("transcript_finish", request_id, "failed", None, None, None, None, None, error, at),
            *(str(Kind.TRANSCRIPT_FAILED), json.dumps({"error": error})),
        )

    async def to_discard(self, engine: str) -> Sequence[Transcript]:
        return [_transcript(row) for row in await self._database.fetch("transcripts_to_discard", engine)]

    async def discarded(self, request_id: str) -> None:
        await self._database.fetchval("transcript_discarded", request_id)


def _given(row: Row | None) -> Transcript | None:
    return _transcript(row) if row else None


def _transcript(row: Row) -> Transcript:
    segments = tuple(Segment(**segment) for segment in json.loads(row["segments"] or "[]"))
    names = Transcript.__dataclass_fields__.keys() - {"segments"}
    return Transcript(segments=segments, **{name: row[name] for name in names})
