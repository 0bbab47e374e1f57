"""What a callee of the carrier simulator heard, pressed and was shown: its files, read when its call has ended."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from engine.embedded.carrier import Heard, results
from engine.testkit import audio
from engine.testkit.audio import Samples
from engine.testkit.poll import eventually


@dataclass(frozen=True)
class Callee:
    """One finished call of a number; ``samples`` is what it heard since its answer, 8 kHz mono, empty if nothing."""

    kept: Heard
    samples: Samples

    @property
    def caller(self) -> str:
        """The caller id it was shown."""
        return self.kept.caller

    @property
    def talked(self) -> float:
        """Seconds from its answer to its end."""
        return self.kept.ended - self.kept.answered_at if self.kept.answered_at else 0.0


async def last_call(folder: Path, number: str, within: float = 60.0) -> Callee:
    """The latest finished call of ``number``; waits for its files. Raises NotInTime."""

    async def look() -> Callee | None:
        return await asyncio.to_thread(_latest, folder, number)

    async def tell() -> str:
        return f"there are {[heard.number for heard in results(folder)][-20:]}"

    return await eventually(look, within=within, what=f"finished call of {number}", tell=tell, every=0.05)


def calls_of(folder: Path, number: str) -> list[Heard]:
    """Finished calls of ``number``, in the order they began."""
    return results(folder, number)


def _latest(folder: Path, number: str) -> Callee | None:
    kept = results(folder, number)
    if not kept:
        return None
    last = kept[-1]
    if last.wav is None:
        return Callee(last, audio.nothing())
    return Callee(last, audio.load(last.wav)[0]) if last.wav.exists() else None
