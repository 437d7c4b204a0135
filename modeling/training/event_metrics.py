"""The numbers of training events under the names that MLflow and TensorBoard show."""

from __future__ import annotations

import math

from modeling.training.events import Evaluated, StepTrained

NOT_METRICS = ("time", "step", "tokens")
"""Numeric fields of events that are not metrics."""


def metrics_of(event: StepTrained | Evaluated) -> dict[str, float]:
    """Return the finite numbers of an event; those of an evaluation begin with `validation_`, styles after a slash."""
    metrics = {
        name: float(value)
        for name, value in vars(event).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in NOT_METRICS
    }
    if isinstance(event, Evaluated):
        by_style = {f"nats_per_token/{style}": loss for style, loss in event.by_style.items()}
        metrics = {f"validation_{name}": value for name, value in (metrics | by_style).items()}
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
