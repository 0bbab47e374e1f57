"""``trunkline tts``: hear what a text sounds like, fill the cache before it is needed, list the voices."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from engine import config
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.errors import ConfigError, InvalidFields, TrunklineError
from engine.media.tts.create import synthesizer
from engine.media.tts.port import Speech
from engine.media.tts.synthesizer import Synthesizer
from engine.media.tts.text import spell
from engine.media.tts.voices import VOICES, Voice
from engine.media.tts.words import ENGINE_TYPES, PITCHES, RATES, VOLUMES

if TYPE_CHECKING:
    from engine.cli import Subparsers

PATIENCE = 60.0
"""Seconds for one text; nobody waits on a telephone."""
AT_ONCE = 4
_FIELDS = ("text", "voice", "language", "rate", "pitch", "volume", "engine")


class NotSpoken(TrunklineError):
    """The engine of speech is dead or slow."""


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("tts", description="Text to speech, with the engine and cache of the configuration.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _say(actions.add_parser("say", help="speak TEXT into a WAV file"))
    _prerender(actions.add_parser("prerender", help="speak every line of FILE into the cache"))
    voices = actions.add_parser("voices", help="the documents' voices")
    voices.add_argument("--language", default="", help="of this language alone: en-US")
    add_json(voices)
    voices.set_defaults(run=_run_voices)


def _say(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="- reads standard input; ,, is a pause")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="16-bit 8 kHz mono WAV")
    parser.add_argument("--spell", action="store_true", help="character by character, as codes are spoken")
    _manner(parser)
    parser.set_defaults(run=lambda arguments: asyncio.run(_run_say(arguments)))


def _prerender(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Speak every line of FILE into the cache, so that no call waits for it. A line is a text, or a JSON object with "
        f"{', '.join(_FIELDS)}. Empty lines and lines that begin with # are left out."
    )
    parser.add_argument("file", metavar="FILE", help="- is standard input")
    _manner(parser)
    parser.set_defaults(run=lambda arguments: asyncio.run(_run_prerender(arguments)))


def _manner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--voice", default="", help="Joanna, TTS_EN-GB_SERENA …: `trunkline tts voices`")
    parser.add_argument("--language", default="", help="en-US; a voice wins over it")
    parser.add_argument("--rate", default="medium", help=" ".join(RATES))
    parser.add_argument("--pitch", default="medium", help=" ".join(PITCHES))
    parser.add_argument("--volume", default="medium", help=" ".join(VOLUMES))
    parser.add_argument("--engine", default="standard", help=" ".join(ENGINE_TYPES))
    add_config(parser)


def _speech(arguments: argparse.Namespace, text: str) -> Speech:
    manner = {name: getattr(arguments, name) for name in _FIELDS if name != "text"}
    return Speech(text, **manner)


def _open(arguments: argparse.Namespace) -> Synthesizer:
    speaker = synthesizer(config.load(config.find(arguments.config)))
    speaker.deadline = PATIENCE
    return speaker


async def _run_say(arguments: argparse.Namespace) -> int:
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    speech = _speech(arguments, spell(text) if arguments.spell else text)
    speaker = _open(arguments)
    await speaker.start()
    try:
        with await speaker.speak(speech) as spoken:
            if spoken.path is None:
                raise NotSpoken(spoken.note)
            content = await asyncio.to_thread(spoken.path.read_bytes)
            await asyncio.to_thread(_write, arguments.output, content)
            print(f"{arguments.output}: {spoken.duration:.2f} s{f' ({spoken.note})' if spoken.note else ''}")
    finally:
        await speaker.close()
    return 0


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


async def _run_prerender(arguments: argparse.Namespace) -> int:
    wanted = await asyncio.to_thread(_read, arguments)
    speaker = _open(arguments)
    for line, speech in wanted:
        _checked(speaker, line, speech)
    await speaker.start()
    slots = asyncio.Semaphore(AT_ONCE)

    async def speak(line: int, speech: Speech) -> bool:
        async with slots:
            with await speaker.speak(speech) as spoken:
                if spoken.fallback:
                    print(f"line {line}: {spoken.note}", file=sys.stderr)
                return not spoken.fallback

    try:
        done = await asyncio.gather(*(speak(line, speech) for line, speech in wanted))
    finally:
        await speaker.close()
    print(f"{sum(done)} of {len(done)} texts are in the cache, {speaker.rendered} of them spoken now")
    return 0 if all(done) else 1


def _checked(speaker: Synthesizer, line: int, speech: Speech) -> None:
    try:
        speaker.check(speech)
    except InvalidFields as error:
        raise ConfigError(f"line {line}: {error}") from None


def _read(arguments: argparse.Namespace) -> list[tuple[int, Speech]]:
    if arguments.file == "-":
        return list(_lines(sys.stdin, arguments))
    try:
        with Path(arguments.file).open(encoding="utf-8") as file:
            return list(_lines(file, arguments))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{arguments.file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error


def _lines(file: IO[str], arguments: argparse.Namespace) -> Iterator[tuple[int, Speech]]:
    for number, line in enumerate(file, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, _line(number, text, arguments)


def _line(number: int, text: str, arguments: argparse.Namespace) -> Speech:
    if not text.startswith("{"):
        return _speech(arguments, text)
    try:
        told: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"line {number}: not JSON: {error}") from error
    if strange := [name for name in told if name not in _FIELDS or not isinstance(told[name], str | int)]:
        raise ConfigError(f"line {number}: {', '.join(strange)}: not among {', '.join(_FIELDS)}, or not a text")
    return replace(
        _speech(arguments, ""), **{name: value if name == "rate" else str(value) for name, value in told.items()}
    )


def _run_voices(arguments: argparse.Namespace) -> int:
    wanted = arguments.language.replace("_", "-").lower()
    found = [voice for voice in VOICES.values() if wanted in ("", *(each.lower() for each in _languages(voice)))]
    if arguments.json:
        as_json([asdict(voice) for voice in found])
        return 0
    rows = [(v.name, " ".join(_languages(v)), v.gender, _kinds(v), v.polly) for v in found]
    table(("voice", "languages", "gender", "engine types", "at Amazon Polly"), rows)
    return 0


def _languages(voice: Voice) -> tuple[str, ...]:
    return (voice.language, *voice.others)


def _kinds(voice: Voice) -> str:
    return " ".join(kind for kind in ENGINE_TYPES if getattr(voice, kind))
