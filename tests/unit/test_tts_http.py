"""A speech server of one's own: what it is asked, and what it may answer."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from aiohttp import web

from engine import config
from engine.media.tts.create import synthesizer
from engine.media.tts.espeak import EspeakEngine
from engine.media.tts.http_voice import HttpEngine
from engine.media.tts.polly import PollyEngine
from engine.media.tts.port import EngineFailed, Speech
from engine.media.tts.resolve import resolve


def encoded(form="WAV", rate=24000, channels=2, seconds=1.0, subtype=None):
    wave = 0.3 * np.sin(2 * np.pi * 700 * np.arange(int(seconds * rate)) / rate)
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, axis=1), rate, format=form, subtype=subtype)
    return file.getvalue()


@pytest.fixture
async def server():
    here = SimpleNamespace(seen=[], bodies=[], answer=lambda: web.Response(body=encoded()))

    async def speak(request):
        here.seen.append(request)
        here.bodies.append(await request.read())
        return here.answer()

    app = web.Application()
    app.router.add_route("*", "/speak", speak)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.url = "http://{}:{}/speak".format(*runner.addresses[0][:2])
    yield here
    await runner.cleanup()


@pytest.fixture
async def connect():
    made = []

    def engine(**settings):
        made.append(HttpEngine(config.HttpVoice.model_validate(settings)))
        return made[-1]

    yield engine
    for one in made:
        await one.close()


def told(text="Hello", **manner):
    return resolve(Speech(text, **manner))[0]


async def test_places_of_the_url_are_filled_in_quoted(server, connect):
    engine = connect(url=f"{server.url}?t={{text}}&v={{voice}}&l={{language}}&r={{rate}}&x={{unknown}}")
    sound = await engine.render(told("Fish & chips,, {voice} 100%?", voice="Amy", rate="slow"))
    query = server.seen[0].query
    assert dict(query) == {
        "t": "Fish & chips ... {voice} 100%?",
        "v": "Amy",
        "l": "en-GB",
        "r": "80",
        "x": "{unknown}",
    }
    assert (sound.rate, len(sound.pcm)) == (24000, 48000)


async def test_places_of_a_json_body_are_filled_in_quoted(server, connect):
    engine = connect(
        url=server.url,
        method="POST",
        headers={"Authorization": "Bearer tell-nobody"},
        body='{"input": "{text}", "voice": "{polly_voice}", "gender": "{gender}"}',
    )
    await engine.render(told('Say "hello" \\ to नमस्ते', voice="TTS_FR-FR_THOMAS"))
    assert json.loads(server.bodies[0]) == {
        "input": 'Say "hello" \\ to नमस्ते',
        "voice": "Mathieu",
        "gender": "male",
    }
    assert server.seen[0].headers["Authorization"] == "Bearer tell-nobody"
    assert server.seen[0].headers["Content-Type"] == "application/json"
    assert "tell-nobody" not in repr(engine.settings)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
async def test_kinds_of_sound(server, connect, form):
    server.answer = lambda: web.Response(body=encoded(form))
    sound = await connect(url=server.url).render(told())
    assert len(sound.pcm) / 2 / sound.rate == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        lambda: web.Response(body=b""),
        lambda: web.Response(body=b"<html>sorry</html>"),
        lambda: web.Response(body=encoded()[:20]),
        lambda: web.Response(body=bytes((32 << 20) + 1)),
        lambda: web.Response(body=encoded("FLAC", rate=8000, channels=1, seconds=1000)),
    ],
    ids=["error", "redirect", "empty", "page", "torn", "huge", "hours"],
)
async def test_answers_that_are_no_speech(server, connect, answer):
    server.answer = answer
    with pytest.raises(EngineFailed):
        await connect(url=server.url).render(told())


def test_another_server_is_another_voice(connect):
    urls = ("http://a/{text}", "http://b/{text}")
    assert len({HttpEngine(config.HttpVoice(url=url)).version for url in urls}) == 2


def settings(tmp_path, **tts):
    server = {"ari_password": "x", "ami_secret": "x"}
    return config.parse(
        {
            "state": tmp_path,
            "objects": tmp_path,
            "recordings": tmp_path,
            "database": {"dsn": "postgresql://x"},
            "asterisk": [server],
            "tts": tts,
        }
    )


def test_configuration_chooses_the_engine(tmp_path):
    keys = {"access_key": "a", "secret_key": "b"}
    assert isinstance(synthesizer(settings(tmp_path)).engine, EspeakEngine)
    assert isinstance(synthesizer(settings(tmp_path, engine="polly", polly=keys)).engine, PollyEngine)
    speaker = synthesizer(settings(tmp_path, engine="http", http={"url": "http://x/{text}"}, cache_bytes=2 << 20))
    assert isinstance(speaker.engine, HttpEngine)
    assert speaker.folder.root == tmp_path / "tts"
    assert speaker.folder.cap == 2 << 20


@pytest.mark.parametrize(
    "tts",
    [
        {"engine": "polly"},
        {"engine": "http"},
        {"engine": "festival"},
        {"cache_bytes": 0},
        {"deadline": 0},
        {"fallback": "/etc/passwd"},
        {"http": {"url": "file:///etc/passwd"}},
        {"polly": {"region": "../x"}},
    ],
)
def test_settings_that_are_refused(tmp_path, tts):
    with pytest.raises(config.ConfigError):
        settings(tmp_path, **tts)
