"""Calibration by both halves of the held-out families: the scores of each half are measured under the other's.

A few dozen families differ so much that a calibration by one half says little of the other. The critic gets the one
that is fitted to both; how well scores hold is measured where they were not fitted (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.criticism.report import Reliability
from flows.criticism.windows import windows_of
from modeling.archive import Generation
from modeling.criticism import Calibration, Critic, fit_calibration, hear_prefixes, probability
from modeling.criticism.calibration import WHOLE, Values
from modeling.data import Split

BINS = 10


@dataclass(frozen=True)
class Crosswise:
    """A calibration by both halves, and the scores of their whole windows under the other half's."""

    calibration: Calibration
    scores: Values
    """Probabilities, shape (windows,)."""
    is_real: NDArray[np.bool_]

    def reliability(self) -> list[Reliability]:
        """Return the windows by their scores."""
        place = np.minimum((self.scores * BINS).astype(np.int64), BINS - 1)
        return [
            Reliability(
                score=float(self.scores[own].mean()), real=float(self.is_real[own].mean()), windows=int(own.sum())
            )
            for own in (place == number for number in range(BINS))
            if own.any()
        ]


def calibrate_crosswise(critic: Critic, halves: Sequence[tuple[Split, Sequence[Generation]]]) -> Crosswise:
    """Fit a critic's calibration to generations beside real windows of two halves of the held-out families."""
    heard = [_hear(critic, split, generations) for split, generations in halves]
    scores = [
        probability(other.fitted().apply(own.logits[:, -1], own.sizes[:, -1]))
        for own, other in zip(heard, reversed(heard), strict=True)
    ]
    both = _Half(*(np.concatenate(columns) for columns in zip(*((h.logits, h.sizes, h.is_real) for h in heard))))
    return Crosswise(both.fitted(), np.concatenate(scores), both.is_real)


@dataclass(frozen=True)
class _Half:
    """Prefixes of windows, the whole window last; shape (windows, prefixes)."""

    logits: Values
    sizes: Values
    """Tokens heard behind the header."""
    is_real: NDArray[np.bool_]
    """Shape (windows,)."""

    def fitted(self) -> Calibration:
        """Return the calibration of this half."""
        is_there = ~np.isnan(self.logits)
        is_real = np.broadcast_to(self.is_real[:, None], self.logits.shape)
        is_whole = np.arange(self.logits.shape[1]) == self.logits.shape[1] - 1
        weight = np.broadcast_to(np.where(is_whole, WHOLE, 1.0), self.logits.shape)
        return fit_calibration(self.logits[is_there], self.sizes[is_there], is_real[is_there], weight[is_there])


def _hear(critic: Critic, split: Split, generations: Sequence[Generation]) -> _Half:
    made, real = windows_of(generations, split)
    logits, sizes = hear_prefixes(critic, split.encoding, [*real, *made])
    is_judged = ~np.isnan(logits[:, -1])  # that is, longer than its prompt
    return _Half(logits[is_judged], sizes[is_judged], (np.arange(len(logits)) < len(real))[is_judged])
