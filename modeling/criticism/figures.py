"""Figures of a critic: how often it tells real from not, with intervals over families."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.criticism.calibration import Values

RESAMPLES = 500
CHANCE = 0.5
"""AUC of a critic that knows nothing."""


@dataclass(frozen=True)
class Scored:
    """Scores of windows, with the families of their pieces, shape (windows,) each."""

    scores: Values
    families: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Estimate:
    """A number, with the interval that holds it for 95 % of drawings of the families with replacement."""

    value: float
    low: float
    high: float

    @property
    def beats_chance(self) -> bool:
        """Of an AUC: True if the whole interval lies above that of a critic that knows nothing."""
        return self.low > CHANCE


def auc(real: Scored, other: Scored, seed: int = 0) -> Estimate:
    """Return the probability that a real window scores above one that is not, ties counting half.

    Windows of one family are alike and drawn together, on both sides (a cluster bootstrap), so that a few families with
    many windows do not feign certainty.
    """
    if not len(real) or not len(other):
        return Estimate(float("nan"), float("nan"), float("nan"))
    wins = (real.scores[:, None] > other.scores) + 0.5 * (real.scores[:, None] == other.scores)
    names, family = np.unique(np.concatenate([real.families, other.families]), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    rows, columns = drawn[:, family[: len(real)]], drawn[:, family[len(real) :]]
    pairs = rows.sum(1) * columns.sum(1)
    shares = ((rows @ wins) * columns).sum(1)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(shares, (0.025, 0.975)).tolist()
    return Estimate(float(wins.mean()), low, high)


def share_below(below: Values, above: Values) -> float:
    """Return the share of pairs of which the first scores below the second."""
    found: NDArray[np.bool_] = below[:, None] < above
    return float(found.mean()) if found.size else float("nan")
