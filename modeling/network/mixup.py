"""Mixup: pairs of windows are interpolated, position by position, in all embeddings and in the loss.

Sources: Zhang et al., 2018, "mixup: Beyond Empirical Risk Minimization"; OpenAI, "MuseNet" (2019), which mixes token
embeddings. The fraction of windows that are mixed is annealed to 0, so that training ends on unmixed music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modeling.config import MixupSchedule


@dataclass(frozen=True)
class Mix:
    """The partner of each window of a batch, and how much of it is mixed in."""

    share_b: Tensor
    """The partner's coefficient for each window, 0 to 0.5; 0 leaves the window unmixed."""
    partner_b: Tensor
    """The partner's index in the batch."""

    def apply(self, x_btc: Tensor) -> Tensor:
        """Interpolate each window's embeddings with its partner's, shape (b, t, c)."""
        share = self.share_b.to(x_btc.device, x_btc.dtype)[:, None, None]
        return torch.lerp(x_btc, x_btc[self.partner_b.to(x_btc.device)], share)

    def targets(self, targets_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Return each window's own and its partner's targets, and their weights; both of shape (2, b, t)."""
        device = targets_bt.device
        both = torch.stack([targets_bt, targets_bt[self.partner_b.to(device)]])
        share = self.share_b.to(device)
        return both, torch.stack([1 - share, share])[..., None].expand(both.shape)


def mixup_rate(schedule: MixupSchedule, progress: float) -> float:
    """Return the fraction of windows that are mixed at a progress of training, 0 to 1."""
    remaining = 1.0 - progress
    annealed = 1.0 - schedule.anneal_from
    return schedule.rate * (min(remaining / annealed, 1.0) if annealed > 0 else float(remaining > 0))


def draw_mix(schedule: MixupSchedule, progress: float, batch_size: int, seed: Sequence[int]) -> Mix | None:
    """Draw the mix of a batch, a pure function of the arguments. None: nothing is mixed.

    A mixed window's partner is another window; unmixed windows may be partners.
    """
    rate = mixup_rate(schedule, progress)
    if rate == 0 or batch_size < 2:
        return None
    random = np.random.default_rng(seed)
    share = random.beta(schedule.alpha, schedule.alpha, batch_size)
    share = np.where(random.random(batch_size) < rate, np.minimum(share, 1 - share), 0.0)
    order = random.permutation(batch_size)
    partner = np.empty(batch_size, np.int64)
    partner[order] = np.roll(order, 1)
    if not share.any():
        return None
    return Mix(torch.from_numpy(share.astype(np.float32)), torch.from_numpy(partner))
