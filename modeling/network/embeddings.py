"""MuseNet's embeddings: token and position, and the structure that the tokens imply.

All are learned and summed. A note's token shares what it learns with its row and its pitch. Chord, part and
countdown are tables; time is unbounded, so it enters as sines and cosines of many periods and is projected by
a learned matrix. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

import builtins
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from modeling.config import ModelConfig
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS
from tokenization.vocabulary import PITCHES

TIME_PERIODS = 32
"""Number of periods, spread geometrically between the two below."""
SHORTEST_PERIOD = 8.0
"""Ticks; a twelfth of a second in MuseNet's clock."""
LONGEST_PERIOD = 2.0**17
"""Ticks; 23 minutes in MuseNet's clock."""


class Batch(NamedTuple):
    """What the network sees of a batch of windows; tensors of shape (batch, time).

    Integers of any size; tokens and time are int32 or int64.
    """

    tokens: Tensor
    time: Tensor
    """Ticks since the start of the piece."""
    chord: Tensor
    part: Tensor
    countdown: Tensor
    document: Tensor | None = None
    """Ids that never fall along a row: positions see only their own document. None: each row is one."""

    def slice(self, stop: int) -> Batch:
        """The first `stop` positions."""
        return Batch(*(None if x is None else x[:, :stop] for x in self))  # type: ignore[arg-type]

    def rows(self, chosen: builtins.slice) -> Batch:
        """Some of the windows."""
        return Batch(*(None if x is None else x[chosen] for x in self))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Batch:
        """The same there; ids of documents in 32 bits, as attention reads them."""
        moved = Batch(*(None if x is None else x.to(device, non_blocking=True) for x in self))  # type: ignore[arg-type]
        return moved if moved.document is None else moved._replace(document=moved.document.int())

    def positions(self, first: int = 0) -> Tensor:
        """Positions from `first` on, shape (time,), or within documents, shape (batch, time)."""
        index = torch.arange(first, first + self.tokens.shape[1], device=self.tokens.device)
        if self.document is None:
            return index
        begins = self.document[:, 1:] != self.document[:, :-1]
        return index - (pad(begins, (1, 0)) * index).cummax(dim=1).values


class TokenTable(nn.Module):
    """The embedding of every token, shape (vocabulary, width).

    Ids below `note_tokens` are notes, rows of PITCHES ids: where that is not 0, a note's embedding is the sum of
    its own, its row's and its pitch's.
    """

    def __init__(self, vocabulary_size: int, note_tokens: int, width: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.empty(vocabulary_size, width))
        self.row = nn.Parameter(torch.empty(note_tokens // PITCHES, width)) if note_tokens else None
        self.pitch = nn.Parameter(torch.empty(PITCHES, width)) if note_tokens else None
        self.note_tokens = note_tokens

    def forward(self) -> Tensor:
        if self.row is None or self.pitch is None:
            # Not the parameter itself: where weights are sharded, it is there only while this module computes.
            return self.own.view_as(self.own)
        shared = (self.row[:, None] + self.pitch[None, :]).flatten(0, 1)
        return torch.cat([self.own[: self.note_tokens] + shared, self.own[self.note_tokens :]])


class Embeddings(nn.Module):
    """The sum of all embeddings, shape (batch, time, width)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

        def table(field: str, size: int) -> nn.Embedding | None:
            return nn.Embedding(size, config.d_model) if field in config.structure else None

        notes = config.note_tokens if config.factored_notes else 0
        self.token = TokenTable(config.vocabulary_size, notes, config.d_model)
        self.position = nn.Embedding(config.context, config.d_model) if config.positions == "learned" else None
        self.chord = table("chord", CHORD)
        self.part = table("part", PARTS)
        self.countdown = table("countdown", COUNTDOWN)
        has_time = "time" in config.structure
        self.time = nn.Linear(2 * TIME_PERIODS, config.d_model, bias=False) if has_time else None

    def forward(self, batch: Batch, table: Tensor, positions: Tensor) -> Tensor:
        """`table`: the token embeddings; `positions`: as `Batch.positions` gives them."""
        total = embedding(batch.tokens, table)
        if self.position is not None:
            total = total + self.position(positions)
        if self.time is not None:
            total = total + self.time(time_waves(batch.time).to(total.dtype))
        fields = ((self.chord, batch.chord), (self.part, batch.part), (self.countdown, batch.countdown))
        for module, values in fields:
            if module is not None:
                total = total + module(values.int())
        return total


def time_waves(ticks: Tensor) -> Tensor:
    """Sines and cosines of the time, shape (…, 2 · TIME_PERIODS), that add up to about 1 in absolute value.

    An optimiser's step then moves their sum about as far as an entry of a table. Unscaled, the slow waves, all but
    constant in a window, outgrow within some steps whatever else a position carries: measured, that cost more than all
    structure embeddings gain.

    Angles are 32-bit: the periods are made here, not kept as a buffer that a cast of the model to 16 bits
    would round.
    """
    exponent = torch.arange(TIME_PERIODS, device=ticks.device, dtype=torch.float32) / (TIME_PERIODS - 1)
    period = SHORTEST_PERIOD * (LONGEST_PERIOD / SHORTEST_PERIOD) ** exponent
    angle = ticks[..., None].float() * (2 * math.pi / period)
    return torch.cat([angle.sin(), angle.cos()], dim=-1) / TIME_PERIODS
