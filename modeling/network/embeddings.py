"""MuseNet's embeddings: token, position, and the structure features that the tokens imply.

All are learned and summed. A note's embedding includes those of its row and its pitch. Chord, part and countdown are
tables; time is unbounded, so it enters as sines and cosines of many periods (Fourier features) and is projected by a
learned matrix. Source: OpenAI, "MuseNet" (2019).

Beyond MuseNet's there are six: style and instrumentation, which attention alone loses within a hundred tokens of the
header, the metre, the pitches that sound, the pitch classes of the last notes, and the token that came next before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from modeling.config import HeaderIds, ModelConfig
from modeling.network.batch import Batch
from tokenization.encodings.echo import CONTEXTS, ECHO_BITS
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS
from tokenization.encodings.texture import AGES, CLASSES, COUNT_BITS, ECHO, HARMONY, LONG, SHORT, SOUNDING, WORD
from tokenization.vocabulary import PITCHES

TIME_PERIODS = 32
"""Number of periods, spaced geometrically between SHORTEST_PERIOD and LONGEST_PERIOD."""
SHORTEST_PERIOD = 8.0
"""Ticks; a twelfth of a second in MuseNet's clock."""
LONGEST_PERIOD = 2.0**17
"""Ticks; 23 minutes in MuseNet's clock."""
MOST_VOICES = 16
"""Greatest number of pitches at once that is told from greater ones."""
COUNT_MASK = (1 << COUNT_BITS) - 1
HARMONY_SIZES = (SHORT, LONG // 2)
"""Sums of the counts of pitch classes; the greater ones are stored as halves."""
BEATS = 12
"""Beats after which their numbers repeat: bars of two, three, four and six beats go into it."""


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


class StyleTable(nn.Module):
    """The embedding of the styles, shape (slots + 1, d_model); the last row is for a style that is not given."""

    def __init__(self, header: HeaderIds, d_model: int) -> None:
        super().__init__()
        self.header = header
        self.weight = nn.Parameter(torch.empty(header.styles + 1, d_model))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ids of any shape."""
        return embedding(self.rows(ids), self.weight)

    def rows(self, ids: Tensor) -> Tensor:
        """Return the number of each id's row."""
        slot = ids.long() - self.header.style_base
        return slot.where((slot >= 0) & (slot < self.header.styles), self.header.styles)


class InstrumentationTable(nn.Module):
    """The embedding of instrumentations: the sum of the rows of their groups, shape (groups + 1, d_model); the last row
    is for an instrumentation that is not given."""

    def __init__(self, header: HeaderIds, d_model: int) -> None:
        super().__init__()
        self.header = header
        self.weight = nn.Parameter(torch.empty(header.groups + 1, d_model))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ids of any shape."""
        mask = self.masks(ids)
        bits = (mask[..., None] >> torch.arange(self.header.groups, device=ids.device)) & 1
        groups = torch.cat([bits, (mask == 0)[..., None]], dim=-1)
        return groups.to(self.weight.dtype) @ self.weight

    def masks(self, ids: Tensor) -> Tensor:
        """Return the bit mask of each id, 0 for ids that are no instrumentation."""
        mask = ids.long() - self.header.instrumentation_base
        return mask.where((mask > 0) & (mask < 1 << self.header.groups), 0)


class SoundingTable(nn.Module):
    """The embedding of the pitches that sound: the sum of one row for each, by the age of its note, shape
    (AGES · 128, d_model), and one for how many they are."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(AGES * PITCHES, d_model))
        self.voices = nn.Parameter(torch.empty(MOST_VOICES + 1, d_model))

    def forward(self, texture: Tensor) -> Tensor:
        """Return the embeddings of texture, shape (…, FIELDS)."""
        bits = texture[..., SOUNDING, None] >> torch.arange(WORD, device=texture.device) & 1
        pitches = bits.flatten(-2)
        voices = pitches.sum(dim=-1).clamp(max=MOST_VOICES)
        return pitches.to(self.weight.dtype) @ self.weight + embedding(voices, self.voices)


class HarmonyTable(nn.Module):
    """The embedding of how often each pitch class occurs among the last notes, linear in its share of them, shape
    (2 · CLASSES, d_model)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * CLASSES, d_model))

    def forward(self, texture: Tensor) -> Tensor:
        """Return the embeddings of texture, shape (…, FIELDS)."""
        counts = pitch_class_counts(texture).flatten(-2)
        return counts.to(self.weight.dtype) @ self.by_count()

    def by_count(self) -> Tensor:
        """Return the embedding of one note of each pitch class, shape (2 · CLASSES, d_model)."""
        short, long = HARMONY_SIZES
        return torch.cat([self.weight[:CLASSES] / short, self.weight[CLASSES:] / long])


class EchoTable(nn.Module):
    """The embedding of what came next when the last tokens were heard before, as a layer of attention would find it
    (an induction head; Akyürek et al., 2024): a projection of that token's, and one of how many tokens were the same,
    shape (contexts + 1, d_model)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.projection = nn.Linear(d_model, d_model, bias=False)
        self.same = nn.Parameter(torch.empty(len(CONTEXTS) + 1, d_model))

    def forward(self, texture: Tensor, table: Tensor) -> Tensor:
        """Return the embeddings of texture, shape (…, FIELDS). `table`: the token table's output."""
        words = texture[..., ECHO]
        same = words & ((1 << ECHO_BITS) - 1)
        following: Tensor = self.projection(embedding(words >> ECHO_BITS, table))
        return following * (same > 0)[..., None] + embedding(same, self.same)


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
        self.style = StyleTable(config.header, config.d_model) if "style" in config.structure else None
        has_groups = "instrumentation" in config.structure
        self.instrumentation = InstrumentationTable(config.header, config.d_model) if has_groups else None
        self.ticks_per_beat = config.ticks_per_beat
        self.beat = table("metre", config.ticks_per_beat)
        self.bar = table("metre", BEATS)
        self.sounding = SoundingTable(config.d_model) if "sounding" in config.structure else None
        self.harmony = HarmonyTable(config.d_model) if "harmony" in config.structure else None
        self.echo = EchoTable(config.d_model) if "echo" in config.structure else None
        has_time = "time" in config.structure
        self.time = nn.Linear(2 * TIME_PERIODS, config.d_model, bias=False) if has_time else None

    def forward(self, batch: Batch, table: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """Embed a batch. `table`: the token table's output; `positions`, `labels`: those of `Batch`."""
        total = embedding(batch.tokens, table)
        if self.position is not None:
            total = total + self.position(positions)
        if self.time is not None:
            total = total + self.time(time_waves(batch.time).to(total.dtype))
        fields = ((self.chord, batch.chord), (self.part, batch.part), (self.countdown, batch.countdown))
        for module, values in fields:
            if module is not None:
                total = total + module(values.int())
        if self.beat is not None and self.bar is not None:
            beat, tick = batch.time // self.ticks_per_beat, batch.time % self.ticks_per_beat
            total = total + self.beat(tick.int()) + self.bar((beat % BEATS).int())
        for label, ids in ((self.style, labels[0]), (self.instrumentation, labels[1])):
            if label is not None:
                total = total + label(ids)
        for heard in (self.sounding, self.harmony):
            if heard is not None:
                total = total + heard(_texture(batch))
        return total if self.echo is None else total + self.echo(_texture(batch), table)


def _texture(batch: Batch) -> Tensor:
    if batch.texture is None:
        raise ValueError("the network needs the texture of its tokens, which the batch does not have")
    return batch.texture


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


def pitch_class_counts(texture: Tensor) -> Tensor:
    """Return how many of the last SHORT notes, and half as many as of the last LONG ones, have each pitch class, shape
    (…, 2, CLASSES)."""
    shifts = COUNT_BITS * torch.arange(CLASSES, device=texture.device)
    return texture[..., HARMONY, None] >> shifts & COUNT_MASK
