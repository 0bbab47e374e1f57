"""Train the detector's model on the training part of the corpus, and write it where the engine reads it."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.media.detect import model as model_module
from engine.media.detect.features import NAMES, features, understood
from engine.media.detect.frames import PER_SECOND, Floats, Frames
from engine.media.detect.model import Model
from engine.testkit.rtp import encode
from tests.bench.detect.boost import Boost
from tests.bench.detect.corpus import SHARES, TRAINING, Clip, make

MODEL = Path(model_module.__file__).with_name("model.json")
LOOKS = np.arange(0.4, 3.21, 0.1)
"""Seconds at which each clip is looked at."""
CRITICAL = (2.4, 0.69)
"""Seconds, and how far from them most is decided: what is seen there counts twice."""
TREES, RATE = 600, 0.1
DECIDED = 2.4
PATIENCE = 1.6
"""Weight of a person beside a machine: to hang up on one is worse."""
MISTAKEN = 0.018
"""Share of the people that may be called machines, on voices that the model did not learn from."""
TURNS = 4
SETS = ((1600, 1, False), (2200, 2, True))
"""Clips, seed, wild."""


@dataclass
class Example:
    voice: str
    scene: str
    machine: bool
    wild: bool
    looks: Floats
    """One row of features for each of LOOKS."""


def example(clip: Clip, *, wild: bool) -> Example:
    frames = Frames()
    frames.feed(encode(clip.samples[: int(8000 * (LOOKS[-1] + 0.1))] / 32768.0))
    looks = [features(understood(frames.rows[: round(when * PER_SECOND)])) for when in LOOKS]
    group = clip.voice.partition("+")[2] or clip.id
    return Example(group, clip.scene, clip.kind == "machine", wild, np.asarray(looks))


def fitted(examples: Sequence[Example]) -> tuple[Model, Boost]:
    values = np.concatenate([each.looks for each in examples])
    machine = np.repeat([float(each.machine) for each in examples], len(LOOKS))
    critical = np.where(abs(LOOKS - CRITICAL[0]) < CRITICAL[1], 2.0, 1.0)
    weights = np.tile(critical, len(examples)) * np.where(machine > 0, 1.0, PATIENCE)
    boost = Boost(trees=TREES, rate=RATE)
    return boost.train(values, machine, weights), boost


def threshold(examples: Sequence[Example]) -> tuple[float, dict[str, float]]:
    """The probability from which on it is called a machine: found on voices that a model has not learned from, with the
    scenes in the shares of life."""
    voices = sorted({each.voice for each in examples})
    look = int(np.argmin(abs(LOOKS - DECIDED)))
    people, machines = [], []
    for turn in range(TURNS):
        unheard = set(voices[turn::TURNS])
        model, _ = fitted([each for each in examples if each.voice not in unheard])
        for each in examples:
            if not each.wild and each.voice in unheard:
                weight = SHARES[each.scene] / TRAINING[each.scene]
                (machines if each.machine else people).append((model.probability(each.looks[look]), weight))
    limit = max(0.5, _quantile(people, 1 - MISTAKEN))
    return round(limit, 3), {
        "people_called_machines": round(_share(people, limit), 4),
        "machines_found": round(_share(machines, limit), 4),
    }


def _quantile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    ordered = np.array(sorted(weighted))
    sums = np.cumsum(ordered[:, 1])
    return float(ordered[np.searchsorted(sums, share * sums[-1]), 0])


def _share(weighted: Sequence[tuple[float, float]], limit: float) -> float:
    """Of those at or above the limit."""
    values = np.array(weighted)
    return float(values[values[:, 0] >= limit, 1].sum() / values[:, 1].sum())


def train() -> dict[str, Any]:
    """Make the clips, learn, write ``model.json``; what was found on the way."""
    examples = []
    for count, seed, wild in SETS:
        clips = make("train", count, seed, shares=TRAINING, wild=wild)
        examples += [example(clip, wild=wild) for clip in clips if clip.kind != "fax"]
        print(f"{len(examples)} clips", flush=True)  # noqa: T201
    odds, crossed = threshold(examples)
    return write(examples, odds, crossed)


def write(examples: Sequence[Example], odds: float, crossed: Mapping[str, float]) -> dict[str, Any]:
    """Learn from all of them; write the model with where it comes from."""
    model, boost = fitted(examples)
    provenance = {
        "made_by": "python -m tests.bench.detect train",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "sets": [{"part": "train", "clips": count, "seed": seed, "wild": wild} for count, seed, wild in SETS],
        "examples": len(examples),
        "unheard_voices": crossed,
    }
    trees = ",\n".join(json.dumps({"ask": questions, "leaves": leaves}) for questions, leaves in boost.grown)
    head = json.dumps(
        {"provenance": provenance, "features": NAMES, "odds": odds, "bias": round(model.bias, 5)}, indent=1
    )
    MODEL.write_text(f'{head[:-2]},\n "trees": [\n{trees}\n]}}\n', encoding="utf-8")
    return {**provenance, "odds": odds}


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
