"""Drawing the next token from logits: temperature, nucleus sampling and classifier-free guidance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


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

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 1 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be at least 1 and finite, not {self.guidance}")


def sample(logits: Tensor, allowed: Tensor, sampling: SamplingConfig, generator: torch.Generator) -> Tensor:
    """Draw one token per row, shape (batch,), from logits and a mask of allowed ids, both (batch, vocabulary)."""
    scores = logits.float().masked_fill(~allowed, -torch.inf) / sampling.temperature
    probability, order = scores.softmax(-1).sort(descending=True)
    mass_before = probability.cumsum(-1) - probability
    probability = probability.masked_fill(mass_before >= sampling.top_p, 0.0)
    pick = torch.multinomial(probability, 1, generator=generator)
    return order.gather(-1, pick)[:, 0]
