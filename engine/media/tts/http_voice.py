"""Any speech server that answers one request with a sound file (WAV, FLAC, Ogg, MP3)."""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import soundfile

from engine import config
from engine.media.tts.client import Client
from engine.media.tts.port import EngineFailed, Sound, Utterance
from engine.media.tts.voices import VOICES

_PLACE = re.compile(r"\{(\w+)\}")
_OK = 200
SLOWEST, FASTEST = 4000, 192_000
"""Hertz."""
LONGEST = 900
"""Seconds; a small file can hold hours of silence."""


class HttpEngine:
    name = "http"
    neural = True

    def __init__(self, settings: config.HttpVoice) -> None:
        assert settings.url is not None
        self.settings = settings
        self.url = settings.url
        self.headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        self.client = Client()

    @property
    def version(self) -> str:
        """Another server, or another way to ask it, is another voice."""
        told = json.dumps([self.settings.method, self.settings.url, self.settings.body])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    async def start(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        await self.client.close()

    async def render(self, utterance: Utterance) -> Sound:
        values = places(utterance)
        url = filled(self.url, values, lambda text: quote(text, safe=""))
        body, headers = self._body(values)
        answer = await self.client.request(self.settings.method, url, data=body, headers=headers)
        if answer.status != _OK:
            raise EngineFailed(f"the speech server answered {answer.status}")
        return await asyncio.to_thread(decoded, answer.body)

    def _body(self, values: Mapping[str, str]) -> tuple[bytes | None, Mapping[str, str]]:
        template = self.settings.body
        if not template:
            return None, self.headers
        if template.lstrip().startswith(("{", "[")):
            kind, text = "application/json", filled(template, values, lambda text: json.dumps(text)[1:-1])
        else:
            kind, text = "text/plain; charset=utf-8", filled(template, values, str)
        named = any(name.lower() == "content-type" for name in self.headers)
        return text.encode(), self.headers if named else {**self.headers, "Content-Type": kind}


def places(utterance: Utterance) -> dict[str, str]:
    """What ``{…}`` stands for. Pauses are three dots, which most engines hear."""
    return {
        "text": " ".join(part if isinstance(part, str) else "..." for part in utterance.script),
        "voice": utterance.voice,
        "polly_voice": VOICES[utterance.voice].polly,
        "language": utterance.language,
        "gender": utterance.gender,
        "rate": str(utterance.rate),
        "pitch": str(utterance.pitch),
        "engine": "neural" if utterance.neural else "standard",
    }


def filled(template: str, values: Mapping[str, str], quoted: Callable[[str], str]) -> str:
    """``template`` with its places filled in; braces around anything else stay (JSON has them)."""
    return _PLACE.sub(lambda match: quoted(values[match[1]]) if match[1] in values else match[0], template)


def decoded(content: bytes) -> Sound:
    """The samples of a sound file, its channels mixed. Raises EngineFailed."""
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if not SLOWEST <= file.samplerate <= FASTEST or file.frames > LONGEST * file.samplerate:
                raise EngineFailed(f"a sound of {file.frames} samples at {file.samplerate} Hz")
            samples: Any = file.read(dtype="float64", always_2d=True)
            mixed = np.clip(np.nan_to_num(samples.mean(axis=1)), -1, 1)
            return Sound(np.asarray(np.round(mixed * 32767), "<i2").tobytes(), int(file.samplerate))
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        raise EngineFailed(f"not a sound file: {type(error).__name__}") from None
