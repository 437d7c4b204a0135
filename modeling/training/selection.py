"""Model selection: the best evaluation so far, and early stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from modeling.training.evaluation import EvalMetrics


@dataclass(frozen=True)
class Selection:
    """The outcome of the evaluations so far; JSON values, part of every checkpoint."""

    best_step: int | None = None
    best_nats: float = math.inf
    """Nats per token of the best evaluation."""
    since: int = 0
    """Number of evaluations since the best one."""

    def after(self, step: int, metrics: EvalMetrics) -> Selection:
        """Return the selection after one more evaluation. A loss that is not a number is never the best."""
        if metrics.nats_per_token < self.best_nats:
            return Selection(step, metrics.nats_per_token)
        return replace(self, since=self.since + 1)

    def is_plateau(self, patience: int | None) -> bool:
        """True after `patience` evaluations in a row without improvement; never for None."""
        return patience is not None and self.since >= patience
