"""After a call: its sides are fetched, merged, verified, and served from then on. Work found again after a restart."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engine.calls.events import Event, Kind
from engine.calls.model import replay
from engine.errors import StoreError, TelephonyError
from engine.ids import is_transcript_recording
from engine.media.merge import Merged, NoSound, merge
from engine.store.port import CallEvent, Calls, Journal, RecordingRow
from engine.telephony.port import Switch

log = structlog.get_logger(__name__)

TOLERANCE = 2.0
"""Seconds by which a recording may be shorter than the conversation before it is called incomplete."""
TRIES = 4
TOO_SHORT = {"voicemail_broadcast": 2.0}
"""Flow → seconds up to which a recording is not kept (request-type document)."""
ROOM = "room"
"""Option of a recording of all who were in a conference."""


@dataclass(slots=True)
class Recordings:
    """One worker: recordings are merged one at a time, so that they never take both processors from the calls."""

    calls: Calls
    journal: Journal
    switches: Mapping[str, Switch]
    folder: Path
    engine_id: str
    on_room: Callable[[RecordingRow], Awaitable[None]] | None = None
    """Told what became of a recording of a room: it belongs to no call's timeline."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def enqueue(self, name: str) -> None:
        self.queue.put_nowait(name)

    async def recover(self) -> None:
        """Take up what a process that ended left unmerged."""
        for row in await self.calls.open_recordings(self.engine_id):
            self.enqueue(row.name)

    async def run(self) -> None:
        while True:
            name = await self.queue.get()
            try:
                await self._finish(name)
            except StoreError as error:
                log.warning("recording_waits", name=name, error=repr(error))
                asyncio.get_running_loop().call_later(5, self.enqueue, name)
            except Exception:
                log.exception("recording_failed", name=name)

    async def _finish(self, name: str) -> None:
        row = await self.calls.recording(None, name)
        if row is None or row.state != "recording":
            return
        try:
            merged = await self._merge(row)
            await self._check_length(row, merged)
        except (NoSound, OSError, TelephonyError) as error:
            done = replace(row, state="failed", error=f"{type(error).__name__}: {error}")
        else:
            done = await self._verified(row, merged)
        await self._keep(done)
        await self._discard_sides(done)

    async def _merge(self, row: RecordingRow) -> Merged:
        """Raises NoSound, OSError, TelephonyError."""
        target = self.folder / row.account / row.name
        work = Path(tempfile.mkdtemp(prefix="trunkline-"))
        try:
            switch = self.switches.get(row.server) or next(iter(self.switches.values()))
            order = [side for side in ("agent", "customer", "room") if side in row.sides]
            paths = [work / f"{side}.wav" for side in order]
            for side, path in zip(order, paths, strict=True):
                await self._fetch(switch, row.sides[side], path)
            return await asyncio.to_thread(merge, paths, target)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _fetch(self, switch: Switch, file: str, path: Path) -> None:
        """Asterisk stores a recording a moment after its channel ended."""
        for turn in range(TRIES):
            if await switch.fetch_recording(file, path):
                return
            await asyncio.sleep(0.2 * (turn + 1))
        raise NoSound(file)

    async def _check_length(self, row: RecordingRow, merged: Merged) -> None:
        """Raises NoSound for one that is dropped, whose file is gone then."""
        call = replay(await self.calls.events(row.request_id) or [])
        if merged.duration <= TOO_SHORT.get(call.flow, 0.0):
            (self.folder / row.account / row.name).unlink(missing_ok=True)
            raise NoSound(f"{merged.duration:.1f} s are not kept")

    async def _verified(self, row: RecordingRow, merged: Merged) -> RecordingRow:
        talked = 0.0 if row.option == ROOM else await self._talk_time(row.request_id)
        short = f"{talked - merged.duration:.1f} s shorter than the conversation"
        return replace(
            row,
            state="ready",
            duration=merged.duration,
            size=merged.size,
            sha256=merged.sha256,
            error=short if merged.duration < talked - TOLERANCE else None,
        )

    async def _talk_time(self, request_id: str) -> float:
        call = replay(await self.calls.events(request_id) or [])
        if call.bridged_at is None or call.ended_at is None:
            return 0.0
        return (call.ended_at - call.bridged_at).total_seconds()

    async def _keep(self, row: RecordingRow) -> None:
        """The row, and into the timeline what became of it: not of a recording that was made to be transcribed."""
        self.journal.append(row)
        if row.option == ROOM:
            await self.journal.committed()
            if self.on_room is not None:
                await self.on_room(row)
        elif not is_transcript_recording(row.name):
            self.journal.append(CallEvent(row.request_id, await self._told(row)))
        await self.journal.committed()
        log.info("recording", name=row.name, state=row.state, error=row.error)

    async def _told(self, row: RecordingRow) -> Event:
        events = await self.calls.events(row.request_id) or []
        kind = Kind.RECORDING_READY if row.state == "ready" else Kind.RECORDING_FAILED
        data = {"recording_name": row.name, "duration": row.duration, "size": row.size, "error": row.error}
        return Event(kind, self.now(), None, data, seq=max((event.seq for event in events), default=0) + 1)

    async def _discard_sides(self, row: RecordingRow) -> None:
        """What Asterisk kept, unless another recording of the call is still to be made of it; of one that failed too,
        when nobody asked to keep it."""
        switch = self.switches.get(row.server)
        if switch is None or (row.state != "ready" and not is_transcript_recording(row.name)):
            return
        others = [other for other in await self.calls.open_recordings(self.engine_id) if other.name != row.name]
        needed = {file for other in others for file in other.sides.values()}
        for file in set(row.sides.values()) - needed:
            with contextlib.suppress(TelephonyError):
                await switch.delete_recording(file)
