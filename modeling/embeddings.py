"""MuseNet's embeddings: token and position, and the structure that the tokens imply.

All are learned and summed. A note's token shares what it learns with its row and its pitch. Chord, part and
countdown are tables; time is unbounded, so it enters as sines and cosines of many periods and is projected by
a learned matrix. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from tokenization.structure import CHORD, COUNTDOWN, PARTS
from tokenization.vocabulary import PITCHES

TIME_PERIODS = 32
"""Number of periods, spread geometrically between the two below."""
SHORTEST_PERIOD = 8.0
"""Ticks; a twelfth of a second in MuseNet's clock."""
LONGEST_PERIOD = 2.0**17
"""Ticks; 23 minutes in MuseNet's clock."""


class Batch(NamedTuple):
    """What the network sees of a batch of windows; integer tensors of shape (batch, time)."""

    tokens: Tensor
    time: Tensor
    """Ticks since the start of the piece."""
    chord: Tensor
    part: Tensor
    countdown: Tensor

    def slice(self, stop: int) -> Batch:
        """The first `stop` positions."""
        return Batch(*(x[:, :stop] for x in self))

    def to(self, device: torch.device) -> Batch:
        return Batch(*(x.to(device) for x in self))


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
            return self.own
        shared = (self.row[:, None] + self.pitch[None, :]).flatten(0, 1)
        return torch.cat([self.own[: self.note_tokens] + shared, self.own[self.note_tokens :]])


class Embeddings(nn.Module):
    """The sum of all embeddings, shape (batch, time, width)."""

    def __init__(self, vocabulary_size: int, note_tokens: int, context: int, width: int) -> None:
        super().__init__()
        self.token = TokenTable(vocabulary_size, note_tokens, width)
        self.position = nn.Embedding(context, width)
        self.chord = nn.Embedding(CHORD, width)
        self.part = nn.Embedding(PARTS, width)
        self.countdown = nn.Embedding(COUNTDOWN, width)
        self.time = nn.Linear(2 * TIME_PERIODS, width, bias=False)
        self.context = context

    def forward(self, batch: Batch, table: Tensor, first_position: int = 0) -> Tensor:
        """`table`: the token embeddings; `first_position`: where the batch's first token stands in its window."""
        stop = first_position + batch.tokens.shape[1]
        position = torch.arange(first_position, stop, device=batch.tokens.device)
        waves = time_waves(batch.time).to(self.time.weight.dtype)
        structure = self.chord(batch.chord) + self.part(batch.part) + self.countdown(batch.countdown)
        total: Tensor = embedding(batch.tokens, table) + self.position(position) + self.time(waves) + structure
        return total


def time_waves(ticks: Tensor) -> Tensor:
    """Sines and cosines of the time, shape (…, 2 · TIME_PERIODS).

    Angles are 32-bit: the periods are made here, not kept as a buffer that a cast of the model to 16 bits
    would round.
    """
    exponent = torch.arange(TIME_PERIODS, device=ticks.device, dtype=torch.float32) / (TIME_PERIODS - 1)
    period = SHORTEST_PERIOD * (LONGEST_PERIOD / SHORTEST_PERIOD) ** exponent
    angle = ticks[..., None].float() * (2 * math.pi / period)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
