"""Rows of media and transcripts, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.calls.events import Event, Kind
from engine.errors import Duplicate
from engine.media.library.port import NewMedia
from engine.media.stt.port import Segment, Transcription
from engine.store.accounts import PgAccounts
from engine.store.calls import PgCalls
from engine.store.media import PgMedia
from engine.store.port import CallEvent, ClosedCall, NewCall, RecordingRow
from engine.store.transcripts import PgTranscripts

SEED = [
    {"account": name, "auth": name[-1] * 32, "number": int(name[-1]), "country": "91", "caller_ids": []}
    for name in ("account_1", "account_2")
]
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = "57362de4f0"


@pytest.fixture
async def media(database):
    await PgAccounts(database).seed(SEED)
    return PgMedia(database)


def sound(account="account_1", name="welcome", extension=None, file="welcome-1"):
    return NewMedia(account, name, extension, file, "wav", 1.5, 24_044, "ab" * 32)


class TestMedia:
    async def test_is_kept_by_account_and_name(self, media):
        kept = await media.put(sound())
        assert (kept.name, kept.duration, kept.extension) == ("welcome", 1.5, None)
        assert await media.get("account_1", "welcome") == kept
        assert await media.get("account_2", "welcome") is None

    async def test_the_same_name_replaces(self, media):
        await media.put(sound(extension="100"))
        again = await media.put(sound(extension="100", file="welcome-2"))
        assert await media.get("account_1", "welcome") == again
        assert await media.files() == {("account_1", "welcome-2")}

    async def test_an_extension_is_one_sounds_in_an_account(self, media):
        await media.put(sound(extension="100"))
        await media.put(sound("account_2", extension="100"))
        await media.put(sound(name="a"))
        await media.put(sound(name="b"))
        with pytest.raises(Duplicate):
            await media.put(sound(name="other", extension="100"))
        assert (await media.by_extension("account_1", "100")).account == "account_1"
        assert await media.by_extension("account_1", "101") is None

    async def test_is_listed_by_name_page_by_page(self, media):
        for name in ("c", "a", "b"):
            await media.put(sound(name=name))
        await media.put(sound("account_2", "d"))
        assert [each.name for each in await media.list("account_1", limit=2, after="")] == ["a", "b"]
        assert [each.name for each in await media.list("account_1", limit=2, after="b")] == ["c"]

    async def test_is_deleted_once(self, media):
        kept = await media.put(sound())
        assert await media.delete("account_2", "welcome") is None
        assert await media.delete("account_1", "welcome") == kept
        assert await media.delete("account_1", "welcome") is None


class TestTranscripts:
    """Rows begin with the end of a recording."""

    @pytest.fixture
    async def table(self, database):
        return PgTranscripts(database)

    @pytest.fixture
    def record(self, journal):
        async def write(*states, name=f"{CALL}.wav", option="both", transcript=True, error=None):
            params = {"transcript": transcript}
            event = Event(Kind.CALL_CREATED, T0, data={"request_id": CALL}, seq=1)
            journal.append(NewCall(CALL, "account_1", "click_to_call", "outbound", "e1", T0, params))
            journal.append(CallEvent(CALL, event), ClosedCall(CALL, T0, "completed", None, False, (), ()))
            for state in states:
                journal.append(RecordingRow(name, CALL, "account_1", option, state, "asterisk", error=error))
            await journal.committed()

        return write

    async def test_a_recording_that_is_ready_is_due_once(self, table, record):
        await record("recording", "ready", "ready")
        await record("ready")
        row = await table.get(CALL)
        assert (row.state, row.recording, row.kept, row.attempts) == ("pending", f"{CALL}.wav", True, 0)
        assert await table.get(CALL, "account_2") is None
        assert (await table.claim("e1", 60)).state == "running"
        assert await table.claim("e1", 60) is None

    @pytest.mark.parametrize("what", [{"transcript": False}, {"option": "agent"}])
    async def test_nobody_asked(self, table, record, what):
        await record("recording", "ready", **what)
        assert await table.get(CALL) is None

    async def test_a_recording_that_was_made_for_it_is_not_kept(self, table, record):
        await record("recording", "ready", name=f"{CALL}.transcript.wav")
        assert not (await table.get(CALL)).kept

    async def test_no_recording_no_transcript(self, table, record):
        await record("recording", "failed", error="NoSound")
        row = await table.get(CALL)
        assert (row.state, row.error) == ("failed", "there is no recording: NoSound")

    async def test_it_belongs_to_the_engine_that_had_the_call(self, table, record):
        await record("ready")
        assert await table.claim("e2", 60) is None
        assert await table.claim("e1", 60) is not None

    async def test_what_an_engine_left_running_is_due_again(self, table, record):
        await record("ready")
        await table.claim("e1", 600)
        await table.recover("e2")
        assert await table.claim("e1", 600) is None
        await table.recover("e1")
        assert (await table.claim("e1", 600)).attempts == 2

    async def test_a_taker_that_is_not_heard_of_loses_it(self, table, record):
        await record("ready")
        await table.claim("e1", 0)
        assert (await table.claim("e1", 600)).attempts == 2

    async def test_a_failed_try_is_due_later(self, table, record):
        await record("ready")
        await table.claim("e1", 600)
        await table.again(CALL, seconds=600, error="took too long")
        assert await table.claim("e1", 600) is None
        row = await table.get(CALL)
        assert (row.state, row.error) == ("pending", "took too long")

    async def test_it_is_kept_and_told(self, table, record, database):
        await record("ready")
        await table.claim("e1", 600)
        said = (Segment("agent", 0.5, 1.0, "hello", 0.9), Segment("customer", 1.2, 2.0, "who is there"))
        at = T0 + timedelta(minutes=1)
        await table.ready(CALL, Transcription("pocketsphinx", "en-US", 3.0, said), at)
        row = await table.get(CALL, "account_1")
        assert (row.state, row.segments, row.finished_at) == ("ready", said, at)
        assert row.text == "agent: hello\ncustomer: who is there"
        last = (await PgCalls(database).events(CALL))[-1]
        assert (last.kind, last.seq, last.at, last.data["segments"]) == (Kind.TRANSCRIPT_READY, 2, at, 2)
        await table.failed(CALL, "too late", at)
        assert (await table.get(CALL)).state == "ready"

    async def test_a_failure_is_kept_and_told(self, table, record, database):
        await record("ready")
        await table.claim("e1", 600)
        await table.failed(CALL, "nobody knows why", T0)
        assert (await table.get(CALL)).error == "nobody knows why"
        assert (await PgCalls(database).events(CALL))[-1].kind is Kind.TRANSCRIPT_FAILED

    async def test_what_is_not_kept_is_discarded_once(self, table, record):
        await record("ready", name=f"{CALL}.transcript.wav")
        assert await table.to_discard("e1") == []
        await table.claim("e1", 600)
        await table.failed(CALL, "no", T0)
        assert [row.request_id for row in await table.to_discard("e1")] == [CALL]
        await table.discarded(CALL)
        assert await table.to_discard("e1") == []
        assert await table.take(CALL, 60) is None

    async def test_one_can_be_taken_though_nobody_asked(self, table, record):
        await record("ready", transcript=False)
        assert (await table.take(CALL, 60)).state == "running"
        assert await table.take("ffffffffff", 60) is None

    async def test_one_that_is_ready_can_be_made_again(self, table, record):
        await record("ready")
        await table.claim("e1", 600)
        await table.ready(CALL, Transcription("pocketsphinx", "en-US", 3.0, ()), T0)
        again = await table.take(CALL, 60)
        assert (again.state, again.attempts, again.kept) == ("running", 1, True)
