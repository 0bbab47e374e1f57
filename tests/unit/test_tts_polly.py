"""Amazon Polly, against a server that checks what Amazon checks; and the signature against Amazon's own examples."""

import asyncio
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from aiohttp import web

from engine import config
from engine.media.tts.polly import PollyEngine, ssml
from engine.media.tts.port import EngineFailed, Speech
from engine.media.tts.resolve import resolve
from engine.media.tts.sigv4 import Signer

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TONE = np.asarray(9000 * np.sin(np.arange(8000)), "<i2").tobytes()


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_signature_is_that_of_amazons_test_suite(method, signature):
    """aws-sig-v4-test-suite, get-vanilla and post-vanilla."""
    signer = Signer("us-east-1", "service", "AKIDEXAMPLE", SECRET)
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signed = signer.headers(method, "https://example.amazonaws.com/", b"", at, {})
    assert signed["authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")


def verified(request: web.Request, body: bytes) -> str | None:
    """Amazon's own steps on what came over the wire; the error type that it would answer with."""
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\d{8})/(eu-west-1)/(polly)/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        request.headers.get("Authorization", ""),
    )
    if match is None:
        return "IncompleteSignatureException"
    day, region, service, names, given = match.groups()
    if not {"host", "x-amz-date", "content-type"} <= set(names.split(";")):
        return "IncompleteSignatureException"
    stamp = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - stamp) > timedelta(minutes=5) or f"{stamp:%Y%m%d}" != day:
        return "SignatureDoesNotMatchException"
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
    digest = hashlib.sha256(body).hexdigest()
    canonical = f"{request.method}\n{request.path}\n{request.query_string}\n{headers}\n{names}\n{digest}"
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = ("AWS4" + SECRET).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.new(key, f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{hashed}".encode(), "sha256")
    return None if hmac.compare_digest(right.hexdigest(), given) else "SignatureDoesNotMatchException"


class Amazon:
    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.answers: list[web.Response] = []
        self.tokens: list[str | None] = []

    async def speech(self, request: web.Request) -> web.Response:
        body = await request.read()
        if wrong := verified(request, body):
            return web.Response(status=403, headers={"x-amzn-ErrorType": f"{wrong}:http://internal"})
        self.requests.append(json.loads(body))
        self.tokens.append(request.headers.get("X-Amz-Security-Token"))
        return self.answers.pop(0) if self.answers else web.Response(body=TONE, content_type="audio/pcm")


@pytest.fixture
async def amazon():
    here = Amazon()
    app = web.Application()
    app.router.add_post("/v1/speech", here.speech)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield here
    await runner.cleanup()


@pytest.fixture
async def connect(amazon):
    made = []

    def engine(**changed):
        settings = {
            "region": "eu-west-1",
            "access_key": "AKIDEXAMPLE",
            "secret_key": SECRET,
            "endpoint": amazon.url,
            **changed,
        }
        made.append(PollyEngine(config.Polly.model_validate(settings)))
        return made[-1]

    yield engine
    for one in made:
        await one.close()


def told(text="Hello", **manner):
    return resolve(Speech(text, **manner))[0]


async def test_speaks_in_the_telephones_own_format(amazon, connect):
    sound = await connect().render(told("Fish & <3 chips"))
    assert (sound.rate, sound.pcm) == (8000, TONE)
    assert amazon.requests == [
        {
            "Engine": "standard",
            "OutputFormat": "pcm",
            "SampleRate": "8000",
            "Text": "<speak>Fish &amp; &lt;3 chips</speak>",
            "TextType": "ssml",
            "VoiceId": "Joanna",
        }
    ]
    assert amazon.tokens == [None]


async def test_the_documents_names_become_amazons(amazon, connect):
    engine = connect(session_token="temporary")
    await engine.render(told(voice="TTS_EN-GB_SERENA"))
    await engine.render(told(voice="Kajal", language="hi-IN", engine="neural"))
    await engine.render(told(voice="Raveena", rate="x-slow", pitch="high"))
    await engine.render(told(voice="Matthew", rate="fast", pitch="high", engine="neural"))
    first, second, third, fourth = amazon.requests
    assert first["VoiceId"] == "Amy"
    assert (second["VoiceId"], second["LanguageCode"], second["Engine"]) == ("Kajal", "hi-IN", "neural")
    assert third["Text"] == '<speak><prosody rate="x-slow" pitch="high">Hello</prosody></speak>'
    assert fourth["Text"] == '<speak><prosody rate="fast">Hello</prosody></speak>', "neural voices have no pitch"
    assert amazon.tokens[0] == "temporary"


def test_pauses_and_numbers_are_ssml_that_parses():
    text = ssml(told('1,, 9,,, "8" & 7', rate=25))
    assert text == (
        '<speak><prosody rate="71%">1<break time="500ms"/>9<break time="1000ms"/>"8" &amp; 7</prosody></speak>'
    )
    assert ET.fromstring(text).tag == "speak"


async def test_a_wrong_secret_is_amazons_refusal_and_shows_no_text(amazon, connect):
    with pytest.raises(EngineFailed) as caught:
        await connect(secret_key="wrong").render(told("Your code is 1987"))
    assert str(caught.value) == "Polly: SignatureDoesNotMatchException (403)"
    assert not amazon.requests


async def test_busy_amazon_is_asked_again(amazon, connect):
    amazon.answers = [web.Response(status=429), web.Response(status=503)]
    assert (await connect().render(told())).pcm == TONE
    assert len(amazon.requests) == 3


async def test_amazon_that_stays_busy_has_failed(amazon, connect):
    amazon.answers = [web.Response(status=500) for _ in range(9)]
    with pytest.raises(EngineFailed, match=r"Polly: error \(500\)"):
        await connect().render(told())
    assert len(amazon.requests) == 3


async def test_a_refused_request_is_not_tried_again(amazon, connect):
    amazon.answers = [web.Response(status=400, headers={"x-amzn-ErrorType": "TextLengthExceededException"})]
    with pytest.raises(EngineFailed, match="TextLengthExceededException"):
        await connect().render(told())
    assert len(amazon.requests) == 1


async def test_no_amazon_is_a_failure_of_the_engine(connect):
    async with asyncio.timeout(60):
        with pytest.raises(EngineFailed, match="no answer"):
            await connect(endpoint="http://127.0.0.1:1").render(told())
