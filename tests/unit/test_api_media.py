"""Media, objects and transcripts over HTTP, with real conversions."""

import asyncio
import io
import zipfile
from dataclasses import replace

import aiohttp
import numpy as np
import pytest
import soundfile
from aiohttp.test_utils import TestClient, TestServer

from engine.api.server import create_app
from engine.media.stt.port import Segment
from engine.testkit import audio
from tests.unit.api_fakes import HEADERS, HEADERS_2, World
from tests.unit.media_fakes import transcript

RATE = 44_100


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
async def client(world):
    async with TestClient(TestServer(create_app(world.context()))) as made:
        yield made


def tone(seconds=1.0, hz=700.0, rate=RATE, level=0.1, channels=1):
    wave = level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.stack([wave] * channels, axis=1)


def sound(kind="WAV", subtype=None, rate=RATE, **what):
    made = io.BytesIO()
    soundfile.write(made, tone(rate=rate, **what), rate, subtype=subtype, format=kind)
    return made.getvalue()


def form(content=None, filename="welcome.wav", content_type="audio/wav", **texts):
    made = aiohttp.FormData(default_to_multipart=True)
    for name, text in texts.items():
        made.add_field(name, text)
    if content is not None:
        made.add_field("file", io.BytesIO(content), filename=filename, content_type=content_type)
    return made


async def upload(client, *, status=200, headers=HEADERS, data=None, **what):
    answer = await client.post("/api/media", data=data or form(**what), headers=headers)
    assert answer.status == status, await answer.text()
    return (await answer.json())["response"]


async def ask(client, method, path, *, status=200, headers=HEADERS, **options):
    answer = await client.request(method, path, headers=headers, **options)
    assert answer.status == status, await answer.text()
    return (await answer.json())["response"]


async def heard(client, name):
    answer = await client.get(f"/api/media/{name}/content", headers=HEADERS)
    assert answer.status == 200
    assert answer.content_type == "audio/wav"
    (channel,) = audio.decode(await answer.read())
    return channel


def left(world):
    """Files of uploads that stand in the media folder."""
    return sorted(path.name for path in (world.folder / "media").rglob("*") if path.is_file())


class TestMedia:
    @pytest.mark.parametrize(
        ("kind", "subtype", "filename", "content_type"),
        [
            ("WAV", "PCM_16", "a.wav", "audio/wav"),
            ("WAV", "FLOAT", "a.wav", "audio/x-wav"),
            ("WAV", "ULAW", "a.wav", "application/octet-stream"),
            ("WAVEX", "PCM_24", "a.wav", "audio/wave"),
            ("MP3", None, "a.mp3", "audio/mpeg"),
            ("OGG", "VORBIS", "a.ogg", "audio/ogg"),
            ("FLAC", "PCM_16", "a", "application/octet-stream"),
        ],
    )
    async def test_each_format_becomes_what_a_telephone_plays(self, client, kind, subtype, filename, content_type):
        content = sound(kind, subtype)
        made = (await upload(client, content=content, filename=filename, content_type=content_type, name="x"))["media"]
        assert made["source"] == {"WAVEX": "wav"}.get(kind, kind.lower())
        assert abs(made["duration"] - 1.0) < 0.1
        channel = await heard(client, "x")
        assert abs(audio.duration(channel) - made["duration"]) < 1e-6
        assert audio.tone_present(channel, 700, min_seconds=0.8)

    @pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 48_000, 96_000])
    async def test_rates(self, client, rate):
        await upload(client, content=sound(rate=rate), name="x")
        channel = await heard(client, "x")
        assert abs(audio.duration(channel) - 1) < 0.01
        assert audio.tone_present(channel, 700, min_seconds=0.8)

    async def test_what_a_telephone_cannot_carry_is_filtered_and_not_folded(self, client):
        await upload(client, content=sound(hz=5700.0, level=0.5), name="high")
        channel = await heard(client, "high")
        assert not audio.tone_present(channel, 2300, min_seconds=0.1)

    async def test_channels_are_mixed(self, client):
        made = io.BytesIO()
        both = np.stack([tone(hz=600)[:, 0], tone(hz=1500)[:, 0]], axis=1)
        soundfile.write(made, both, RATE, format="WAV")
        await upload(client, content=made.getvalue(), name="x")
        assert audio.tone_present(await heard(client, "x"), 600, 1500, min_seconds=0.8)

    @pytest.mark.parametrize("level", [0.01, 0.05, 0.99])
    async def test_its_level_is_that_of_all(self, client, level):
        await upload(client, content=sound(level=level), name="x")
        assert abs(audio.level_dbfs((await heard(client, "x"))[800:-800]) + 19) < 1

    async def test_silence_stays_silence(self, client):
        await upload(client, content=sound(level=0.0), name="x")
        assert audio.is_silent(await heard(client, "x"), below=-90)

    async def test_it_has_names_a_number_and_a_uri(self, client, world):
        made = (await upload(client, content=sound(), name="welcome", extension="100"))["media"]
        assert (made["name"], made["extension"]) == ("welcome", "100")
        path = made["media_uri"].removeprefix("sound:") + ".wav"
        assert path.startswith(str(world.folder / "media" / "account_1"))
        assert (world.folder / "media" / "account_1" / path.rpartition("/")[2]).stat().st_size == made["size"]
        assert (await ask(client, "GET", "/api/media/welcome"))["media"] == made
        assert (await ask(client, "GET", "/api/media"))["media"] == [made]
        await ask(client, "GET", "/api/media/welcome", headers=HEADERS_2, status=404)
        assert (await ask(client, "GET", "/api/media", headers=HEADERS_2))["media"] == []

    async def test_without_a_name_it_has_its_files(self, client):
        assert (await upload(client, content=sound(), filename="hours.wav"))["media"]["name"] == "hours"

    async def test_the_same_name_replaces(self, client, world):
        await upload(client, content=sound(), name="x")
        await upload(client, content=sound(hz=1500.0), name="x")
        assert audio.tone_present(await heard(client, "x"), 1500)
        assert len((await ask(client, "GET", "/api/media"))["media"]) == 1

    async def test_deleted_it_is_gone_with_its_file(self, client, world):
        await upload(client, content=sound(), name="x")
        await ask(client, "DELETE", "/api/media/x", headers=HEADERS_2, status=404)
        await ask(client, "DELETE", "/api/media/x")
        assert left(world) == []
        for method, path in (("DELETE", "/api/media/x"), ("GET", "/api/media/x"), ("GET", "/api/media/x/content")):
            await ask(client, method, path, status=404)

    async def test_pages(self, client):
        for name in ("c", "a", "b"):
            await upload(client, content=sound(seconds=0.1), name=name)
        page = await ask(client, "GET", "/api/media?limit=2")
        assert ([each["name"] for each in page["media"]], page["next"]) == (["a", "b"], "b")
        page = await ask(client, "GET", "/api/media?limit=2&cursor=b")
        assert ([each["name"] for each in page["media"]], page["next"]) == (["c"], None)

    async def test_an_idempotency_key_uploads_once(self, client, world):
        headers = {**HEADERS, "Idempotency-Key": "k1"}
        content = sound()
        first = await upload(client, content=content, name="x", headers=headers)
        assert await upload(client, content=content, name="x", headers=headers) == first
        assert len(left(world)) == 1
        await upload(client, content=sound(hz=900.0), name="x", headers=headers, status=409)

    async def test_it_is_larger_than_a_body_may_be(self, client):
        assert (await upload(client, content=sound(seconds=20), name="x"))["media"]["duration"] == pytest.approx(
            20, abs=0.01
        )


class TestBadMedia:
    """Nothing is kept of what is refused."""

    @pytest.fixture
    async def refused(self, client, world):
        async def send(reason, *, field="file", status=422, **what):
            told = await upload(client, status=status, **what)
            assert reason in told["errors"].get(field, told["message"])
            return told

        yield send
        assert left(world) == []
        assert world.media.rows == {}

    async def test_what_is_not_audio(self, refused):
        rubbish = np.random.default_rng(1).integers(0, 256, 50_000).astype(np.uint8).tobytes()
        contents = [b"<html><script>", b"RIFF", rubbish, b"\xff\xfb\x90\x64" + bytes(400), b"ID3" + bytes(2000),
                    b"OggS" + rubbish[:500], b"fLaC" + rubbish[:500], b"\x89PNG\r\n" + rubbish]  # fmt: skip
        for content in contents:
            kind = {"filename": "a", "content_type": "application/octet-stream"}
            await refused("", content=content, name="x", **kind)

    async def test_a_zip_bomb(self, refused):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a.wav", bytes(20 << 20))
        await refused("not audio", content=made.getvalue(), filename="a", content_type="", name="x")

    async def test_what_unpacks_to_hours(self, refused, world):
        """A FLAC of two hours of silence has some kilobytes."""
        made = io.BytesIO()
        with soundfile.SoundFile(made, "w", 8000, 1, "PCM_16", format="FLAC") as out:
            for _ in range(120):
                out.write(np.zeros(8000 * 61, np.int16))
        content = made.getvalue()
        assert len(content) < 1 << 20
        await refused(
            "longer than 3600 seconds", content=content, filename="a.flac", content_type="audio/flac", name="x"
        )

    async def test_what_is_empty(self, refused):
        await refused("not audio", content=b"", name="x")
        await refused("empty", content=sound(seconds=0), name="x")

    async def test_what_lies_about_its_type(self, refused):
        await refused(
            "said to be mp3 and is wav", content=sound(), filename="a.mp3", content_type="audio/mpeg", name="x"
        )
        await refused("said to be wav and is flac", content=sound("FLAC"), filename="a.wav", name="x")
        await refused("both mp3 and wav", content=sound(), filename="a.mp3", name="x")
        await refused("image/png", content=sound(), filename="a.png", content_type="image/png", name="x")
        await refused("AIFF", content=sound("AIFF"), filename="a", content_type="", name="x")

    async def test_what_is_cut_off(self, refused):
        await refused("", content=sound("FLAC")[:60], filename="a.flac", content_type="audio/flac", name="x")

    async def test_rates_and_channels_out_of_bounds(self, refused):
        await refused("samples a second", content=sound(rate=2000), name="x")
        await refused("channels", content=sound(channels=9, seconds=0.1), name="x")

    @pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "ü", "a b", "x" * 65, "a\0b", "a,b", "a&b"])
    async def test_names(self, refused, name):
        await refused("must be", field="name", content=sound(seconds=0.1), name=name)

    async def test_a_file_whose_name_is_no_name(self, refused):
        await refused("must be", field="name", content=sound(seconds=0.1), filename="../../etc/passwd.wav")

    @pytest.mark.parametrize("extension", ["12a", "1" * 11, "-1", "*"])
    async def test_extensions(self, refused, extension):
        await refused("digits", field="extension", content=sound(seconds=0.1), name="x", extension=extension)

    async def test_forms(self, refused, client, world):
        await refused("required", name="x")
        await refused("unknown", field="colour", content=sound(seconds=0.1), name="x", colour="red")
        twice = form(content=sound(seconds=0.1), name="x")
        twice.add_field("name", "y")
        await refused("twice", field="name", data=twice)
        two = form(content=sound(seconds=0.1), name="x")
        two.add_field("file", sound(seconds=0.1), filename="b.wav", content_type="audio/wav")
        await refused("twice", data=two)
        await refused("at most", field="name", content=sound(seconds=0.1), name="x" * 2000)
        headers = {**HEADERS, "Content-Type": "multipart/form-data"}
        assert (await client.post("/api/media", data=b"no boundary", headers=headers)).status == 400
        headers = {**HEADERS, "Content-Type": "multipart/form-data; boundary=x"}
        assert (await client.post("/api/media", data=b"--y\r\n", headers=headers)).status == 400
        answer = await client.post("/api/media", json={"name": "x"}, headers=HEADERS)
        assert answer.status == 415

    async def test_parts_within_parts_and_encodings(self, refused, client):
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        headers = {**HEADERS, "Content-Type": "multipart/form-data; boundary=x"}
        coded = head + b"Content-Encoding: gzip\r\n\r\nabc\r\n--x--\r\n"
        assert (await client.post("/api/media", data=coded, headers=headers)).status == 422
        nested = b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n"
        assert (await client.post("/api/media", data=nested, headers=headers)).status == 400
        many = b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n' % n for n in range(99))
        assert (await client.post("/api/media", data=many + b"--x--\r\n", headers=headers)).status == 422

    async def test_an_upload_that_breaks_off(self, refused, client, world):
        """The client goes away in the middle of the file."""
        _, writer = await asyncio.open_connection(client.host, client.port)
        head = "\r\n".join(f"{name}: {value}" for name, value in HEADERS.items())
        writer.write(
            f"POST /api/media HTTP/1.1\r\nHost: x\r\n{head}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            'Content-Length: 9000000\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'.encode()
            + bytes(1 << 20)
        )
        await writer.drain()
        async with asyncio.timeout(60):
            while not left(world):
                await asyncio.sleep(0.01)
            writer.close()
            while left(world):
                await asyncio.sleep(0.01)

    async def test_credentials_and_scopes(self, client, world):
        await upload(client, content=sound(seconds=0.1), name="x", headers={"account": "account_1"}, status=401)
        world.scope("read")
        await upload(client, content=sound(seconds=0.1), name="x", status=403)


async def test_media_over_the_limit(tmp_path, monkeypatch):
    world = World(tmp_path)
    context = world.context()
    http = context.config.http.model_copy(update={"max_upload": 50_000})
    context.library.limit = 50_000
    small = replace(context, config=context.config.model_copy(update={"http": http}))
    async with TestClient(TestServer(create_app(small))) as client:
        await upload(client, content=sound(seconds=10), name="x", status=413)

        async def endless():
            for _ in range(100):
                yield bytes(10_000)

        answer = await client.put("/api/objects/x", data=endless(), headers=HEADERS)
        assert answer.status == 413
    assert left(world) == []
    assert not list((tmp_path / "objects").rglob("*.part"))


async def test_two_sounds_do_not_share_an_extension(client, world):
    await upload(client, content=sound(seconds=0.1), name="a", extension="100")
    told = await upload(client, content=sound(seconds=0.1), name="b", extension="100", status=422)
    assert "another" in told["errors"]["extension"]
    await upload(client, content=sound(seconds=0.1), name="a", extension="100")
    assert len(world.media.rows) == 1


class TestObjects:
    async def put(self, client, name, content, *, status=200, headers=HEADERS):
        answer = await client.put(f"/api/objects/{name}", data=content, headers=headers)
        assert answer.status == status, await answer.text()
        return (await answer.json())["response"]

    async def test_what_is_put_is_there(self, client, world):
        content = bytes(range(256)) * 40
        made = (await self.put(client, "a.bin", content))["object"]
        assert made["size"] == len(content)
        assert (world.folder / "objects/account_1/a.bin").read_bytes() == content
        answer = await client.get("/api/objects/a.bin", headers=HEADERS)
        assert await answer.read() == content
        assert answer.headers["Content-Disposition"] == "attachment"
        part = await client.get("/api/objects/a.bin", headers={**HEADERS, "Range": "bytes=1-3"})
        assert (part.status, await part.read()) == (206, content[1:4])

    async def test_it_is_its_accounts_alone(self, client):
        await self.put(client, "a", b"1")
        await ask(client, "GET", "/api/objects/a", headers=HEADERS_2, status=404)
        await ask(client, "DELETE", "/api/objects/a", headers=HEADERS_2, status=404)
        await self.put(client, "a", b"22", headers=HEADERS_2)
        assert await (await client.get("/api/objects/a", headers=HEADERS)).read() == b"1"

    async def test_it_is_replaced_and_deleted(self, client):
        await self.put(client, "a", b"1")
        await self.put(client, "a", b"")
        assert await (await client.get("/api/objects/a", headers=HEADERS)).read() == b""
        await ask(client, "DELETE", "/api/objects/a")
        await ask(client, "DELETE", "/api/objects/a", status=404)
        await ask(client, "GET", "/api/objects/a", status=404)

    @pytest.mark.parametrize("name", [".hidden", "-a", "a%2fb", "..%2fx", "%00", "a%20b", "ü", "a" * 129])
    async def test_names(self, client, world, name):
        answer = await client.put(f"/api/objects/{name}", data=b"1", headers=HEADERS)
        assert answer.status in (404, 422)
        assert (await client.get(f"/api/objects/{name}", headers=HEADERS)).status == 404
        assert (await client.delete(f"/api/objects/{name}", headers=HEADERS)).status == 404
        assert not [path for path in (world.folder / "objects").rglob("*") if path.is_file()]


class TestTranscripts:
    async def test_one_that_is_ready(self, client, world):
        said = (Segment("agent", 0.5, 1.0, "hello", 0.9),)
        row = transcript(state="ready", segments=said, text="agent: hello", recogniser="pocketsphinx", duration=3.0)
        world.transcripts.rows[row.request_id] = row
        shown = (await ask(client, "GET", f"/api/transcripts/{row.request_id}"))["transcript"]
        assert (shown["status"], shown["text"]) == ("ready", "agent: hello")
        assert shown["segments"] == [
            {"speaker": "agent", "start": 0.5, "end": 1.0, "text": "hello", "confidence": 0.9}
        ]  # fmt: skip
        await ask(client, "GET", f"/api/transcripts/{row.request_id}", headers=HEADERS_2, status=404)

    @pytest.mark.parametrize("state", ["pending", "running"])
    async def test_one_that_is_not_ready_yet(self, client, world, state):
        row = transcript(state=state)
        world.transcripts.rows[row.request_id] = row
        answer = await client.get(f"/api/transcripts/{row.request_id}", headers=HEADERS)
        assert (answer.status, answer.headers["Retry-After"]) == (202, "2")
        assert (await answer.json())["response"]["transcript"]["status"] == state

    async def test_one_that_failed_says_why(self, client, world):
        row = transcript(state="failed", error="the recording's file is gone")
        world.transcripts.rows[row.request_id] = row
        shown = (await ask(client, "GET", f"/api/transcripts/{row.request_id}"))["transcript"]
        assert (shown["status"], shown["error"]) == ("failed", "the recording's file is gone")

    async def test_one_that_nobody_asked_for_and_one_of_no_call(self, client, world):
        world.ended_call()
        assert "asked" in (await ask(client, "GET", "/api/transcripts/00000000aa", status=404))["message"]
        for unknown in ("00000000bb", "nonsense", "..%2f"):
            await ask(client, "GET", f"/api/transcripts/{unknown}", status=404)
