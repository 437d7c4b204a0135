"""The transformer: MuseNet's decoder over any layout, for training and for generation with a cache.

Weights are used only by the module that owns them, while it computes, so that they may be sharded among ranks (ZeRO-3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from modeling.config import ModelConfig
from modeling.network.attention import Place
from modeling.network.batch import NO_LABEL, Batch
from modeling.network.block import Block, KVCache
from modeling.network.critic_head import CriticHead
from modeling.network.embeddings import TIME_PERIODS, Embeddings
from modeling.network.loss import UNHEARD, Melody, critic_loss, mean_loss, position_losses
from modeling.network.melody import MelodyHead
from modeling.network.mixup import Mix
from modeling.network.norms import new_norm
from modeling.network.rotary import rotation
from modeling.network.sparsity import layer_layouts
from tokenization.vocabulary import PITCHES

INITIAL_STD = 0.02
"""Standard deviation of initial weights (GPT-2); that of projections into the residual stream is
lower by √(2 · layers)."""


class OutputTable(nn.Module):
    """The output projection of an untied model, shape (vocabulary, d_model)."""

    def __init__(self, vocabulary_size: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary_size, d_model))

    def forward(self) -> Tensor:
        """Return the whole table."""
        return self.weight.view_as(self.weight)  # a view, not the parameter: see TokenTable


@dataclass
class ModelCache:
    """The state that generation keeps from position to position."""

    layers: list[KVCache]
    token_table: Tensor
    """The embedding of every token, shape (vocabulary, d_model)."""
    labels: Tensor
    """Those of `Batch.labels`, shape (2, batch, 1)."""

    def keep(self, rows: Tensor) -> None:
        """Keep these rows, in this order; one that is named more than once is copied."""
        for layer in self.layers:
            layer.keep(rows)
        self.labels = self.labels[:, rows]


class MuseNet(nn.Module):
    """The whole network; calling it returns the training loss."""

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
        rows = config.note_tokens // PITCHES
        self.melody = MelodyHead(config.d_model, config.melody, rows) if config.melody else None
        self.critic = None if config.critic is None else CriticHead(config.d_model, config.critic)
        self.initialise()

    def initialise(self) -> None:
        """Draw normal weights; projections into the residual stream are scaled down by the depth."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            scale = 1.0
            if name.endswith(("attention.out_proj.weight", "down_proj.weight")):
                scale = math.sqrt(2 * self.config.layers)
            elif name == "embeddings.time.weight":
                scale = 1 / math.sqrt(
                    TIME_PERIODS
                )  # as large as the other embeddings, since time_waves are scaled down
            nn.init.normal_(parameter, std=INITIAL_STD / scale)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self,
        batch: Batch,
        targets: Tensor,
        mix: Mix | None = None,
        reduce: bool = True,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss in nats over targets, shape (batch, time), that are not IGNORED.

        `mix`: mixup of the windows and of their targets. `reduce=False`: return the loss of each position, shape
        (batch, time), 0 where IGNORED; nothing is mixed then. `labels`, shape (rows, time): of the critic, for the last
        `rows` windows, none or more; the result is then the loss of language and the sum of the critic's, shape (2,).
        """
        table = self.embeddings.token()
        trunk = self._trunk(batch, table, mix if reduce else None)
        states = trunk.flatten(0, 1)
        output = table if self.output is None else self.output()
        melody = self._melody(states, batch.texture)
        if not reduce:
            return position_losses(states, output, targets.flatten(), melody).view(targets.shape)
        if mix is None:
            both, weights = targets[None], torch.ones_like(targets[None], dtype=torch.float32)
        else:
            both, weights = mix.targets(targets)
            if melody is not None:
                pitch = mix.apply(melody.pitch.view(*targets.shape, -1)).flatten(0, 1)
                melody = melody._replace(pitch=pitch)
        loss = mean_loss(states, output, both.flatten(1), weights.flatten(1), melody)
        if labels is None or self.critic is None:
            return loss
        logits = self.critic(trunk[len(trunk) - len(labels) :], labels != UNHEARD)
        return torch.stack([loss, critic_loss(logits, labels).to(loss.dtype)])

    def states(self, batch: Batch, cache: ModelCache | None = None, first: Place = 0) -> Tensor:
        """Return the last hidden states, shape (batch, time, d_model). `cache`, `first`: see `new_cache`; a `first`
        that is a tensor is behind the first pass, and the cache's memory has no NaN.

        Raises ValueError for a cache while gradients are on, for one with documents, and for more than one position
        after the first pass.
        """
        if cache is None:
            return self._trunk(batch, self.embeddings.token())
        if torch.is_grad_enabled():
            raise ValueError("a cache is for generation: call under torch.inference_mode()")
        if batch.document is not None:
            raise ValueError("a cache holds one document a row")
        if _is_behind(first) and batch.tokens.shape[1] != 1:
            raise ValueError("a cache grows by one position at a time after the first pass")
        return self._trunk(batch, cache.token_table, cache=cache, first=first)

    def _trunk(
        self,
        batch: Batch,
        table: Tensor,
        mix: Mix | None = None,
        cache: ModelCache | None = None,
        first: Place = 0,
    ) -> Tensor:
        """Compute the hidden states of tokens, shape (batch, time, d_model)."""
        positions = batch.positions(first)
        labels = cache.labels if cache is not None and _is_behind(first) else batch.labels(positions)
        if cache is not None:
            cache.labels = labels
        x = self.embeddings(batch, table, positions, labels)
        x = self.dropout(x if mix is None else mix.apply(x))
        rotary = rotation(positions, self.config.d_head, x.dtype) if self.config.positions == "rotary" else None
        for index, block in enumerate(self.blocks):
            if self.config.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, rotary, batch.document, use_reentrant=False)
            else:
                x = block(x, rotary, batch.document, None if cache is None else cache.layers[index], first)
        out: Tensor = self.norm(x)
        return out

    def output_table(self) -> Tensor:
        """Return the output projection, shape (vocabulary, d_model)."""
        table: Tensor = self.embeddings.token() if self.output is None else self.output()
        return table

    def logits(self, states: Tensor, texture: Tensor | None = None) -> Tensor:
        """Project states to next-token logits, shape (…, vocabulary). `texture`: that of their tokens, (…, FIELDS)."""
        return self.project(states, texture, self.output_table())

    def project(self, states: Tensor, texture: Tensor | None, table: Tensor) -> Tensor:
        """Return `logits` by an output projection that was computed before."""
        logits = linear(states, table)
        melody = self._melody(states, texture)
        return logits if melody is None else melody.add(logits.flatten(0, -2)).view_as(logits)

    def _melody(self, states: Tensor, texture: Tensor | None) -> Melody | None:
        """Return what the melody head adds to the logits after states, None where the network has none."""
        if self.melody is None:
            return None
        if texture is None:
            raise ValueError("the network needs the texture of its tokens, which was not given")
        found: Melody = self.melody(states.view(-1, states.shape[-1]), texture.view(-1, texture.shape[-1]))
        return found

    @torch.no_grad()
    def new_cache(self, batch: int, positions: int | None = None) -> ModelCache:
        """Return an empty cache for `states`: the first pass fills it with a prompt, later ones append one position,
        `first`.

        `positions`: the most that it will hold. None: a whole context.
        """
        table: Tensor = self.embeddings.token()
        size = self.config.context if positions is None else positions
        layers = [KVCache(batch, self.config, size, table.device, table.dtype) for _ in self.blocks]
        return ModelCache(layers, table, torch.full((2, batch, 1), NO_LABEL, device=table.device))

    def parameter_count(self) -> int:
        """Count the parameters, tied ones once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _is_behind(first: Place) -> bool:
    """Return True for a position behind the first pass."""
    return isinstance(first, Tensor) or first > 0
