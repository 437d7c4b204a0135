"""Structure features: what MuseNet's extra embeddings see, derived from the tokens alone.

time       ticks since the start once the token has been heard; notes that sound together share it
chord      how many notes have started or ended since the last token that is something else, a wait above all; this
           token's included
part       in which of the piece's 128 parts the token lies, 0–127, by its position
countdown  127 … 0: tokens that remain until the last one, 127 while there are more

`features` computes them for whole pieces, one or a batch, `Stepper` one token at a time while pieces are being
generated, `tokenization.dataset.windows` for parts of pieces. What a token does to time and chord is in
`TokenEffects` and `advance`, so the definitions hold for every encoding. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind

PARTS = 128
COUNTDOWN = 128
CHORD = 32
"""Values of `chord`; larger chords stay at the last."""
FIELDS = 5
"""Numbers that the network sees of a token: itself and its features."""


@dataclass(frozen=True, eq=False)
class TokenEffects:
    """What every id does to time and chords; columns of shape (ids,)."""

    ticks: NDArray[np.int64]
    """Ticks that it lets pass."""
    events: NDArray[np.int64]
    """Starts and ends of notes in it; of a unit those behind the last other thing."""
    breaks: NDArray[np.bool_]
    """Whether it holds anything besides notes, so that chords begin anew."""
    onsets: NDArray[np.int64]
    """Notes that start in it."""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> TokenEffects:
        ids = np.arange(vocabulary.learned_base)
        is_wait = (ids > vocabulary.wait_base) & (ids < vocabulary.start)
        is_note = ids < vocabulary.note_end
        onsets = np.zeros(len(ids), np.int64)
        onsets[: vocabulary.note_end] = np.repeat(vocabulary.row_velocity > 0, PITCHES)
        single = cls(np.where(is_wait, ids - vocabulary.wait_base, 0), is_note.astype(np.int64), ~is_note, onsets)
        return single._of_units(vocabulary) if vocabulary.learned else single

    def _of_units(self, vocabulary: Vocabulary) -> TokenEffects:
        spelling = vocabulary.expansion
        unit = np.repeat(np.arange(vocabulary.size), spelling.sizes)

        def total(column: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.bincount(unit, column, vocabulary.size).astype(np.int64)

        breaks = self.breaks[spelling.tokens]
        broken = np.cumsum(breaks)
        last = broken[spelling.first[1:] - 1]
        behind_last = broken == np.repeat(last, spelling.sizes)
        events = total(self.events[spelling.tokens] * behind_last)
        if vocabulary.learned.kind is LearnedKind.CHORD:
            events = np.maximum(events, np.arange(vocabulary.size) >= vocabulary.learned_base)  # silence, too
        return TokenEffects(
            total(self.ticks[spelling.tokens]),
            events,
            total(breaks.astype(np.int64)) > 0,
            total(self.onsets[spelling.tokens]),
        )

    @cached_property
    def code(self) -> NDArray[np.int32]:
        """Ticks, events and break of each id in one number, so that a token costs one look-up, shape (2^16,).

        Ids that the vocabulary does not have let no time pass and are in no chord.
        """
        code = np.zeros(2**16, np.int32)
        code[: len(self.ticks)] = self.ticks << TICKS_SHIFT | np.minimum(self.events, CHORD) << 1 | self.breaks
        return code


TICKS_SHIFT, EVENT_MASK = 8, 127
NEVER = 2**62


@dataclass(frozen=True)
class Features:
    """One value per token; arrays of the tokens' shape."""

    time: NDArray[np.int64]
    chord: NDArray[np.int64]
    part: NDArray[np.int64]
    countdown: NDArray[np.int64]


def features(tokens: Tokens, effects: TokenEffects, lengths: int | NDArray[np.int64] | None = None) -> Features:
    """Features of pieces from their first token on: of one, shape (n,), or of a batch, shape (batch, n).

    `lengths`: the tokens that each piece has in all, n unless given. Ids that the vocabulary does not have let no time
    pass.
    """
    rows = np.atleast_2d(np.ascontiguousarray(tokens, np.uint16))
    whole = np.broadcast_to(rows.shape[1] if lengths is None else lengths, len(rows)).astype(np.int64)
    out = np.empty((4, *rows.shape), np.int64)
    for index, row in enumerate(rows):
        _fill(row, whole[index], effects.code, out, index)
    return Features(*(column.reshape(np.shape(tokens)) for column in out))


class Stepper:
    """The same features for a batch of pieces that grow by one token at a time."""

    def __init__(self, lengths: NDArray[np.int64], effects: TokenEffects) -> None:
        """`lengths`: the tokens that each piece is planned to have, shape (batch,)."""
        self.effects = effects
        self.lengths = np.asarray(lengths, np.int64)
        self.position = -1
        self.state = np.zeros((2, len(lengths)), np.int64)
        """Time and chord of each piece."""

    def step(self, tokens: NDArray[np.integer]) -> Features:
        """Features of the next token of every piece, arrays of shape (batch,)."""
        self.position += 1
        out = np.empty((FIELDS, len(self.lengths)), np.int64)
        _step(np.asarray(tokens, np.int64), self.position, self.lengths, self.effects.code, self.state, out)
        return Features(*out[1:])


@compiled
def advance(code: np.int32, time: int, chord: int) -> tuple[int, int]:
    """Time and size of the chord once a token has been heard, from those before it and its `TokenEffects.code`."""
    return time + int(code >> TICKS_SHIFT), (chord & int(code & 1) - 1) + int(code >> 1 & EVENT_MASK)


@compiled
def _place(position: int, length: int) -> tuple[int, int]:
    """Part and countdown of a position in a piece of `length` tokens."""
    return min(position * PARTS // max(length, 1), PARTS - 1), min(max(length - 1 - position, 0), COUNTDOWN - 1)


@compiled
def _fill(row: Tokens, length: int, codes: NDArray[np.int32], out: NDArray[np.int64], index: int) -> None:
    """Row `index` of `out`, shape (4, rows, size)."""
    time = chord = until = part = 0  # until: where a part ends; divisions are for its beginning only
    for position in range(len(row)):
        time, chord = advance(codes[row[position]], time, chord)
        if position >= until:
            part, _ = _place(position, length)
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
        part, countdown = _place(position, lengths[row])
        out[0, row], out[1, row], out[2, row], out[3, row], out[4, row] = (
            token,
            state[0, row],
            min(state[1, row], CHORD - 1),
            part,
            countdown,
        )
