"""Memory of media and transcripts, for tests without a database."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

from engine.errors import Duplicate, StoreAway
from engine.media.library.port import Media
from engine.media.stt.port import Transcript


class FakeMedia:
    """``engine.media.library.port.MediaTable``."""

    def __init__(self):
        self.rows = {}
        self.away = False

    def _reach(self):
        if self.away:
            raise StoreAway("away")

    async def put(self, media):
        self._reach()
        for key, row in self.rows.items():
            same = media.extension is not None and row.extension == media.extension
            if same and row.account == media.account and key != (media.account, media.name):
                raise Duplicate("extension", constraint="media_extension")
        kept = Media(**asdict(media), created_at=datetime.now(UTC))
        self.rows[media.account, media.name] = kept
        return kept

    async def get(self, account, name):
        self._reach()
        return self.rows.get((account, name))

    async def by_extension(self, account, extension):
        return next((row for row in self.rows.values() if (row.account, row.extension) == (account, extension)), None)

    async def list(self, account, *, limit, after):
        return [row for (owner, name), row in sorted(self.rows.items()) if owner == account and name > after][:limit]

    async def delete(self, account, name):
        return self.rows.pop((account, name), None)

    async def files(self):
        self._reach()
        return frozenset((row.account, row.file) for row in self.rows.values())


def transcript(request_id="57362de4f0", **changes):
    row = Transcript(
        request_id, "account_1", f"{request_id}.wav", True, "pending", 0, None, None, None, None, (), None,
        datetime(2026, 3, 1, tzinfo=UTC), None, False,
    )  # fmt: skip
    return replace(row, **changes)


class FakeTranscripts:
    """``engine.media.stt.port.TranscriptTable``."""

    def __init__(self, *rows):
        self.rows = {row.request_id: row for row in rows}
        self.due = [row.request_id for row in rows if row.state == "pending"]

    def _change(self, request_id, **changes):
        self.rows[request_id] = replace(self.rows[request_id], **changes)
        return self.rows[request_id]

    async def get(self, request_id, account=None):
        row = self.rows.get(request_id)
        return row if row and account in (None, row.account) else None

    async def claim(self, engine, seconds):
        if not self.due:
            return None
        request_id = self.due.pop(0)
        return self._change(request_id, state="running", attempts=self.rows[request_id].attempts + 1)

    async def take(self, request_id, seconds):
        return self._change(request_id, state="running", attempts=1)

    async def recover(self, engine):
        self.due += [row.request_id for row in self.rows.values() if row.state == "running"]

    async def again(self, request_id, *, seconds, error):
        self._change(request_id, state="pending", error=error)
        self.due.append(request_id)

    async def ready(self, request_id, done, at):
        self._change(request_id, state="ready", text=done.text, segments=done.segments, finished_at=at)

    async def failed(self, request_id, error, at):
        self._change(request_id, state="failed", error=error, finished_at=at)

    async def to_discard(self, engine):
        over = ("ready", "failed")
        return [row for row in self.rows.values() if not row.kept and not row.discarded and row.state in over]

    async def discarded(self, request_id):
        self._change(request_id, discarded=True)
