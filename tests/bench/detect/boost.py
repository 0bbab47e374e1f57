"""Gradient boosting of symmetric trees, in numpy: what trains the detector's model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.media.detect.features import NAMES
from engine.media.detect.frames import Floats
from engine.media.detect.model import DEPTH, Model

BINS = 40
SHRINK = 20.0
"""Weight of the assumption that a leaf says nothing."""


@dataclass
class Boost:
    trees: int = 90
    rate: float = 0.12
    grown: list[tuple[list[tuple[str, float]], list[float]]] = field(default_factory=list)

    def train(self, values: Floats, machine: Floats, weights: Floats) -> Model:
        edges = [np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1])) for column in values.T]
        binned = [np.searchsorted(edge, column, side="left") for edge, column in zip(edges, values.T, strict=True)]
        share = float((machine * weights).sum() / weights.sum())
        bias = float(np.log(share / (1 - share)))
        odds = np.full(len(values), bias)
        for _ in range(self.trees):
            chance = 1 / (1 + np.exp(-odds))
            slope, bend = weights * (machine - chance), weights * chance * (1 - chance)
            odds += self._grow(edges, binned, slope, bend)
        return Model.of(bias, self.grown)

    def _grow(
        self, edges: Sequence[Floats], binned: Sequence[npt.NDArray[np.int64]], slope: Floats, bend: Floats
    ) -> Floats:
        leaf = np.zeros(len(slope), np.int64)
        questions = []
        for level in range(DEPTH):
            feature, cut = _best(binned, edges, leaf, leaves=1 << level, slope=slope, bend=bend)
            questions.append((NAMES[feature], round(float(edges[feature][cut]), 4)))
            leaf |= (binned[feature] > cut).astype(np.int64) << level
        size = 1 << DEPTH
        values = self.rate * np.bincount(leaf, slope, size) / (np.bincount(leaf, bend, size) + SHRINK)
        self.grown.append((questions, [round(float(value), 5) for value in values]))
        return np.asarray(values[leaf])


def _best(
    binned: Sequence[npt.NDArray[np.int64]],
    edges: Sequence[Floats],
    leaf: npt.NDArray[np.int64],
    *,
    leaves: int,
    slope: Floats,
    bend: Floats,
) -> tuple[int, int]:
    """Feature and edge whose question gains most."""
    best, found = -1.0, (0, 0)
    for feature, column in enumerate(binned):
        width = len(edges[feature]) + 1
        if width == 1:
            continue
        cell = leaf * width + column
        s = np.bincount(cell, slope, leaves * width).reshape(leaves, width)
        b = np.bincount(cell, bend, leaves * width).reshape(leaves, width)
        below_s, below_b = s.cumsum(axis=1)[:, :-1], b.cumsum(axis=1)[:, :-1]
        above_s, above_b = s.sum(axis=1, keepdims=True) - below_s, b.sum(axis=1, keepdims=True) - below_b
        gain = (below_s**2 / (below_b + SHRINK) + above_s**2 / (above_b + SHRINK)).sum(axis=0)
        cut = int(np.argmax(gain))
        if gain[cut] > best:
            best, found = float(gain[cut]), (feature, cut)
    return found
