"""Confusion, errors and times of each method, over a set of clips."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

GUESSES = ("human", "machine", "fax", "unknown", "none")


@dataclass(frozen=True)
class Guess:
    """What a method said of a clip: ``seconds`` after the answer."""

    clip: str
    scene: str
    kind: str
    said: str
    seconds: float
    beep_error: float | None = None
    """Seconds between the beep that was told and the one that was there."""


def judged(guesses: Sequence[Guess]) -> dict[str, Any]:
    """Fax apart; who is unknown counts as human, as the flows treat them."""
    voices = [guess for guess in guesses if guess.kind != "fax"]
    people = [guess for guess in voices if guess.kind == "human"]
    wrong = [guess for guess in voices if (guess.said == "machine") != (guess.kind == "machine")]
    faxes = [guess for guess in guesses if guess.kind == "fax"]
    beeps = [abs(guess.beep_error) for guess in guesses if guess.beep_error is not None]
    return {
        "clips": len(voices),
        "right": share(len(voices) - len(wrong), len(voices)),
        "errors": len(wrong),
        "humans_called_machine": share(sum(guess.said == "machine" for guess in people), len(people)),
        "machines_found": share(
            sum(guess.said == "machine" for guess in voices if guess.kind == "machine"), len(voices) - len(people)
        ),
        "fax_found": share(sum(guess.said == "fax" for guess in faxes), len(faxes)),
        "seconds": times([guess.seconds for guess in guesses]),
        "seconds_human": times([guess.seconds for guess in people]),
        "beeps": {"found": len(beeps), "within_s": round(float(np.percentile(beeps, 95)), 3)} if beeps else None,
        "confusion": confusion(guesses),
        "wrong_by_scene": dict(Counter(guess.scene for guess in wrong).most_common()),
    }


def confusion(guesses: Sequence[Guess]) -> dict[str, dict[str, int]]:
    """Kind → what was said → how often."""
    table = {
        kind: Counter(guess.said for guess in guesses if guess.kind == kind) for kind in ("human", "machine", "fax")
    }
    return {kind: {said: row[said] for said in GUESSES if row[said]} for kind, row in table.items()}


def times(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    marks = np.percentile(seconds, [50, 95, 99, 100])
    return dict(zip(("p50", "p95", "p99", "longest"), (round(float(mark), 3) for mark in marks), strict=True))


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def shown(name: str, result: Mapping[str, Any]) -> str:
    """A few lines for the terminal."""
    said = "; ".join(f"{kind}: {row}" for kind, row in result["confusion"].items() if row)
    percent = {
        key: "-" if result[key] is None else f"{result[key]:.1%}"
        for key in ("right", "humans_called_machine", "fax_found")
    }
    return (
        f"{name}: right {percent['right']} of {result['clips']} ({result['errors']} errors), humans called machine "
        f"{percent['humans_called_machine']}, fax {percent['fax_found']}, p50 {result['seconds'].get('p50')} s, "
        f"p95 {result['seconds'].get('p95')} s\n  {said}\n  wrong: {result['wrong_by_scene']}"
    )
