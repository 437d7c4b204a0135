"""Rotary position embedding: queries and keys are rotated by angles proportional to the position.

Their product then depends on the distance between them alone. Source: Su et al., 2021, "RoFormer: Enhanced
Transformer with Rotary Position Embedding".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BASE = 10_000.0
"""Base of the angles' geometric sequence: the slowest pair rotates once in about 2π · BASE positions."""


class Rotation(NamedTuple):
    """Cosines and sines of each position's angles, shape (t, d / 2) or (b, 1, t, d / 2)."""

    cosine: Tensor
    sine: Tensor

    def __call__(self, x_bhtd: Tensor) -> Tensor:
        """Rotate queries or keys: the first half of a head's components against the second."""
        left, right = x_bhtd.chunk(2, dim=-1)
        return torch.cat(
            [left * self.cosine - right * self.sine, right * self.cosine + left * self.sine],
            dim=-1,
        )


def rotation(positions: Tensor, d_head: int, dtype: torch.dtype) -> Rotation:
    """Return the rotation of positions, shape (t,) or (b, t). Angles are 32-bit, whatever the model's dtype."""
    exponent = torch.arange(0, d_head, 2, device=positions.device, dtype=torch.float32) / d_head
    angle = positions[..., None].float() * BASE**-exponent
    if positions.ndim == 2:
        angle = angle[:, None]
    return Rotation(angle.cos().to(dtype), angle.sin().to(dtype))
