"""The critic's head: from the network's states over a window to one logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from modeling.config import StrictModel


class CriticConfig(StrictModel):
    """Shape and training of the critic's head."""

    window: int = 256
    """Tokens of a window, its header included."""
    hidden: int = 64
    """Units of the hidden layer."""
    epochs: int = 60
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


class CriticHead(nn.Module):
    """Attention pooling over the network's states, then one hidden layer and one logit (positive: real)."""

    def __init__(self, d_model: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.attention = nn.Linear(d_model, 1)
        self.up_proj = nn.Linear(d_model, hidden)
        self.out_proj = nn.Linear(hidden, 1)

    @property
    def d_model(self) -> int:
        return self.attention.in_features

    def forward(self, states_btc: Tensor, music_bt: Tensor) -> Tensor:
        """Return logits of shape (batch,); `music_bt` is True at positions that hold music rather than padding."""
        states = self.norm(states_btc.float())
        weight = self.attention(states)[..., 0].masked_fill(~music_bt, -torch.inf).softmax(-1)
        pooled = torch.einsum("bt,btc->bc", weight, states)
        logits: Tensor = self.out_proj(gelu(self.up_proj(pooled)))[:, 0]
        return logits
