"""What every encoding is: notes ⇄ tokens over a vocabulary, in seconds or in beats.

The *plain* encodings, `combined` and `onset`, write a grid as tokens. The *learned* ones add units to a plain
encoding's vocabulary, and `shorten` its tokens to them. So each is exact if its two steps are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings.grid import Grid, Time, column_of, legato, quantise, to_notes, without_late_tempos
from tokenization.encodings.stream import HEADER, read_tokens, write_tokens
from tokenization.encodings.structure import Features, TokenEffects, features
from tokenization.midi.notes import DEFAULT_TEMPO, Notes
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind


class Encoding(ABC):
    """An encoding over one vocabulary."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same notes would give other tokens; part of every dataset's digest."""
    writes_ends: ClassVar[bool]
    """Whether tokens say when notes end."""
    learns: ClassVar[LearnedKind | None] = None
    """The kind of units that are learned from a dataset; None for a plain encoding."""

    def __init__(self, vocabulary: Vocabulary, time: Time = Time.SECONDS) -> None:
        """Raises VocabularyError for a vocabulary with units of another encoding."""
        if vocabulary.learned and vocabulary.learned.kind is not self.learns:
            raise VocabularyError(f"vocabulary {vocabulary.name!r} has units that {self.name} does not know")
        self.vocabulary = vocabulary
        self.time = time

    def encode(self, notes: Notes, style: str | None = None) -> Tokens:
        """Token ids of a whole piece, shape (n,): header, music, `end`.

        Notes may come in any order. `quantised` says what is kept of them. Raises VocabularyError for an unknown
        style and ValueError for a piece without notes or with values that MIDI does not have.
        """
        return self.merge(self.write(self.grid(notes), style))

    def decode(self, tokens: Tokens) -> Notes:
        """The notes of any token sequence, also an incomplete or invalid one."""
        return to_notes(self.read(self.expand(tokens)), self.vocabulary, self.time)

    def features(self, tokens: Tokens, lengths: int | NDArray[np.int64] | None = None) -> Features:
        """The structure features of one piece, shape (n,), or a batch of pieces, shape (batch, n)."""
        return features(tokens, self.effects, lengths)

    def quantised(self, notes: Notes) -> Notes:
        """The notes as this encoding hears them: `decode(encode(notes))` gives exactly these."""
        return to_notes(self.grid(notes), self.vocabulary, self.time)

    @cached_property
    def effects(self) -> TokenEffects:
        """What every id does to time and chords."""
        return TokenEffects.of(self.vocabulary)

    @property
    def ticks_per_second(self) -> float:
        """Ticks in a second; in beats, at 120 of them a minute."""
        vocabulary = self.vocabulary
        in_beats = self.time is Time.BEATS
        return vocabulary.ticks_per_beat * DEFAULT_TEMPO / 60 if in_beats else vocabulary.ticks_per_second

    # The plain tokens.

    def grid(self, notes: Notes) -> Grid:
        """The piece on this encoding's grid. Raises ValueError as `quantise` does."""
        grid = quantise(notes, self.vocabulary, self.time)
        if len(grid.tempo) > 1:
            grid = without_late_tempos(grid, self.vocabulary, self.writes_ends)
        return grid if self.writes_ends else legato(grid, self.vocabulary)

    def write(self, grid: Grid, style: str | None = None) -> Tokens:
        """A grid as plain tokens.

        Within one tick a tempo comes first, then note-offs by pitch, then notes by pitch, then drums; of one pitch
        the higher row first.
        """
        vocabulary = self.vocabulary
        return write_tokens(
            grid.start,
            grid.end,
            grid.row,
            grid.pitch,
            grid.tempo_ticks,
            grid.tempo,
            self.writes_ends,
            vocabulary.row_instrument,
            vocabulary.off_row,
            vocabulary.group_bits,
            vocabulary.wait_base,
            vocabulary.max_wait,
            vocabulary.tempo_base,
            (vocabulary.style_id(style), vocabulary.instrumentation_base, vocabulary.start),
            vocabulary.end,
        )

    def read(self, tokens: Tokens) -> Grid:
        """The grid of any plain tokens.

        A note-off without its note is ignored; a note without a note-off ends when its pitch starts anew, at the
        latest with the sequence. Ids that say nothing of music are ignored, and all from `end` on. Where ticks are
        seconds the tempo is the header's.
        """
        vocabulary = self.vocabulary
        start, end, row, pitch, tempo_ticks, tempo = read_tokens(
            column_of(np.asarray(tokens), np.uint16),
            self.writes_ends,
            vocabulary.row_instrument,
            vocabulary.row_velocity,
            vocabulary.off_row,
            vocabulary.wait_base,
            vocabulary.max_wait,
            vocabulary.tempo_base,
            len(vocabulary.tempos),
            vocabulary.tempo_id(DEFAULT_TEMPO) - vocabulary.tempo_base,
            vocabulary.end,
        )
        many = len(tempo) if self.time is Time.BEATS else 1
        grid = Grid(start, end, row, pitch, tempo_ticks[:many], tempo[:many], np.arange(len(start)))
        return grid if self.writes_ends else legato(grid, vocabulary)

    @abstractmethod
    def merge(self, tokens: Tokens) -> Tokens:
        """Plain tokens with units wherever they fit."""

    @abstractmethod
    def expand(self, tokens: Tokens) -> Tokens:
        """Tokens without units that mean the same."""


class Plain(Encoding):
    """An encoding without units."""

    def merge(self, tokens: Tokens) -> Tokens:
        return tokens

    def expand(self, tokens: Tokens) -> Tokens:
        return tokens


__all__ = ["HEADER", "Encoding", "Plain", "Time"]
