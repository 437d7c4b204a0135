"""Calibration: from logits to probabilities that hold, by the number of tokens heard.

Platt scaling (Platt, 1999) with a scale and an offset that depend on the logarithm of the tokens heard: a critic that
has heard little is unsure however its logit looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
REFERENCE = 64.0
"""Tokens heard at which `growth` and `drift` do not count."""
FLATTEST = 0.01
"""Least scale: a higher logit always means likelier real."""
STRENGTH = 1.0
"""Inverse of the regularisation of the fit, which holds back what a handful of pieces would say."""


@dataclass(frozen=True)
class Calibration:
    """Scale and offset of a critic's logits. The defaults leave them as they are."""

    scale: float = 1.0
    growth: float = 0.0
    """Of the scale, for each doubling of the tokens heard."""
    offset: float = 0.0
    drift: float = 0.0
    """Of the offset, likewise."""

    def apply(self, logits: Values, heard: Values) -> Values:
        """Return calibrated logits. `heard`: tokens behind the header that each is about."""
        doublings = np.log2(np.maximum(heard, 1.0) / REFERENCE)
        scale = np.maximum(self.scale + self.growth * doublings, FLATTEST)
        return np.asarray(scale * logits + self.offset + self.drift * doublings)


def probability(logits: Values) -> Values:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))


def fit_calibration(logits: Values, heard: Values, is_real: NDArray[np.bool_]) -> Calibration:
    """Fit a calibration to held-out windows, real and not, shape (windows,) each. Raises ValueError for one kind."""
    from sklearn.linear_model import LogisticRegression

    if is_real.all() or not is_real.any():
        raise ValueError("calibration needs windows that are real and others that are not")
    doublings = np.log2(np.maximum(heard, 1.0) / REFERENCE)
    columns = np.stack([logits, logits * doublings, doublings], axis=1)
    fitted = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000).fit(columns, is_real)
    scale, growth, drift = fitted.coef_[0].tolist()
    return Calibration(max(scale, FLATTEST), growth, float(fitted.intercept_[0]), drift)


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
