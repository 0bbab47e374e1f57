"""The trained model: symmetric trees, three questions each, whose answers add up to the odds that it is a machine.

``model.json`` is written by ``python -m tests.bench.detect train`` from the training part of the corpus, and tells
where it comes from.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from engine.media.detect.features import NAMES
from engine.media.detect.frames import Floats

DEPTH: Final = 3
_WEIGHTS: Final = 1 << np.arange(DEPTH)


@dataclass(frozen=True)
class Model:
    """``asked`` (trees × 3): index of a feature; ``limits``: what it is compared with; ``leaves`` (trees × 8). ``surely``:
    probability from which on a machine is called one at the limit, found on voices that it did not learn from."""

    asked: npt.NDArray[np.int64]
    limits: Floats
    leaves: Floats
    bias: float
    surely: float = 0.65

    def odds(self, values: Floats) -> float:
        """Natural logarithm of the odds of a machine."""
        above = values[self.asked] > self.limits
        leaf = above @ _WEIGHTS
        return self.bias + float(self.leaves[np.arange(len(leaf)), leaf].sum())

    def probability(self, values: Floats) -> float:
        return float(1 / (1 + np.exp(-np.clip(self.odds(values), -30, 30))))

    @classmethod
    def of(
        cls, bias: float, trees: Sequence[tuple[Sequence[tuple[str, float]], Sequence[float]]], surely: float = 0.65
    ) -> Self:
        """``trees``: three (feature, limit) each, and eight leaves. The first question is the lowest bit of a leaf."""
        asked = np.array([[NAMES.index(name) for name, _ in questions] for questions, _ in trees], np.int64)
        limits = np.array([[limit for _, limit in questions] for questions, _ in trees])
        return cls(asked, limits, np.array([leaves for _, leaves in trees]), bias, surely)


@cache
def trained() -> Model:
    """The model that comes with the package."""
    raw = json.loads((resources.files(__package__) / "model.json").read_text(encoding="utf-8"))
    return Model.of(raw["bias"], [(tree["ask"], tree["leaves"]) for tree in raw["trees"]], raw["odds"])
