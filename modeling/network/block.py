"""One layer of the transformer: attention and feed-forward, each added to the residual stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from modeling.config import ModelConfig
from modeling.network.attention import Place, attention, cached_attention
from modeling.network.norms import RMSNorm, new_norm
from modeling.network.rotary import Rotation
from modeling.network.sparsity import Layout

ALIGNMENT = 8
"""Hidden sizes are rounded up to a multiple of this, for fast matrix multiplication, from ALIGN_FROM on."""
ALIGN_FROM = 256
"""Below this `d_model` rounding would add more than a hundredth of the parameters."""


class KVCache:
    """Keys and values of one layer, for a batch that grows one position at a time."""

    def __init__(
        self, batch: int, config: ModelConfig, positions: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (batch, config.kv_heads or config.heads, positions, config.d_head)
        self.key_bktd = torch.empty(shape, device=device, dtype=dtype)
        self.value_bktd = torch.empty(shape, device=device, dtype=dtype)

    def write(self, first: Place, key_bktd: Tensor, value_bktd: Tensor) -> None:
        """Store keys and values at the positions from `first` on."""
        if isinstance(first, Tensor):
            self.key_bktd.index_copy_(2, first, key_bktd)
            self.value_bktd.index_copy_(2, first, value_bktd)
            return
        stop = first + key_bktd.shape[2]
        self.key_bktd[:, :, first:stop] = key_bktd
        self.value_bktd[:, :, first:stop] = value_bktd

    def keep(self, rows: Tensor) -> None:
        """Keep these rows, in this order; one that is named more than once is copied."""
        self.key_bktd, self.value_bktd = self.key_bktd[rows], self.value_bktd[rows]


class Attention(nn.Module):
    """Multi-head self-attention under one layout, with grouped queries where `kv_heads` is below `heads`."""

    def __init__(self, config: ModelConfig, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.backend = config.sparsity.backend
        kv_heads = config.kv_heads or config.heads
        self.heads = [config.heads, kv_heads, kv_heads]
        self.d_head = config.d_head
        self.qkv_proj = nn.Linear(config.d_model, sum(self.heads) * config.d_head)
        self.q_norm = RMSNorm(config.d_head) if config.qk_norm else None
        self.k_norm = RMSNorm(config.d_head) if config.qk_norm else None
        self.out_proj = nn.Linear(config.d_model, config.d_model)

    def forward(
        self,
        x_btc: Tensor,
        rotation: Rotation | None = None,
        document_bt: Tensor | None = None,
        cache: KVCache | None = None,
        first: Place = 0,
    ) -> Tensor:
        """Return attention's output, shape (b, t, c). `first`: position of the first token; the cache holds those
        before it."""
        heads_bhtd = self.qkv_proj(x_btc).unflatten(-1, (-1, self.d_head)).transpose(1, 2)
        q, k, v = heads_bhtd.split(self.heads, dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotation(q), rotation(k)
        if cache is not None:
            cache.write(first, k, v)
        if cache is None or (isinstance(first, int) and first == 0):
            mixed = attention(self.backend, self.layout, q, k, v, document_bt)
        else:
            mixed = cached_attention(self.layout, q, cache.key_bktd, cache.value_bktd, first)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


def feed_forward_size(config: ModelConfig) -> int:
    """Return the hidden size of the feed-forward: `d_ff`, or its default.

    A gated feed-forward has three matrices for two, so two thirds of the hidden size give as many parameters.
    """
    if config.d_ff is not None:
        return config.d_ff
    if config.feed_forward == "gelu":
        return 4 * config.d_model
    size = -(-8 * config.d_model // 3)
    return -(-size // ALIGNMENT) * ALIGNMENT if config.d_model >= ALIGN_FROM else size


class FeedForward(nn.Module):
    """Up-projection, activation, down-projection; `swiglu` multiplies by a gate of the same size."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d_ff = feed_forward_size(config)
        self.gated = config.feed_forward == "swiglu"
        self.up_proj = nn.Linear(config.d_model, 2 * d_ff if self.gated else d_ff)
        self.down_proj = nn.Linear(d_ff, config.d_model)

    def forward(self, x_btc: Tensor) -> Tensor:
        """Return the feed-forward's output, shape (b, t, c)."""
        hidden = self.up_proj(x_btc)
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = silu(gate) * value
        else:
            hidden = gelu(hidden)
        out: Tensor = self.down_proj(hidden)
        return out


class Block(nn.Module):
    """Attention and feed-forward, each with a norm before it (pre-norm)."""

    def __init__(self, config: ModelConfig, layout: Layout) -> None:
        super().__init__()
        self.attention_norm = new_norm(config)
        self.attention = Attention(config, layout)
        self.feed_forward_norm = new_norm(config)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x_btc: Tensor,
        rotation: Rotation | None = None,
        document_bt: Tensor | None = None,
        cache: KVCache | None = None,
        first: Place = 0,
    ) -> Tensor:
        """Return the residual stream after this layer, shape (b, t, c); arguments as in `Attention.forward`."""
        x_btc = x_btc + self.dropout(self.attention(self.attention_norm(x_btc), rotation, document_bt, cache, first))
        out: Tensor = x_btc + self.dropout(self.feed_forward(self.feed_forward_norm(x_btc)))
        return out
