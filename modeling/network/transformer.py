"""The transformer: MuseNet's decoder over any layout, for training and for cached generation.

Weights are used only by the module that owns them, while it computes: so they may be sharded among ranks (ZeRO-3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from modeling.config import ModelConfig
from modeling.network.block import Block, Cache
from modeling.network.embeddings import TIME_PERIODS, Batch, Embeddings
from modeling.network.loss import IGNORED, mean_loss, position_losses
from modeling.network.mixup import Mix
from modeling.network.norms import new_norm
from modeling.network.rotary import rotation
from modeling.network.sparsity import layer_layouts

__all__ = ["IGNORED", "INITIAL_STD", "Caches", "MuseNet"]

INITIAL_STD = 0.02
"""Standard deviation of initial weights (GPT-2); projections into the residual stream are divided by
the square root of twice the depth."""


class OutputTable(nn.Module):
    """What projects states to logits where it is not the token embedding, shape (vocabulary, width)."""

    def __init__(self, vocabulary_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary_size, width))

    def forward(self) -> Tensor:
        return self.weight.view_as(self.weight)  # not the parameter itself, see TokenTable


@dataclass(frozen=True)
class Caches:
    """What generation keeps from position to position."""

    layers: list[Cache]
    token_table: Tensor
    """The embedding of every token, shape (vocabulary, width)."""


class MuseNet(nn.Module):
    """The whole network; calling it gives the training loss."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocabulary_size == 0:
            raise ValueError("the model's vocabulary_size is not set; it comes from the dataset")
        self.config = config
        self.embeddings = Embeddings(config)
        self.dropout = nn.Dropout(config.dropout)
        layouts = layer_layouts(config.sparsity, config.layers, config.heads)
        self.blocks = nn.ModuleList(Block(config, layout) for layout in layouts)
        self.norm = new_norm(config)
        self.output = None if config.tied_output else OutputTable(config.vocabulary_size, config.d_model)
        self.initialise()

    def initialise(self) -> None:
        """Normal weights; what adds to the residual stream is scaled down by the depth."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            scale = 1.0
            if name.endswith(("attention.out_proj.weight", "down_proj.weight")):
                scale = math.sqrt(2 * self.config.layers)
            elif name == "embeddings.time.weight":
                scale = 1 / math.sqrt(TIME_PERIODS)  # as large as the other embeddings: waves are scaled down
            nn.init.normal_(parameter, std=INITIAL_STD / scale)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, batch: Batch, targets: Tensor, mix: Mix | None = None, reduce: bool = True) -> Tensor:
        """Mean loss in nats over the targets, shape (batch, time), that are not IGNORED.

        `mix`: windows to be mixed, and their targets with them. `reduce=False`: each position's loss, shape (batch,
        time), 0 where IGNORED; nothing is mixed then.
        """
        table = self.embeddings.token()
        states = self._trunk(batch, table, mix if reduce else None).flatten(0, 1)
        output = table if self.output is None else self.output()
        if not reduce:
            return position_losses(states, output, targets.flatten()).view(targets.shape)
        if mix is None:
            both, weights = targets[None], torch.ones_like(targets[None], dtype=torch.float32)
        else:
            both, weights = mix.targets(targets)
        return mean_loss(states, output, both.flatten(1), weights.flatten(1))

    def states(self, batch: Batch, caches: Caches | None = None, first: int = 0) -> Tensor:
        """The trunk's output, shape (batch, time, width). With caches: see `new_caches`.

        Raises ValueError for caches while gradients are on, of windows with documents, and for more than one position
        behind a first pass.
        """
        if caches is None:
            return self._trunk(batch, self.embeddings.token())
        if torch.is_grad_enabled():
            raise ValueError("caches are for generation: call under torch.inference_mode()")
        if batch.document is not None:
            raise ValueError("caches hold one document a row")
        if first and batch.tokens.shape[1] != 1:
            raise ValueError("a cache grows by one position at a time after the first pass")
        return self._trunk(batch, caches.token_table, caches=caches.layers, first=first)

    def _trunk(
        self,
        batch: Batch,
        table: Tensor,
        mix: Mix | None = None,
        caches: list[Cache] | None = None,
        first: int = 0,
    ) -> Tensor:
        """From tokens to states, shape (batch, time, width)."""
        positions = batch.positions(first)
        x = self.embeddings(batch, table, positions)
        x = self.dropout(x if mix is None else mix.mixed(x))
        turn = rotation(positions, self.config.d_head, x.dtype) if self.config.positions == "rotary" else None
        for index, block in enumerate(self.blocks):
            if self.config.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, turn, batch.document, use_reentrant=False)
            else:
                x = block(x, turn, batch.document, None if caches is None else caches[index], first)
        out: Tensor = self.norm(x)
        return out

    def output_table(self) -> Tensor:
        """What projects states to logits, shape (vocabulary, width)."""
        table: Tensor = self.embeddings.token() if self.output is None else self.output()
        return table

    def logits(self, states: Tensor) -> Tensor:
        """Next-token logits, shape (…, vocabulary)."""
        return linear(states, self.output_table())

    @torch.no_grad()
    def new_caches(self, batch: int) -> Caches:
        """Empty caches: fill with one pass over a prompt, then pass single positions with `first`."""
        table: Tensor = self.embeddings.token()
        layers = [Cache(batch, self.config, table.device, table.dtype) for _ in self.blocks]
        return Caches(layers, table)

    def parameter_count(self) -> int:
        """Parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())
