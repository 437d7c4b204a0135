"""Structure features: the inputs of MuseNet's extra embeddings, derived from the tokens alone.

    time       ticks from the start up to and including the token; notes that sound together share it
    chord      starts and ends of notes since the last token of another kind, mostly a wait; this token included
    part       the one of the piece's 128 parts in which the token lies, 0–127, by its position
    countdown  127 … 0: tokens that remain until the last one, 127 while there are more

`features` computes them for whole pieces, one or a batch, `Stepper` one token at a time while pieces are being
generated, `tokenization.dataset.windows` for parts of pieces. The effect of a token on time and chord comes from
`TokenEffects`, so the definitions hold for every encoding. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import CHORD_LIMIT, EVENT_MASK, TICKS_SHIFT, TokenEffects
from tokenization.vocabulary import Tokens

PARTS = 128
COUNTDOWN = 128
CHORD = CHORD_LIMIT
"""Values of `chord`; larger chords have the last one."""
FIELDS = 5
"""Numbers per token that the network reads: its id and its features."""
NEVER = 2**62


@dataclass(frozen=True)
class Features:
    """One value per token; arrays of the tokens' shape."""

    time: NDArray[np.int64]
    chord: NDArray[np.int64]
    part: NDArray[np.int64]
    countdown: NDArray[np.int64]


def features(tokens: Tokens, effects: TokenEffects, lengths: int | NDArray[np.int64] | None = None) -> Features:
    """Return the features of pieces from their first token on: of one, shape (n,), or of a batch, shape (batch, n).

    `lengths`: the total number of tokens of each piece, n unless given. Ids outside the vocabulary take no time.
    """
    rows = np.atleast_2d(np.ascontiguousarray(tokens, np.uint16))
    whole = np.broadcast_to(rows.shape[1] if lengths is None else lengths, len(rows)).astype(np.int64)
    out = np.empty((4, *rows.shape), np.int64)
    for index, row in enumerate(rows):
        _fill(row, whole[index], effects.code, out, index)
    return Features(*(column.reshape(np.shape(tokens)) for column in out))


class Stepper:
    """Features of a batch of pieces that grow by one token at a time."""

    def __init__(self, lengths: NDArray[np.int64], effects: TokenEffects) -> None:
        """Start a batch of pieces of planned `lengths` in tokens, shape (batch,)."""
        self.effects = effects
        self.lengths = np.asarray(lengths, np.int64)
        self.position = -1
        self.state = np.zeros((2, len(lengths)), np.int64)
        """Time and chord of each piece."""

    def step(self, tokens: NDArray[np.integer]) -> Features:
        """Return the features of the next token of every piece, arrays of shape (batch,)."""
        self.position += 1
        out = np.empty((FIELDS, len(self.lengths)), np.int64)
        _step(np.asarray(tokens, np.int64), self.position, self.lengths, self.effects.code, self.state, out)
        return Features(*out[1:])

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.lengths, self.state = self.lengths[rows], np.ascontiguousarray(self.state[:, rows])


@compiled
def advance(code: np.int32, time: int, chord: int) -> tuple[int, int]:
    """Return time and chord at a token, from those before it and its `TokenEffects.code`."""
    return time + int(code >> TICKS_SHIFT), (chord & int(code & 1) - 1) + int(code >> 1 & EVENT_MASK)


@compiled
def _locate(position: int, length: int) -> tuple[int, int]:
    """Return part and countdown of a position in a piece of `length` tokens."""
    return min(position * PARTS // max(length, 1), PARTS - 1), min(max(length - 1 - position, 0), COUNTDOWN - 1)


@compiled
def _fill(row: Tokens, length: int, codes: NDArray[np.int32], out: NDArray[np.int64], index: int) -> None:
    """Fill row `index` of `out`, shape (4, rows, size)."""
    time = chord = until = part = 0  # until: end of the part; only its beginning takes a division
    for position in range(len(row)):
        time, chord = advance(codes[row[position]], time, chord)
        if position >= until:
            part, _ = _locate(position, length)
            until = -(-(part + 1) * length // PARTS) if part < PARTS - 1 else NEVER
        out[0, index, position], out[1, index, position], out[2, index, position] = time, min(chord, CHORD - 1), part
        out[3, index, position] = min(max(length - 1 - position, 0), COUNTDOWN - 1)


@compiled
def _step(
    tokens: NDArray[np.int64],
    position: int,
    lengths: NDArray[np.int64],
    codes: NDArray[np.int32],
    state: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    for row in range(len(tokens)):
        token = tokens[row]
        if token < len(codes):
            state[0, row], state[1, row] = advance(codes[token], int(state[0, row]), int(state[1, row]))
        part, countdown = _locate(position, lengths[row])
        out[0, row], out[1, row], out[2, row], out[3, row], out[4, row] = (
            token,
            state[0, row],
            min(state[1, row], CHORD - 1),
            part,
            countdown,
        )
