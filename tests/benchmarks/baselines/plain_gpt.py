"""A plain GPT and its training loop in stock PyTorch: the baseline of the trainer.

It uses nothing of musenet: token ids in one memory-mapped file of 16-bit numbers, windows at random places of it,
learned positions, causal attention by PyTorch's own kernel, GELU, a tied head, AdamW, clipping, bfloat16 by autocast.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class PlainConfig:
    """Shape of the network."""

    layers: int
    heads: int
    d_model: int
    context: int
    vocabulary_size: int
    dropout: float = 0.0


class SelfAttention(nn.Module):
    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.output = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(b, t, c))
        return functional.dropout(out, self.dropout, self.training)


class Block(nn.Module):
    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(config.d_model), SelfAttention(config))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.d_model),
            nn.Linear(config.d_model, 4 * config.d_model),
            nn.GELU(),
            nn.Linear(4 * config.d_model, config.d_model),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        out: Tensor = x + self.feed_forward(x)
        return out


class PlainGPT(nn.Module):
    """Token ids and next ids, both of shape (batch, time) → mean loss in nats."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary_size, config.d_model)
        self.position = nn.Embedding(config.context, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)
        self.head.weight = self.token.weight
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                into_residual = name.endswith(("output.weight", "feed_forward.3.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * config.layers) if into_residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        logits = self.head(self.norm(self.blocks(self.dropout(x))))
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


class PlainLoop:
    """Training of a PlainGPT on a file of token ids."""

    def __init__(
        self,
        config: PlainConfig,
        tokens: Path,
        batch_size: int,
        micro_batch_size: int,
        learning_rate: float,
        bf16: bool,
        compiled: bool = False,
    ) -> None:
        self.config, self.batch_size, self.micro_batch_size = config, batch_size, micro_batch_size
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.data = np.memmap(tokens, np.uint16, mode="r")
        self.random = np.random.default_rng(0)
        self.model = PlainGPT(config).to(self.device)
        self.run = torch.compile(self.model) if compiled else self.model
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))
        self.bf16 = bf16

    def draw(self) -> tuple[Tensor, Tensor]:
        """Ids and next ids of windows at random places, both of shape (micro_batch_size, context)."""
        starts = self.random.integers(0, len(self.data) - self.config.context - 1, self.micro_batch_size)
        rows = [self.data[start : start + self.config.context + 1].astype(np.int64) for start in starts]
        whole = torch.from_numpy(np.stack(rows)).to(self.device)
        return whole[:, :-1], whole[:, 1:]

    def step(self) -> float:
        """One optimiser step; returns the loss."""
        count = self.batch_size // self.micro_batch_size
        total = 0.0
        for _ in range(count):
            with self._precision():
                loss = self.run(*self.draw()) / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()
