"""Structure features: what MuseNet's extra embeddings see, derived from the tokens alone.

time       ticks since the start once the token has been heard; notes that sound together share it
chord      how many notes have started or ended since the last wait, this one included; 0 elsewhere
part       in which of the piece's 128 parts the token lies, 0–127, by its position
countdown  127 … 0: tokens that remain until the last one, 127 while there are more

`features` computes them for whole pieces, `Stepper` one token at a time while a piece is being generated;
both follow the definitions above. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings.combined import token_ticks
from tokenization.vocabulary import Tokens, Vocabulary

PARTS = 128
COUNTDOWN = 128
CHORD = 32
"""Values of `chord`; larger chords stay at the last."""


@dataclass(frozen=True)
class Features:
    """One value per token; arrays of the tokens' shape."""

    time: NDArray[np.int64]
    chord: NDArray[np.int64]
    part: NDArray[np.int64]
    countdown: NDArray[np.int64]

    def __getitem__(self, where: slice | NDArray[np.int64]) -> Features:
        return Features(self.time[where], self.chord[where], self.part[where], self.countdown[where])


def position_features(
    position: NDArray[np.int64], length: int | NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part and countdown of positions in pieces of `length` tokens."""
    part = np.minimum(position * PARTS // np.maximum(length, 1), PARTS - 1)
    countdown = np.clip(length - 1 - position, 0, COUNTDOWN - 1)
    return part, countdown


def features(tokens: Tokens, vocabulary: Vocabulary, length: int | None = None) -> Features:
    """Features of one piece from its first token on, shape (n,). `length`: its tokens in all, n unless given."""
    ids = np.asarray(tokens).astype(np.int64)
    is_note = ids < vocabulary.note_end
    counted = np.cumsum(is_note)
    before_group = np.maximum.accumulate(np.where(is_note, 0, counted))
    chord = np.where(is_note, np.minimum(counted - before_group, CHORD - 1), 0)
    part, countdown = position_features(np.arange(len(ids)), len(ids) if length is None else length)
    return Features(token_ticks(ids, vocabulary), chord, part, countdown)


class Stepper:
    """The same features for a batch of pieces that grow by one token at a time."""

    def __init__(self, lengths: NDArray[np.int64], vocabulary: Vocabulary) -> None:
        """`lengths`: the tokens that each piece is planned to have, shape (batch,)."""
        self.vocabulary = vocabulary
        self.lengths = lengths
        self.position = -1
        self.ticks = np.zeros(len(lengths), np.int64)
        self.chord = np.zeros(len(lengths), np.int64)

    def step(self, tokens: NDArray[np.integer]) -> Features:
        """Features of the next token of every piece, arrays of shape (batch,)."""
        ids = np.asarray(tokens).astype(np.int64)
        self.position += 1
        self.ticks = self.ticks + token_ticks(ids[:, None], self.vocabulary)[:, 0]
        self.chord = np.where(ids < self.vocabulary.note_end, self.chord + 1, 0)
        part, countdown = position_features(np.full(len(ids), self.position), self.lengths)
        return Features(self.ticks, np.minimum(self.chord, CHORD - 1), part, countdown)
