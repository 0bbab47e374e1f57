"""``python -m tests.bench.detect [calls|offline|train|corpus] …``: see docs/machine-detection.md."""

# ruff: noqa: T201
import argparse
import asyncio
import json
import os
import platform
import wave
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from engine import log
from engine.media.detect.detector import Detector, Limits
from engine.media.tts.sound import wav
from engine.testkit.rtp import encode
from tests.bench.detect.calls import METHODS, over_calls, read
from tests.bench.detect.corpus import HARD, SHARES, Clip, make, save
from tests.bench.detect.report import Guess, judged, shown
from tests.bench.detect.train import MODEL, commit, train

RESULTS = Path("bench/detect.json")
SEED = 7


def main() -> None:
    log.configure(form="console", level="error")
    options = _options().parse_args()
    options.act(options)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detect")
    parser.set_defaults(act=_calls, clips=None, count=400, hard=80, seed=SEED, at_once=8, write=None)
    commands = parser.add_subparsers()
    for name, act in (("calls", _calls), ("offline", _offline), ("corpus", _corpus), ("train", _train)):
        command = commands.add_parser(name)
        command.set_defaults(act=act)
        if act is not _train:
            command.add_argument("--clips", type=Path, help="folder with human, machine, fax, silence, music, noise")
            command.add_argument("--count", type=int, default=400, help="clips of the held-out part")
            command.add_argument("--hard", type=int, default=80, help="clips of the set of hard ones")
            command.add_argument("--seed", type=int, default=SEED)
            command.add_argument("--at-once", type=int, default=8, help="calls at the same time")
            command.add_argument("--write", type=Path, help="where the results go")
    return parser


def _train(_options: argparse.Namespace) -> None:
    print(json.dumps(train(), indent=1))


def _corpus(options: argparse.Namespace) -> None:
    """Both parts as files, for ears and other programs."""
    folder = options.write or Path("corpus")
    for part in ("train", "held-out"):
        clips = list(make(part, options.count, options.seed))
        save(clips, folder / part)
        print(f"{len(clips)} clips in {folder / part}")


def _sets(options: argparse.Namespace) -> dict[str, list[Clip]]:
    if options.clips:
        return {str(options.clips.name): [_clip(*each) for each in read(options.clips)]}
    return {
        "held_out": list(make("held-out", options.count, options.seed, shares=SHARES)),
        "hard": list(make("held-out", options.hard, options.seed + 1, shares=HARD)),
    }


def _clip(name: str, kind: str, content: bytes) -> Clip:
    with wave.open(BytesIO(content)) as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (8000, 2, 1):
            raise SystemExit(f"{name}: 8 kHz, 16 bit, mono is asked for")
        return Clip(name, "own", kind, kind, np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16))


def _offline(options: argparse.Namespace) -> None:
    """The detector on the clips themselves, without a call."""
    for name, clips in _sets(options).items():
        print(shown(f"{name}, own", judged([_heard(clip) for clip in clips])))


def _heard(clip: Clip) -> Guess:
    detector = Detector(Limits(usual=2.4))
    sound = encode(clip.samples / 32768.0) + b"\xff" * 8000 * 4
    for at in range(0, len(sound), 160):
        verdict = detector.feed(sound[at : at + 160])
        if detector.over:
            break
    assert verdict is not None
    error = verdict.beep_at - clip.beep_at if verdict.beep_at and clip.beep_at else None
    return Guess(clip.id, clip.scene, clip.kind, str(verdict.who), round(verdict.seconds, 3), error)


def _calls(options: argparse.Namespace) -> None:
    """Each clip over a real call; all methods hear the same call."""
    results: dict[str, Any] = _about()
    for name, clips in _sets(options).items():
        results[name] = asyncio.run(_called(clips, options.at_once))
        for method in METHODS:
            print(shown(f"{name}, {method}", results[name][method]), flush=True)
    if options.write or not options.clips:
        path = options.write or RESULTS
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


async def _called(clips: list[Clip], at_once: int) -> dict[str, Any]:
    outcomes, cpu = await over_calls([wav(clip.samples.astype("<i2").tobytes()) for clip in clips], at_once=at_once)
    found: dict[str, Any] = {"engine_cpu_ms_per_call": round(cpu, 1)}
    for method in METHODS:
        guesses = []
        for clip, outcome in zip(clips, outcomes, strict=True):
            said = outcome.said.get(method)
            kind, seconds = (str(said.kind), said.seconds) if said else ("none", 0.0)
            guesses.append(Guess(clip.id, clip.scene, clip.kind, kind, seconds))
        found[method] = judged(guesses)
    return found


def _about() -> dict[str, Any]:
    model = json.loads(MODEL.read_text(encoding="utf-8"))
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": f"{os.cpu_count()} × {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "model": model["provenance"],
    }


if __name__ == "__main__":
    main()
