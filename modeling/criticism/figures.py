"""Figures of a critic: how often it tells real from not, with intervals over the pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.criticism.calibration import Values

RESAMPLES = 500


@dataclass(frozen=True)
class Estimate:
    """A number, with the interval that holds it for 95 % of drawings of the pieces with replacement."""

    value: float
    low: float
    high: float


def auc(real: Values, other: Values, seed: int = 0) -> Estimate:
    """Return the probability that a real window scores above one that is not, ties counting half.

    Scores of shape (windows,) each; resampled by window, real and other independently.
    """
    if not len(real) or not len(other):
        return Estimate(float("nan"), float("nan"), float("nan"))
    wins = (real[:, None] > other).astype(np.float64) + 0.5 * (real[:, None] == other)
    random = np.random.default_rng(seed)
    rows = random.multinomial(len(real), np.full(len(real), 1 / len(real)), RESAMPLES)
    columns = random.multinomial(len(other), np.full(len(other), 1 / len(other)), RESAMPLES)
    drawn = ((rows @ wins) * columns).sum(1) / (len(real) * len(other))
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Estimate(float(wins.mean()), low, high)


def share_below(below: Values, above: Values) -> float:
    """Return the share of pairs of which the first scores below the second."""
    found: NDArray[np.bool_] = below[:, None] < above
    return float(found.mean()) if found.size else float("nan")
