"""``detect``: how long after the answer our detector says who it was, over real calls, and what listening costs.

How often it is right is another measurement (``python -m tests.bench.detect``, docs/machine-detection.md).
"""

import asyncio
import time

from engine.embedded.progress import say
from engine.media.detect.detector import Detector, Limits
from engine.media.tts.sound import wav
from engine.testkit.rtp import encode
from engine.verbs.detect import Detect
from tests.bench.detect.calls import Outcome, desk, publish
from tests.bench.detect.corpus import SHARES, Clip, make
from tests.bench.subject import keep, percentile, told

CLIPS, AT_ONCE, SEED = 120, 10, 11
OWN = {"own": Detect("own")}


def main(*, quick: bool = False) -> int:
    clips = list(make("held-out", 20 if quick else CLIPS, SEED, shares=SHARES))
    outcomes, cpu = asyncio.run(_called(clips))
    said = [outcome.said["own"] for outcome in outcomes if "own" in outcome.said]
    heard = [each for each in said if each.reason not in {"failed", "hangup"}]
    seconds = [each.seconds for each in heard]
    figures = {
        "calls": len(clips),
        "at_once": AT_ONCE,
        "decision_s_p50": percentile(seconds, 50),
        "decision_s_p95": percentile(seconds, 95),
        "decision_s_max": round(max(seconds, default=float("nan")), 3),
        "engine_cpu_ms_per_call": round(cpu, 1),
        "detector_cpu_ms_per_second_of_sound": round(_cost(clips[: 20 if quick else CLIPS]), 2),
    }
    told(figures)
    for kind in sorted({each.kind for each in heard}):
        say(f"  {kind:8} {sum(each.kind == kind for each in heard)}")
    if len(heard) == len(clips) and not quick:
        keep("detect", figures)
    return 0 if len(heard) == len(clips) else 1


async def _called(clips: list[Clip]) -> tuple[list[Outcome], float]:
    """What was said of each clip, and milliseconds of our CPU per call."""
    async with desk() as bench:
        numbers = publish(bench.pair, [wav(clip.samples.astype("<i2").tobytes()) for clip in clips])
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: str) -> Outcome:
            async with turns:
                return await bench.ask(number, OWN)

        before = time.process_time()
        outcomes = await asyncio.gather(*(one(number) for number in numbers))
        return list(outcomes), (time.process_time() - before) * 1000 / len(clips)


def _cost(clips: list[Clip]) -> float:
    """Milliseconds of CPU that the detector itself takes for a second of sound, until it knows."""
    sounds = [encode(clip.samples / 32768.0) for clip in clips]
    before = time.process_time()
    heard = sum(map(_decide, sounds))
    return (time.process_time() - before) * 1000 / max(heard / 8000, 0.1)


def _decide(sound: bytes) -> int:
    """How many samples it took."""
    detector = Detector(Limits())
    for at in range(0, len(sound), 160):
        if detector.feed(sound[at : at + 160]) is not None:
            return at + 160
    return len(sound)
