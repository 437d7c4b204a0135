"""The interface of all encodings: notes ⇄ tokens over a vocabulary, in seconds or in beats.

Every encoding writes a grid as plain tokens. A *learned* encoding then merges plain tokens to learned ones, and expands
them again before reading. An encoding is thus exact if its two steps are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings.effects import TokenEffects, tick_order
from tokenization.encodings.grid import Grid, Time, column_of, legato, quantise, to_notes, without_late_tempos
from tokenization.encodings.rules import LearnedRules
from tokenization.encodings.stream import HEADER, read_tokens, write_tokens
from tokenization.encodings.structure import Features, features
from tokenization.midi.notes import DEFAULT_TEMPO, Notes
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens


class Encoding:
    """An encoding over one vocabulary.

    A new plain encoding sets the class variables, and overrides `tick_order` if its events come in another order. A new
    learned one also overrides `learn` and `merge`; and `expand`, `effects` and `learned_rules` where a learned token
    means more than the sequence of ids that it stands for.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same notes would give other tokens; part of every dataset's digest."""
    writes_ends: ClassVar[bool]
    """True if tokens include the ends of notes."""
    writes_lengths: ClassVar[bool] = False
    """True if each note is followed by its length."""
    learns: ClassVar[LearnedKind | None] = None
    """Kind of the tokens that are learned from a dataset; None for a plain encoding."""

    def __init__(self, vocabulary: Vocabulary, time: Time = Time.SECONDS) -> None:
        """Raises VocabularyError for a vocabulary with learned tokens of another encoding."""
        kind = LearnedKind.LENGTH if self.writes_lengths else self.learns
        if vocabulary.learned and vocabulary.learned.kind is not kind:
            raise VocabularyError(
                f"vocabulary {vocabulary.name!r} has {vocabulary.learned.kind}s, which the encoding "
                f"{self.name!r} does not use; choose the encoding that it was made for"
            )
        self.vocabulary = vocabulary
        self.time = time

    # Notes and tokens.

    def encode(self, notes: Notes, style: str | None = None) -> Tokens:
        """Return the token ids of a whole piece, shape (n,): header, music, `end`.

        Notes may come in any order; `quantised` gives what is kept of them. Raises VocabularyError for an unknown
        style and ValueError for a piece without notes or with values that MIDI does not have.
        """
        return self.tokens_of(self.grid(notes), style)

    def tokens_of(self, grid: Grid, style: str | None = None) -> Tokens:
        """Return the tokens of a piece on this encoding's grid. Raises VocabularyError for an unknown style."""
        return self.merge(self.write(grid, style))

    def decode(self, tokens: Tokens, *, tick: float | None = None, stacked: bool = False) -> Notes:
        """Return the notes of any token sequence, also an incomplete or invalid one.

        `tick`: seconds, where the tokens are to be read by another clock than the vocabulary's. `stacked`: a pitch that
        starts while it sounds does not end; notes of one pitch sound together, and a note-off ends the oldest, as
        MuseNet's clients read the tokens of its service. Raises VocabularyError for a tick where time is in beats or
        that is no positive number, and for `stacked` where tokens have no note-offs.
        """
        if tick is not None and self.time is not Time.SECONDS:
            raise VocabularyError("a tick in seconds says nothing where ticks are parts of a beat; give time seconds")
        if tick is not None and not 0 < tick < float("inf"):
            raise VocabularyError(f"a tick of {tick:g} s is no time; give seconds above 0")
        if stacked and not self.writes_ends:
            raise VocabularyError(f"the encoding {self.name!r} has no note-offs, so that notes cannot be stacked")
        return to_notes(self.read(self.expand(tokens), stacked), self.vocabulary, self.time, tick)

    def quantised(self, notes: Notes) -> Notes:
        """Return the notes as this encoding represents them: `decode(encode(notes))` gives exactly these."""
        return self.notes_of(self.grid(notes))

    def notes_of(self, grid: Grid) -> Notes:
        """Return the notes of a piece on this encoding's grid."""
        return to_notes(grid, self.vocabulary, self.time)

    @property
    def keeps_lengths(self) -> bool:
        """True if the lengths of notes are in the tokens, in whatever form."""
        return self.writes_ends or self.writes_lengths

    @property
    def ticks_per_second(self) -> float:
        """Ticks in a second; in beats, at 120 of them a minute."""
        vocabulary = self.vocabulary
        in_beats = self.time is Time.BEATS
        return vocabulary.ticks_per_beat * DEFAULT_TEMPO / 60 if in_beats else vocabulary.ticks_per_second

    @cached_property
    def speeds(self) -> NDArray[np.float64]:
        """Ticks in a second under each tempo, shape (tempos,)."""
        vocabulary = self.vocabulary
        if self.time is Time.BEATS:
            return vocabulary.tempo_values / 60 * vocabulary.ticks_per_beat
        return np.full(len(vocabulary.tempos), float(vocabulary.ticks_per_second))

    # Effects of ids: `stream`, `structure` and `grammar` follow from them.

    def tick_order(self) -> NDArray[np.int64]:
        """Return the ids of all events in the order of one tick.

        Tempos come first, the note-off of a pitch before its notes, and the notes of one instrument and pitch directly
        after each other.
        """
        return tick_order(self.vocabulary)

    @cached_property
    def effects(self) -> TokenEffects:
        """The effect of every id on events, time and chords."""
        return TokenEffects.of(self.vocabulary, self.tick_order())

    @cached_property
    def learned_rules(self) -> LearnedRules | None:
        """The grammar of learned tokens; None if each acts as the sequence of ids that it stands for."""
        return None

    def features(self, tokens: Tokens, lengths: int | NDArray[np.int64] | None = None) -> Features:
        """Return the structure features of one piece, shape (n,), or a batch of pieces, shape (batch, n)."""
        return features(tokens, self.effects, lengths)

    # Plain tokens.

    def grid(self, notes: Notes) -> Grid:
        """Return the piece on this encoding's grid. Raises ValueError as `quantise` does."""
        grid = quantise(notes, self.vocabulary, self.time)
        if len(grid.tempo) > 1:
            grid = without_late_tempos(grid, self.vocabulary, self.writes_ends)
        return grid if self.keeps_lengths else legato(grid, self.vocabulary)

    def write(self, grid: Grid, style: str | None = None) -> Tokens:
        """Return a grid as plain tokens, the events of one tick in `tick_order`."""
        vocabulary = self.vocabulary
        return write_tokens(
            grid.start,
            grid.end,
            grid.row,
            grid.pitch,
            grid.tempo_ticks,
            grid.tempo,
            self.writes_ends,
            vocabulary.lengths,
            self.effects.table,
            vocabulary.group_bits,
            vocabulary.wait_base,
            vocabulary.max_wait,
            vocabulary.tempo_base,
            (vocabulary.style_id(style), vocabulary.instrumentation_base, vocabulary.start),
            vocabulary.end,
        )

    def read(self, tokens: Tokens, stacked: bool = False) -> Grid:
        """Return the grid of any plain tokens.

        A note-off without its note is ignored; a note without a note-off ends when its pitch starts anew, at the
        latest with the sequence; if `stacked`, notes of one pitch sound together instead, and a note-off ends the
        oldest. Ids that are not music are ignored, and all from `end` on. Where ticks are seconds the tempo is the
        header's.
        """
        vocabulary = self.vocabulary
        start, end, row, pitch, tempo_ticks, tempo = read_tokens(
            column_of(np.asarray(tokens), np.uint16),
            self.writes_ends,
            self.writes_lengths,
            stacked,
            self.effects.table,
            len(vocabulary.instruments) * PITCHES,
            vocabulary.tempo_id(DEFAULT_TEMPO) - vocabulary.tempo_base,
        )
        count = len(tempo) if self.time is Time.BEATS else 1
        grid = Grid(start, end, row, pitch, tempo_ticks[:count], tempo[:count], np.arange(len(start)))
        return grid if self.keeps_lengths else legato(grid, vocabulary)

    # Learned tokens.

    def learn(self, pieces: Iterable[Tokens], count: int) -> LearnedTokens:
        """Return up to `count` learned tokens from whole pieces of plain tokens."""
        raise NotImplementedError(f"the encoding {self.name!r} learns no tokens")

    def merge(self, tokens: Tokens) -> Tokens:
        """Return plain tokens with learned tokens in place of what they stand for."""
        return tokens

    def expand(self, tokens: Tokens) -> Tokens:
        """Return the plain tokens that tokens stand for. Unknown ids are left out."""
        if not self.vocabulary.learned:
            return tokens
        expansion = self.vocabulary.expansion
        ids = np.asarray(tokens).astype(np.int64)
        ids = ids[ids < self.vocabulary.size]
        sizes = expansion.sizes[ids]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        expanded: Tokens = expansion.tokens[np.repeat(expansion.first[ids], sizes) + within].astype(np.uint16)
        return expanded


__all__ = ["HEADER", "Encoding", "Time"]
