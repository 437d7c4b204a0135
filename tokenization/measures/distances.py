"""Distances between two sets of pieces, and how far they vary with the choice of the pieces.

Sets are resampled by piece (bootstrap, Efron 1979), all resamples in one pass: a resample is a row of weights, the
number of times that each piece was drawn, so that mean histograms are a product of matrices, and the Wasserstein
distance of values is a cumulative sum over the sorted values of both sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.definitions import Distance, Measure

Weights = NDArray[np.float64]
"""How often each piece was drawn, shape (resamples, pieces)."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Resampled:
    """A distance, and the same of resampled sets."""

    value: float
    """NaN where one of the sets has nothing to compare."""
    resamples: NDArray[np.float64]
    """Shape (resamples,)."""

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the interval that holds a share of the resamples, moved so that their mean is the distance.

        Resampled sets repeat pieces and are therefore further apart than the sets themselves; the interval shows how
        far the distance varies, without that shift. Never below 0.
        """
        drawn = self.resamples[~np.isnan(self.resamples)]
        if np.isnan(self.value) or not len(drawn):
            return float("nan"), float("nan")
        low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2)) - drawn.mean()
        return float(max(self.value + low, 0.0)), float(self.value + max(high, 0.0))


def draw_weights(pieces: int, resamples: int, random: np.random.Generator) -> Weights:
    """Return how often each piece is drawn in so many draws with replacement, shape (resamples, pieces)."""
    if not pieces:
        return np.zeros((resamples, 0))
    return random.multinomial(pieces, np.full(pieces, 1 / pieces), resamples).astype(np.float64)


def draw_splits(first: int, second: int, splits: int, random: np.random.Generator) -> Weights:
    """Return random splits of pieces into sets of two sizes: 1 for those in the first, shape (splits, pieces)."""
    inside = np.arange(first + second) < first
    return random.permuted(np.tile(inside, (splits, 1)), axis=1).astype(np.float64)


def distance(measure: Measure, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the distance of two sets' values of a measure; NaN where one of them has none."""
    ones = np.ones((1, len(first))), np.ones((1, len(second)))
    return float(_distances(measure, first, second, *ones)[0])


def resampled(
    measure: Measure,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    first_weights: Weights,
    second_weights: Weights,
) -> Resampled:
    """Return the distance of two sets with that of resampled ones; weights from `draw_weights`."""
    return Resampled(
        distance(measure, first, second), _distances(measure, first, second, first_weights, second_weights)
    )


def splits_apart(measure: Measure, values: NDArray[np.float64], splits: Weights) -> Resampled:
    """Return how far the two sides of random splits of one set are apart: the mean, and each split."""
    found = _distances(measure, values, values, splits, 1.0 - splits)
    known = found[~np.isnan(found)]
    return Resampled(float(known.mean()) if len(known) else float("nan"), found)


def _distances(
    measure: Measure,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    first_weights: Weights,
    second_weights: Weights,
) -> NDArray[np.float64]:
    if measure.distance is Distance.VALUES:
        return _wasserstein(first, second, first_weights, second_weights)
    one, other = weighted_mean(first, first_weights), weighted_mean(second, second_weights)
    if measure.distance is Distance.JENSEN_SHANNON:
        from scipy.spatial.distance import jensenshannon

        with np.errstate(invalid="ignore"):  # rounding gives roots of −ε where histograms are equal
            found: NDArray[np.float64] = np.nan_to_num(jensenshannon(one, other, base=2, axis=1))
        return np.where(np.isnan(one[:, 0] + other[:, 0]), np.nan, found)
    if measure.distance is Distance.EARTH_MOVER:
        moved: NDArray[np.float64] = np.abs(np.cumsum(one - other, axis=1)).sum(axis=1) * measure.step
        return moved
    apart = np.abs(one - other)
    known = ~np.isnan(apart)
    total = np.where(known, apart, 0.0).sum(axis=1)
    counts = known.sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def weighted_mean(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Return the mean over pieces that have a value, for each row of weights; NaN where none has.

    `values`: shape (pieces,) or (pieces, bins); the mean has shape (resamples,) or (resamples, bins).
    """
    known = ~np.isnan(values)
    total = weights @ np.where(known, values, 0.0)
    counts = weights @ known.astype(np.float64)
    mean: NDArray[np.float64] = np.where(counts > 0, total / np.maximum(counts, 1e-300), np.nan)
    return mean


def _wasserstein(
    first: NDArray[np.float64], second: NDArray[np.float64], first_weights: Weights, second_weights: Weights
) -> NDArray[np.float64]:
    """Return the first Wasserstein distance of weighted values, for each row of weights."""
    one, other = ~np.isnan(first), ~np.isnan(second)
    values = np.concatenate([first[one], second[other]])
    order = np.argsort(values, kind="stable")
    left, right = first_weights[:, one], second_weights[:, other]
    totals = left.sum(axis=1, keepdims=True), right.sum(axis=1, keepdims=True)
    mass = np.concatenate([left / np.maximum(totals[0], 1e-300), -right / np.maximum(totals[1], 1e-300)], axis=1)
    cumulative = np.cumsum(mass[:, order], axis=1)[:, :-1]
    found: NDArray[np.float64] = np.abs(cumulative) @ np.diff(values[order])
    return np.where((totals[0] > 0)[:, 0] & (totals[1] > 0)[:, 0], found, np.nan)
