"""The output projection and its cross-entropy loss, fused and computed in chunks of positions; and the critic's loss.

The logits of all positions, (positions, vocabulary), would be the largest tensor of a step by far, several times over.
Here those of a chunk are computed, turned into their part of the gradients, and dropped. The softmax is computed in 32
bits or more, whatever the model's dtype.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear

from tokenization.vocabulary import PITCHES

IGNORED = -100
"""Target of positions without loss."""
UNLABELLED, UNHEARD = -1.0, -2.0
"""Labels of positions that a critic hears without being asked, and of padding."""
CHUNK_ELEMENTS = 2**23
"""Most logits that exist at once: 32 MB in 32 bits."""


class Melody(NamedTuple):
    """What is added to the logits of notes: to that of row r and pitch p, `gain[r] * pitch[n, p]`."""

    pitch: Tensor
    """By position and pitch, shape (n, PITCHES)."""
    gain: Tensor
    """By row of notes, shape (rows,); the notes are the first `rows * PITCHES` ids."""

    def add(self, logits: Tensor, positions: slice = slice(None)) -> Tensor:
        """Add to logits of positions, shape (n, vocabulary), in place; return them."""
        gain, pitch = self.gain.to(logits.dtype), self.pitch[positions].to(logits.dtype)
        _notes(logits, self.gain).addcmul_(gain[:, None], pitch[:, None])
        return logits


def _notes(values: Tensor, gain: Tensor) -> Tensor:
    """Return the part of values by id that belongs to notes, a view of shape (n, rows, pitches)."""
    return values[:, : len(gain) * PITCHES].view(len(values), len(gain), PITCHES)


def mean_loss(
    states_nc: Tensor, table_vc: Tensor, targets_kn: Tensor, weights_kn: Tensor, melody: Melody | None = None
) -> Tensor:
    """Return the weighted mean of the loss in nats over targets, a scalar; 0 if all targets are IGNORED.

    A position may have several targets (k), which mixup needs, at the cost of one. IGNORED targets have no weight.
    Targets are integers of 32 or 64 bits.
    """
    exact = torch.promote_types(table_vc.dtype, torch.float32)
    weights_kn = weights_kn.to(exact) * (targets_kn != IGNORED)
    targets_kn = targets_kn.clamp(min=0).long()
    total = weights_kn.sum().clamp(min=torch.finfo(exact).tiny)
    if torch.is_grad_enabled():
        loss: Tensor = _ChunkedLoss.apply(states_nc, table_vc, targets_kn, weights_kn, *(melody or ()))  # type: ignore[no-untyped-call]
    else:
        loss = _chunked_loss(states_nc, table_vc, targets_kn, weights_kn, melody, with_gradients=False)[0]
    return loss / total


def position_losses(states_nc: Tensor, table_vc: Tensor, targets_n: Tensor, melody: Melody | None = None) -> Tensor:
    """Return the loss in nats of each position, shape (n,), in 32 bits or more; 0 where the target is IGNORED.

    Targets are integers of 32 or 64 bits.
    """
    exact = torch.promote_types(table_vc.dtype, torch.float32)
    size = _chunk_size(len(states_nc), len(table_vc))
    losses = []
    for first in range(0, len(states_nc), size):
        chosen = slice(first, first + size)
        logits = _logits(states_nc, table_vc, melody, chosen)
        targets = targets_n[chosen].long()
        losses.append(cross_entropy(logits.to(exact), targets, ignore_index=IGNORED, reduction="none"))
    return torch.cat(losses)


def critic_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of a critic's loss in nats over positions labelled 0 or 1, a scalar; same shapes."""
    losses = binary_cross_entropy_with_logits(logits, labels.clamp(min=0), reduction="none")
    return (losses * (labels >= 0)).sum()


def _logits(states_nc: Tensor, table_vc: Tensor, melody: Melody | None, positions: slice) -> Tensor:
    """Return the logits of some positions, shape (n, vocabulary)."""
    logits = linear(states_nc[positions], table_vc)
    return logits if melody is None else melody.add(logits, positions)


def _chunk_size(positions: int, vocabulary: int) -> int:
    """Return the number of positions in a chunk, so that chunks are about equally large."""
    chunks = max(-(-positions * vocabulary // CHUNK_ELEMENTS), 1)
    return -(-positions // chunks)


def _chunked_loss(
    states_nc: Tensor,
    table_vc: Tensor,
    targets_kn: Tensor,
    weights_kn: Tensor,
    melody: Melody | None,
    with_gradients: bool,
) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
    """Return the weighted sum of losses and its gradients with respect to states, table and melody."""
    exact = weights_kn.dtype
    total = torch.zeros((), dtype=exact, device=states_nc.device)
    states_gradient = torch.empty_like(states_nc) if with_gradients else None
    table_gradient = torch.zeros_like(table_vc, dtype=exact) if with_gradients else None
    melody_gradient = None if melody is None or not with_gradients else Melody(*map(torch.zeros_like, melody))
    size = _chunk_size(len(states_nc), len(table_vc))
    for first in range(0, len(states_nc), size):
        chosen = slice(first, first + size)
        states = states_nc[chosen]
        targets, weights = targets_kn[:, chosen].T, weights_kn[:, chosen].T
        logarithms = torch.log_softmax(_logits(states_nc, table_vc, melody, chosen), dim=-1, dtype=exact)
        total -= (logarithms.gather(1, targets) * weights).sum()
        if states_gradient is None or table_gradient is None:
            continue
        # A position's loss is weight · (log-sum-exp − Σ share · target's logit), shares being fractions of the weight.
        weight = weights.sum(1, keepdim=True)
        shares = weights / weight.clamp(min=torch.finfo(exact).tiny)
        error = logarithms.exp_().scatter_add_(1, targets, -shares).to(states.dtype)
        states_gradient[chosen] = (error @ table_vc) * weight
        weighted = (states * weight).to(states.dtype)
        if exact == states.dtype:
            table_gradient.addmm_(error.T, weighted)
        else:
            table_gradient += error.T @ weighted
        if melody is not None and melody_gradient is not None:
            notes, weighted_pitch = _notes(error, melody.gain), (melody.pitch[chosen] * weight).to(error.dtype)
            melody_gradient.pitch[chosen] = (melody.gain.to(error.dtype) @ notes) * weight
            melody_gradient.gain.add_((notes @ weighted_pitch[:, :, None]).sum(0).squeeze(-1))
    return total, states_gradient, table_gradient, *(melody_gradient or ())


class _ChunkedLoss(torch.autograd.Function):
    """The weighted sum of losses; gradients are computed in the forward pass, while the logits exist."""

    @staticmethod
    def forward(
        ctx: Any, states_nc: Tensor, table_vc: Tensor, targets_kn: Tensor, weights_kn: Tensor, *melody: Tensor
    ) -> Tensor:
        given = Melody(*melody) if melody else None
        total, *gradients = _chunked_loss(states_nc, table_vc, targets_kn, weights_kn, given, with_gradients=True)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states_gradient, table_gradient, *melody = ctx.saved_tensors
        dtype = states_gradient.dtype
        of_states, of_table = ((each * gradients[0]).to(dtype) for each in (states_gradient, table_gradient))
        return of_states, of_table, None, None, *(each * gradients[0].to(each.dtype) for each in melody)
