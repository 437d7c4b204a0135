"""Blends of styles.

A blend is a mixture in logits: the network predicts the next token once under each style, and the weighted mean of the
logits is sampled from, a geometric mean of the distributions. Weights may change along the piece.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Blend:
    """The weights of styles, at points in time; between them they change linearly.

    Raises ValueError for no points, times that do not rise, or weights that are negative or all zero.
    """

    points: Sequence[tuple[float, Mapping[str, float]]]
    """Seconds and the weights from then on, in any scale."""

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a blend needs the weights of its styles at one time at least")
        times = [time for time, _ in self.points]
        if any(after <= before for before, after in pairwise(times)):
            raise ValueError(f"the times of a blend rise, these do not: {', '.join(f'{time:g}' for time in times)}")
        for time, weights in self.points:
            if not all(0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
                raise ValueError(f"weights of a blend are at least 0 and one is above it; at {time:g} s they are not")

    @property
    def styles(self) -> tuple[str, ...]:
        """Every style that has a weight at any time, in alphabetical order."""
        return tuple(sorted({style for _, weights in self.points for style, weight in weights.items() if weight}))

    def weights(self, seconds: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the weights of `styles` at times, shape (times, styles); their sum is 1."""
        times = [time for time, _ in self.points]
        columns = []
        for style in self.styles:
            shares = [weights.get(style, 0.0) / sum(weights.values()) for _, weights in self.points]
            columns.append(np.interp(seconds, times, shares))
        return np.stack(columns, axis=1).astype(np.float32)


def parse_blend(text: str) -> Blend:
    """Read `chopin=0.7, pop=0.3`, or with times in seconds `0 chopin; 30 chopin=0.5, pop=0.5; 60 pop`.

    A style without a weight has 1. Raises ValueError.
    """
    points = []
    for part in text.split(";"):
        time, _, rest = part.strip().partition(" ")
        seconds = _number(time)
        styles = part.strip() if seconds is None else rest
        weights: dict[str, float] = {}
        for word in styles.split(","):
            style, is_weighted, weight = (piece.strip() for piece in word.partition("="))
            value = _number(weight) if is_weighted else 1.0
            if not style or value is None or style in weights:
                raise ValueError(
                    f"no blend {text!r}; write styles with weights, `chopin=0.7, pop=0.3`, or at seconds of the piece, "
                    "`0 chopin; 30 pop`"
                )
            weights[style] = value
        points.append((0.0 if seconds is None else seconds, weights))
    return Blend(points)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
