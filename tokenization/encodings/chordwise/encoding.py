"""The chordwise encoding's class: `combined` with chords."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

import numpy as np

from tokenization.encodings.chordwise.expansion import expand_chords
from tokenization.encodings.chordwise.learning import learn_chords
from tokenization.encodings.chordwise.matching import ChordIndex, merge_chords
from tokenization.encodings.chordwise.rules import ChordRules
from tokenization.encodings.effects import TokenEffects
from tokenization.encodings.encoding import HEADER, Encoding
from tokenization.encodings.grid import column_of
from tokenization.vocabulary import Tokens
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens


class Chordwise(Encoding):
    """Starts and ends of notes, or whole chords."""

    name = "chordwise"
    version = 2
    writes_ends = True
    learns = LearnedKind.CHORD

    @cached_property
    def effects(self) -> TokenEffects:
        """The effect of every id; a chord counts as one event at least, so that silence does, too."""
        effects = super().effects
        is_chord = np.arange(self.vocabulary.size) >= self.vocabulary.learned_base
        return replace(effects, events=np.maximum(effects.events, is_chord))

    @cached_property
    def learned_rules(self) -> ChordRules | None:
        """The grammar of chords; None before any are learned."""
        return ChordRules(self.vocabulary, self.effects.table) if self.vocabulary.learned else None

    def learn(self, pieces: Iterable[Tokens], count: int) -> LearnedTokens:
        return learn_chords(pieces, self.effects.table.off, count)

    def merge(self, tokens: Tokens) -> Tokens:
        if not self.vocabulary.learned:
            return tokens
        music = column_of(tokens, np.uint16)
        return merge_chords(music, HEADER, self.effects.table.off, self._index, self.vocabulary.learned_base)

    def expand(self, tokens: Tokens) -> Tokens:
        if not self.vocabulary.learned:
            return tokens
        expansion, table = self.vocabulary.expansion, self.effects.table
        return expand_chords(
            column_of(np.asarray(tokens), np.uint16),
            table.off,
            table.rank,
            expansion.tokens,
            expansion.first,
            self.vocabulary.learned_base,
        )

    @cached_property
    def _index(self) -> ChordIndex:
        return ChordIndex.of(self.vocabulary.learned)
