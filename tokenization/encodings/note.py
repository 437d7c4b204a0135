"""The note encoding: starts of notes, each followed by its length, waits between.

`bach piano start tempo90 piano:v72:G1 length:64 piano:v72:D4 length:12 wait:12 piano:v72:E4 length:52 … end`

Where `combined` writes a note-off, this writes the length, at once: a model decides how long a note lasts while it
decides on the note, and none can be left hanging. There are no waits that lead to a note-off alone, so pieces are
shorter, too. A second, or two beats, of lengths are exact; above that each octave has STEPS of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tokenization.encodings.encoding import Encoding
from tokenization.encodings.grid import Grid, Time, with_lengths
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

EXACT = 96
"""Ticks up to which every length has a token."""
STEPS, OCTAVES = 48, 4
"""Lengths to an octave above that, and octaves: the greatest length is EXACT · 2^OCTAVES ticks, 16 s or 32 beats."""


def length_tokens() -> LearnedTokens:
    """Return the lengths of this encoding."""
    step = EXACT // STEPS
    octaves = [(np.arange(STEPS) + STEPS + 1) * (step << octave) for octave in range(OCTAVES)]
    ticks = [*range(1, EXACT + 1), *np.concatenate(octaves).tolist()]
    return LearnedTokens(LearnedKind.LENGTH, tuple((length,) for length in ticks))


class Note(Encoding):
    """Notes with their lengths."""

    name = "note"
    version = 1
    writes_ends = False
    writes_lengths = True

    def __init__(self, vocabulary: Vocabulary, time: Time = Time.SECONDS) -> None:
        """Add the lengths to the vocabulary unless it has some. Raises VocabularyError as `Encoding` does."""
        given = vocabulary if vocabulary.learned else replace(vocabulary, learned=length_tokens())
        super().__init__(given, time)

    def grid(self, notes: Notes) -> Grid:
        """Return the piece on this encoding's grid: lengths are those that have a token."""
        return with_lengths(super().grid(notes), self.vocabulary, self.vocabulary.lengths)
