"""Calibration: from logits to probabilities that hold, by the number of tokens heard.

Logits below zero have a slope of their own (as in beta calibration: Kull et al., 2017), for a critic that takes some
real music for noise must not be as sure of its noes as of its yeses. Slopes and offset depend on the logarithm of the
tokens heard: a critic that has heard little is unsure however its logit looks.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
REFERENCE = 64.0
"""Tokens heard at which `growth` and `drift` do not count."""
FLATTEST = 0.1
"""Least slope: a higher logit always means likelier real."""
STRENGTH = 1.0
"""Weight of half the sum of squares of what is fitted beside the loss of all windows, which holds back what a handful
of pieces would say."""
WHOLE = 16.0
"""Weight of whole windows, by which pieces are judged, beside that of their prefixes."""


@dataclass(frozen=True)
class Calibration:
    """Slopes and offset of a critic's logits. The defaults leave them as they are."""

    low: float = 1.0
    """Slope of logits far below zero; between the two it goes over smoothly."""
    low_growth: float = 0.0
    """Of that slope, for each doubling of the tokens heard."""
    high: float = 1.0
    """Slope of logits far above zero."""
    high_growth: float = 0.0
    offset: float = 0.0
    drift: float = 0.0
    """Of the offset, for each doubling of the tokens heard."""

    def apply(self, logits: Values, heard: Values) -> Values:
        """Return calibrated logits. `heard`: tokens behind the header that each is about."""
        doublings = np.log2(np.maximum(heard, 1.0) / REFERENCE)
        low = np.maximum(self.low + self.low_growth * doublings, FLATTEST)
        high = np.maximum(self.high + self.high_growth * doublings, FLATTEST)
        bent = high * np.logaddexp(0, logits) - low * np.logaddexp(0, -logits)
        return np.asarray(bent + self.offset + self.drift * doublings)


def probability(logits: Values) -> Values:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))


def fit_calibration(
    logits: Values, heard: Values, is_real: NDArray[np.bool_], weight: Values | None = None
) -> Calibration:
    """Fit a calibration to held-out windows, real and not, shape (windows,) each; `weight`: theirs, None: all alike.

    Both kinds count as much in all. Raises ValueError for one kind.
    """
    from scipy.optimize import minimize

    if is_real.all() or not is_real.any():
        raise ValueError("calibration needs windows that are real and others that are not")
    counted = np.ones(len(logits)) if weight is None else weight
    sides = [counted * (is_real == side) for side in (True, False)]
    balanced = np.sum([side * (counted.sum() / 2 / side.sum()) for side in sides], axis=0)
    signs = np.where(is_real, -1.0, 1.0)

    def loss(fitted: Values) -> float:
        losses = np.logaddexp(0, signs * Calibration(*fitted).apply(logits, heard))
        return float(balanced @ losses + STRENGTH / 2 * (fitted @ fitted))

    found = minimize(loss, np.array(astuple(Calibration())), method="Nelder-Mead", options={"maxiter": 4000})
    return Calibration(*found.x.tolist())


def expected_calibration_error(probabilities: Values, is_real: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the mean distance of probabilities from the share that is real, in bins of equal width (Guo et al., 2017).

    Shape (windows,) each.
    """
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    sums = np.bincount(place, probabilities - is_real, bins)
    return float(np.abs(sums).sum() / max(len(probabilities), 1))


def calibration_floor(probabilities: Values, bins: int = 10, draws: int = 200, seed: int = 0) -> float:
    """Return the calibration error that the same probabilities would have on average if every one of them held.

    It is what a number of windows leaves to chance: an error below it says nothing, one far above it does. Labels are
    drawn by the probabilities, `draws` times.
    """
    random = np.random.default_rng(seed)
    drawn = random.random((draws, len(probabilities))) < probabilities
    return float(np.mean([expected_calibration_error(probabilities, labels, bins) for labels in drawn]))
