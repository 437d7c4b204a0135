"""The critic's head: from the network's states to a logit at every position, that what was read so far is real."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

POOLS = 4
"""Averages over the past, each of its own share of the hidden units and with its own weights."""
BOUND = 4.0
"""Largest logarithm of a weight, so that sums of weights keep their precision over a whole context."""


class CriticHead(nn.Module):
    """A hidden layer at every position, averaged with learned weights over the positions so far, and one logit.

    The average lets a single wrong bar count behind it, and lets evidence add up along a piece. Positive logits mean
    real.
    """

    def __init__(self, d_model: int, hidden: int, surprise: int = 0) -> None:
        """`d_model`: units of the states that it hears, or 0. `hidden`: units of the hidden layer, a multiple of POOLS.
        `surprise`: numbers at every position that it hears beside the states, or 0."""
        super().__init__()
        self.d_model = d_model
        self.norm = nn.LayerNorm(d_model) if d_model else None
        self.up_proj = nn.Linear(d_model, hidden) if d_model else None
        self.attention = nn.Linear(d_model, POOLS) if d_model else None
        self.surprise_proj = nn.Linear(surprise, hidden + POOLS, bias=not d_model) if surprise else None
        self.pooled_norm = nn.LayerNorm(hidden)
        self.mix_proj = nn.Linear(hidden, hidden)
        self.out_proj = nn.Linear(hidden, 1)

    def forward(
        self,
        states_btc: Tensor,
        music_bt: Tensor,
        positions_bt: Tensor | None = None,
        surprise_btf: Tensor | None = None,
    ) -> Tensor:
        """Return logits of shape (batch, time), in 32 bits.

        `states_btc`: of the network; those of a head that hears none have no units. `music_bt`: True at positions that
        hold music rather than padding. `positions_bt`: positions within documents, across which nothing is averaged;
        None: each row is one document. `surprise_btf`: that of the tokens, for a head that hears it.
        """
        kind = self.out_proj.weight.dtype
        up, attention = self._heard(states_btc.to(kind), None if surprise_btf is None else surprise_btf.to(kind))
        hidden = gelu(up).float()
        hidden = hidden.view(*hidden.shape[:-1], POOLS, hidden.shape[-1] // POOLS)
        weight = (BOUND * torch.tanh(attention.float() / BOUND)).exp() * music_bt[..., None]
        totals = torch.cat([weight[..., None] * hidden, weight[..., None]], dim=-1).cumsum(dim=1)
        if positions_bt is not None:
            totals = totals - _before_documents(totals, positions_bt)
        pooled = (totals[..., :-1] / totals[..., -1:].clamp(min=1e-6)).flatten(-2).to(kind)
        logits: Tensor = self.out_proj(gelu(self.mix_proj(self.pooled_norm(pooled))))[..., 0]
        return logits.float()

    def _heard(self, states: Tensor, surprise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what goes into the hidden layer, and the logarithms of the weights, of every position."""
        parts = []
        if self.norm is not None and self.up_proj is not None and self.attention is not None:
            states = self.norm(states)
            parts.append((self.up_proj(states), self.attention(states)))
        if self.surprise_proj is not None:
            if surprise is None:
                raise ValueError("the critic's head needs the surprise of its tokens, which was not given")
            further = self.surprise_proj(surprise)
            parts.append((further[..., :-POOLS], further[..., -POOLS:]))
        up, attention = (sum(each[1:], each[0]) for each in zip(*parts, strict=True))
        return up, attention


def _before_documents(totals: Tensor, positions_bt: Tensor) -> Tensor:
    """Return the running totals, shape (b, t, …), as they were before the document of each position began."""
    last = torch.arange(positions_bt.shape[1], device=positions_bt.device) - positions_bt - 1
    index = last.clamp(min=0)[..., None, None].expand(totals.shape)
    return totals.gather(1, index) * (last >= 0)[..., None, None]
