"""The transformer: MuseNet's decoder over any layout, for training and for cached generation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, linear, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from modeling.attention import EXECUTORS
from modeling.config import ModelConfig
from modeling.embeddings import TIME_PERIODS, Batch, Embeddings
from modeling.sparsity import Layout, layer_layouts

INITIAL_STD = 0.02
"""Standard deviation of initial weights (GPT-2); projections into the residual stream are divided by
the square root of twice the depth."""
IGNORED = -100
"""Target that carries no loss."""


class Cache:
    """Keys and values of one layer for a batch that grows one position at a time."""

    def __init__(self, batch: int, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
        shape = (batch, config.heads, config.context, config.head_width)
        self.key = torch.empty(shape, device=device, dtype=dtype)
        self.value = torch.empty(shape, device=device, dtype=dtype)

    def put(self, first: int, key: Tensor, value: Tensor) -> None:
        """Keep keys and values, shape (b, h, t, d), of the positions from `first` on."""
        stop = first + key.shape[2]
        self.key[:, :, first:stop] = key
        self.value[:, :, first:stop] = value


class Attention(nn.Module):
    """Multi-head self-attention under one layout."""

    def __init__(self, config: ModelConfig, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.execute = EXECUTORS[config.sparsity.executor]
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, x_btc: Tensor, cache: Cache | None = None, first: int = 0) -> Tensor:
        b, t, c = x_btc.shape
        qkv = self.qkv(x_btc).view(b, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            cache.put(first, k, v)
        if t == 1 and cache is not None:
            seen = self.layout.keys(first)
            mixed = scaled_dot_product_attention(q, cache.key[:, :, seen], cache.value[:, :, seen])
        elif first == 0:
            mixed = self.execute(self.layout, q, k, v)
        else:
            raise ValueError("a cache grows by one position at a time after the first pass")
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(b, t, c))
        return out


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig, layout: Layout) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = Attention(config, layout)
        self.norm_feed = nn.LayerNorm(config.width)
        self.widen = nn.Linear(config.width, 4 * config.width)
        self.narrow = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: Cache | None = None, first: int = 0) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), cache, first))
        out: Tensor = x + self.dropout(self.narrow(gelu(self.widen(self.norm_feed(x)))))
        return out


class MuseNet(nn.Module):
    """The whole network; calling it gives the training loss."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocabulary_size == 0:
            raise ValueError("the model's vocabulary_size is not set; it comes from the dataset")
        self.config = config
        notes = config.note_tokens if config.factored_notes else 0
        self.embeddings = Embeddings(config.vocabulary_size, notes, config.context, config.width)
        self.dropout = nn.Dropout(config.dropout)
        layouts = layer_layouts(config.sparsity, config.layers)
        self.blocks = nn.ModuleList(Block(config, layout) for layout in layouts)
        self.norm = nn.LayerNorm(config.width)
        self.output = None if config.tied_output else nn.Linear(config.width, config.vocabulary_size, bias=False)
        self.initialise()

    def initialise(self) -> None:
        """Normal weights; what adds to the residual stream is scaled down by the depth."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            scale = 1.0
            if name.endswith(("attention.output.weight", "narrow.weight")):
                scale = math.sqrt(2 * self.config.layers)
            elif name == "embeddings.time.weight":
                scale = math.sqrt(TIME_PERIODS)  # as large as the other embeddings, not larger
            nn.init.normal_(parameter, std=INITIAL_STD / scale)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def states(self, batch: Batch, caches: list[Cache] | None = None, first: int = 0) -> Tensor:
        """The trunk's output, shape (batch, time, width). With caches: see `new_caches`."""
        x: Tensor = self.dropout(self.embeddings(batch, self.embeddings.token(), first))
        for index, block in enumerate(self.blocks):
            if self.config.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x, None if caches is None else caches[index], first)
        out: Tensor = self.norm(x)
        return out

    def logits(self, states: Tensor) -> Tensor:
        """Next-token logits, shape (…, vocabulary)."""
        table: Tensor = self.embeddings.token() if self.output is None else self.output.weight
        return linear(states, table)

    def forward(self, batch: Batch, targets: Tensor) -> Tensor:
        """Mean loss in nats over the targets, shape (batch, time), that are not IGNORED."""
        logits = self.logits(self.states(batch))
        return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    def new_caches(self, batch: int) -> list[Cache]:
        """Empty caches: fill with one pass over a prompt, then pass single positions with `first`."""
        weight = self.norm.weight
        return [Cache(batch, self.config, weight.device, weight.dtype) for _ in self.blocks]

    def parameter_count(self) -> int:
        """Parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())
