"""Drawing the next token from logits: which ids are kept, and with which probability each is drawn.

The steps of `sample` are mask, temperature, filters (top-k, top-p, min-p, typical; each on what the one before has
left, renormalised) and the draw. Logits are plain arrays, so that whatever is to change them comes before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.generation.executors import Floats, Rows
from modeling.generation.kernels.draw import Filters, draw, uniform

WORD = 2**64 - 1
"""Seeds count modulo this and one."""


@dataclass(frozen=True)
class SamplingConfig:
    """Parameters of sampling. Raises ValueError for values out of range."""

    temperature: float = 1.0
    top_p: float = 0.95
    """Nucleus sampling: probability mass of the most probable tokens that are kept (Holtzman et al., 2020)."""
    longest_note: float = 8.0
    """Seconds, or beats at 120 a minute, after which a note has to end before time advances."""
    guidance: float = 1.0
    """Scale of classifier-free guidance (Ho and Salimans, 2022). Above 1, style and instrumentation are followed more
    closely than in the data, at twice the work: logits are extrapolated by this factor from the unconditional to the
    conditional ones."""
    top_k: int = 0
    """Number of the most probable tokens that are kept (Fan et al., 2018). 0: all."""
    min_p: float = 0.0
    """Least probability that a token is kept with, as a share of the most probable one's (Nguyen et al., 2024)."""
    typical: float = 1.0
    """Locally typical sampling: probability mass of the tokens that are kept, those whose surprise is nearest to the
    entropy (Meister et al., 2023). 1: all."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {self.temperature}")
        for name, share in (("top_p", self.top_p), ("typical", self.typical)):
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {share}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, not {self.top_k}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be from 0 to 1, not {self.min_p}")
        if not 1 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be at least 1 and finite, not {self.guidance}")


def uniforms(seed: int, candidates: Rows, step: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each candidate, shape (rows,).

    It depends on seed, candidate and step alone, not on the other candidates or on what was drawn before.
    """
    out = np.empty(len(candidates))
    uniform(np.uint64(seed & WORD), candidates, step, out)
    return out


def sample(
    logits: Floats, allowed: NDArray[np.bool_], sampling: SamplingConfig, quantiles: NDArray[np.float64]
) -> Rows:
    """Draw one id per row, shape (rows,).

    `logits`: shape (rows, ids or more). `allowed`: the ids that may be drawn, shape (rows, ids), one at least in each
    row. `quantiles`: where in the kept probability, in the order of ids, each row draws; from `uniforms`.
    """
    filters = Filters(
        float(sampling.temperature),
        int(sampling.top_k),
        float(sampling.top_p),
        float(sampling.min_p),
        float(sampling.typical),
    )
    out = np.empty(len(quantiles), np.int64)
    draw(logits, allowed, quantiles, filters, out)
    return out
