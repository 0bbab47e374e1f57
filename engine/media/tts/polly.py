"""Amazon Polly by its HTTP API: SynthesizeSpeech of the Amazon Polly developer guide, raw samples at 8 kHz."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from engine import config
from engine.media.tts.client import Client
from engine.media.tts.port import EngineFailed, Pause, Sound, Utterance
from engine.media.tts.sigv4 import Signer
from engine.media.tts.voices import VOICES
from engine.media.tts.words import PITCHES, RATES

RATE = 8000
TRIES = 3
PAUSE = 0.2
"""Seconds before the second try, doubled before each other; the caller has the deadline."""
_OK, _TOO_MANY, _SERVER_ERRORS = 200, 429, 500


class PollyEngine:
    name = "polly"
    neural = True
    version = "1"
    """Amazon does not say when a voice changes: `trunkline tts` users delete the cache then."""

    def __init__(self, settings: config.Polly, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.base = (settings.endpoint or f"https://polly.{settings.region}.amazonaws.com").rstrip("/")
        self.signer = Signer(
            settings.region,
            "polly",
            settings.access_key.get_secret_value(),
            settings.secret_key.get_secret_value(),
            settings.session_token.get_secret_value(),
        )
        self.now = now
        self.client = Client()

    async def start(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        await self.client.close()

    async def render(self, utterance: Utterance) -> Sound:
        body = json.dumps(request(utterance)).encode()
        for turn in range(TRIES):
            try:
                return await self._ask(body)
            except _Passing:
                if turn == TRIES - 1:
                    raise
            await asyncio.sleep(PAUSE * 2**turn * random.uniform(0.5, 1.5))
        raise AssertionError

    async def _ask(self, body: bytes) -> Sound:
        url = f"{self.base}/v1/speech"
        headers = self.signer.headers("POST", url, body, self.now(), {"content-type": "application/json"})
        try:
            answer = await self.client.request("POST", url, data=body, headers=headers)
        except EngineFailed as error:
            raise _Passing(f"Polly: {error}") from None
        if answer.status == _OK:
            return Sound(answer.body, RATE)
        kind = answer.headers.get("x-amzn-ErrorType", "").partition(":")[0] or "error"
        failed = _Passing if answer.status == _TOO_MANY or answer.status >= _SERVER_ERRORS else EngineFailed
        raise failed(f"Polly: {kind} ({answer.status})")


class _Passing(EngineFailed):
    """Worth another try."""


def request(utterance: Utterance) -> dict[str, Any]:
    """The request's body. Volume is not among it: each sound is brought to the level asked for later."""
    voice = VOICES[utterance.voice]
    asked = {
        "Engine": "neural" if utterance.neural else "standard",
        "OutputFormat": "pcm",
        "SampleRate": str(RATE),
        "Text": ssml(utterance),
        "TextType": "ssml",
        "VoiceId": voice.polly,
    }
    return asked | ({"LanguageCode": utterance.language} if utterance.language in voice.others else {})


def ssml(utterance: Utterance) -> str:
    """Neural voices have no pitch ("Supported SSML tags")."""
    said = "".join(_part(part) for part in utterance.script)
    rate = _named(RATES, utterance.rate)
    pitch = "medium" if utterance.neural else _named(PITCHES, utterance.pitch)
    attributes = [f' rate="{rate}"'] if rate != "medium" else []
    attributes += [f' pitch="{pitch}"'] if pitch != "medium" else []
    return f"<speak><prosody{''.join(attributes)}>{said}</prosody></speak>" if attributes else f"<speak>{said}</speak>"


def _part(part: str | Pause) -> str:
    return escape(part) if isinstance(part, str) else f'<break time="{round(part.seconds * 1000)}ms"/>'


def _named(words: Any, percent: int) -> str:
    """A percentage by the word it came from, where it came from one."""
    return next((word for word, each in words.items() if each == percent), f"{percent}%")
