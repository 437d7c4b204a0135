"""Controls of harmony: nats for each pitch class by what was heard of it, as compiled code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.texture import CLASSES

NEVER = -1
"""The tick at which a pitch class was struck before any was."""
MEMORY = 48.0
"""Notes after which a pitch class that was heard counts 1 / e."""
PRIOR = 1.0
"""Notes of each pitch class that count as heard at first."""
CHORD = 3
"""Pitch classes that music may stay on for some time: those of a triad."""


@compiled
def class_bias(classes: NDArray[np.float64], tonality: float, by_class: NDArray[np.float64]) -> None:
    """Write the nats of each pitch class, 0 for one whose share among the notes heard is a twelfth."""
    mean = (classes.sum() + CLASSES * PRIOR) / CLASSES
    for pitch_class in range(CLASSES):
        by_class[pitch_class] = tonality * np.log((classes[pitch_class] + PRIOR) / mean)


@compiled
def remember_class(classes: NDArray[np.float64], pitch_class: int) -> None:
    """Count a note, older ones a little less."""
    for other in range(CLASSES):
        classes[other] *= 1.0 - 1.0 / MEMORY
    classes[pitch_class] += 1.0


@compiled
def stay_bias(struck_at: NDArray[np.int64], now: int, nats: float, limit: float, by_class: NDArray[np.float64]) -> bool:
    """Write the nats of each pitch class while music stays on those CHORD that were struck last; False if all are 0.

    `limit`: ticks behind which those become less likely, by `nats` from twice as many on. They are counted from the
    last time that a fourth one was struck, as the measure "longest stay" does.
    """
    by_class[:] = 0.0
    if nats <= 0.0:
        return False
    since = np.sort(struck_at)[CLASSES - 1 - CHORD]
    if since == NEVER or now - since <= limit:
        return False
    penalty = nats * min((now - since) / limit - 1.0, 1.0) if limit > 0 else nats
    for pitch_class in range(CLASSES):
        if struck_at[pitch_class] > since:
            by_class[pitch_class] = -penalty
    return True


@compiled
def strike_class(struck_at: NDArray[np.int64], pitch_class: int, now: int) -> None:
    """Note when a pitch class was struck; the first pitched note of a piece stands for all classes."""
    if struck_at[pitch_class] == NEVER:
        struck_at[:] = now
    struck_at[pitch_class] = now
