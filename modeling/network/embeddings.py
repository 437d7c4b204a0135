"""MuseNet's embeddings: token, position, and the structure features that the tokens imply.

All are learned and summed. A note's embedding includes those of its row and its pitch. Chord, part and countdown are
tables; time is unbounded, so it enters as sines and cosines of many periods (Fourier features) and is projected by a
learned matrix. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from modeling.config import ModelConfig
from modeling.network.batch import Batch
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS
from tokenization.vocabulary import PITCHES

TIME_PERIODS = 32
"""Number of periods, spaced geometrically between SHORTEST_PERIOD and LONGEST_PERIOD."""
SHORTEST_PERIOD = 8.0
"""Ticks; a twelfth of a second in MuseNet's clock."""
LONGEST_PERIOD = 2.0**17
"""Ticks; 23 minutes in MuseNet's clock."""


class TokenTable(nn.Module):
    """The embedding table of all tokens, shape (vocabulary, d_model).

    Ids below `note_tokens` are notes, rows of PITCHES ids. Unless `note_tokens` is 0, a note's embedding is the sum of
    its own, its row's and its pitch's.
    """

    def __init__(self, vocabulary_size: int, note_tokens: int, d_model: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.empty(vocabulary_size, d_model))
        self.row = nn.Parameter(torch.empty(note_tokens // PITCHES, d_model)) if note_tokens else None
        self.pitch = nn.Parameter(torch.empty(PITCHES, d_model)) if note_tokens else None
        self.note_tokens = note_tokens

    def forward(self) -> Tensor:
        """Return the whole table."""
        if self.row is None or self.pitch is None:
            # A view, not the parameter: sharded weights are gathered only while this module computes.
            return self.own.view_as(self.own)
        shared = (self.row[:, None] + self.pitch[None, :]).flatten(0, 1)
        return torch.cat([self.own[: self.note_tokens] + shared, self.own[self.note_tokens :]])


class Embeddings(nn.Module):
    """The sum of all embeddings, shape (batch, time, d_model)."""

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
        """Embed a batch. `table`: the token table's output; `positions`: those of `Batch.positions`."""
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
    """Return sines and cosines of times in ticks, shape (…, 2 · TIME_PERIODS), whose absolute values sum to about 1.

    One optimiser step then moves their projection about as far as an entry of a table. Unscaled, the slow waves, nearly
    constant within a window, outgrow all else that a position carries within a few steps: measured, that cost more
    than all structure embeddings gain.

    Angles are 32-bit: the periods are computed here and not kept as a buffer, which casting the model to 16 bits would
    round.
    """
    angle = ticks[..., None].float() * wave_frequencies(ticks.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1) / TIME_PERIODS


def wave_frequencies(device: torch.device | None = None) -> Tensor:
    """Return the radians a tick of each wave, shape (TIME_PERIODS,), in 32 bits."""
    exponent = torch.arange(TIME_PERIODS, device=device, dtype=torch.float32) / (TIME_PERIODS - 1)
    period = SHORTEST_PERIOD * (LONGEST_PERIOD / SHORTEST_PERIOD) ** exponent
    return 2 * math.pi / period
