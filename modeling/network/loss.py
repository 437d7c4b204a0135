"""The output projection and its loss together, for some positions at a time.

Logits of all positions at once would be the largest tensor of a step by far: (positions, vocabulary), several times
over. Here a part of them is made, turned into its share of the gradients, and dropped. The softmax is computed in 32
bits or more, whatever the model's type.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

IGNORED = -100
"""Target that carries no loss."""
PART_ELEMENTS = 2**23
"""Most logits that exist at once; 32 MB of them in 32 bits."""


def mean_loss(states_nc: Tensor, table_vc: Tensor, targets_kn: Tensor, weights_kn: Tensor) -> Tensor:
    """Mean loss in nats over targets, each with its weight; 0 where no target counts.

    A position may have several targets (k), as mixup needs it, at the price of one. IGNORED targets do not count.
    Targets are integers of 32 or 64 bits.
    """
    exact = torch.promote_types(table_vc.dtype, torch.float32)
    weights_kn = weights_kn.to(exact) * (targets_kn != IGNORED)
    targets_kn = targets_kn.clamp(min=0).long()
    total = weights_kn.sum().clamp(min=torch.finfo(exact).tiny)
    if torch.is_grad_enabled():
        loss: Tensor = _LossInParts.apply(states_nc, table_vc, targets_kn, weights_kn)  # type: ignore[no-untyped-call]
    else:
        loss = _in_parts(states_nc, table_vc, targets_kn, weights_kn, with_gradients=False)[0]
    return loss / total


def position_losses(states_nc: Tensor, table_vc: Tensor, targets_n: Tensor) -> Tensor:
    """Loss in nats of each position, shape (n,), in 32 bits or more; 0 where the target is IGNORED.

    Targets are integers of 32 or 64 bits.
    """
    exact = torch.promote_types(table_vc.dtype, torch.float32)
    size = _part(len(states_nc), len(table_vc))
    parts = zip(torch.split(states_nc, size), torch.split(targets_n.long(), size))
    losses = [
        cross_entropy(linear(states, table_vc).to(exact), targets, ignore_index=IGNORED, reduction="none")
        for states, targets in parts
    ]
    return torch.cat(losses)


def _part(positions: int, vocabulary: int) -> int:
    """Positions in a part, so that parts are equally large."""
    parts = max(-(-positions * vocabulary // PART_ELEMENTS), 1)
    return -(-positions // parts)


def _in_parts(
    states_nc: Tensor, table_vc: Tensor, targets_kn: Tensor, weights_kn: Tensor, with_gradients: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The weighted sum of losses, and its gradients with respect to states and table."""
    exact = weights_kn.dtype
    total = torch.zeros((), dtype=exact, device=states_nc.device)
    states_gradient = torch.empty_like(states_nc) if with_gradients else None
    table_gradient = torch.zeros_like(table_vc, dtype=exact) if with_gradients else None
    size = _part(len(states_nc), len(table_vc))
    for first in range(0, len(states_nc), size):
        chosen = slice(first, first + size)
        states = states_nc[chosen]
        targets, weights = targets_kn[:, chosen].T, weights_kn[:, chosen].T
        logarithms = torch.log_softmax(linear(states, table_vc), dim=-1, dtype=exact)
        total -= (logarithms.gather(1, targets) * weights).sum()
        if states_gradient is None or table_gradient is None:
            continue
        # A position's loss is its weight times (log-sum-exp − the targets' logits, by their shares of the weight).
        weight = weights.sum(1, keepdim=True)
        shares = weights / weight.clamp(min=torch.finfo(exact).tiny)
        error = logarithms.exp_().scatter_add_(1, targets, -shares).to(states.dtype)
        states_gradient[chosen] = (error @ table_vc) * weight
        weighted = (states * weight).to(states.dtype)
        if exact == states.dtype:
            table_gradient.addmm_(error.T, weighted)
        else:
            table_gradient += error.T @ weighted
    return total, states_gradient, table_gradient


class _LossInParts(torch.autograd.Function):
    """The weighted sum of losses; its gradients are made on the way forward, while the logits exist."""

    @staticmethod
    def forward(ctx: Any, states_nc: Tensor, table_vc: Tensor, targets_kn: Tensor, weights_kn: Tensor) -> Tensor:
        total, *gradients = _in_parts(states_nc, table_vc, targets_kn, weights_kn, with_gradients=True)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        states_gradient, table_gradient = ctx.saved_tensors
        dtype = states_gradient.dtype
        return (states_gradient * gradients[0]).to(dtype), (table_gradient * gradients[0]).to(dtype), None, None
