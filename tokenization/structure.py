"""Structure features: what MuseNet's extra embeddings see, derived from the tokens alone.

time       ticks since the start once the token has been heard; notes that sound together share it
chord      how many notes have started or ended since the last token that is something else, a wait above all; this
           token's included
part       in which of the piece's 128 parts the token lies, 0–127, by its position
countdown  127 … 0: tokens that remain until the last one, 127 while there are more

`features` computes them for whole pieces, one or a batch, `windows` for parts of pieces, `Stepper` one token at a
time while pieces are being generated. All follow from two functions, `_heard` and `_place`. What a token does to
time and chord is in `TokenMeaning`, so the definitions hold for every encoding. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.units import UnitKind
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary

PARTS = 128
COUNTDOWN = 128
CHORD = 32
"""Values of `chord`; larger chords stay at the last."""
FIELDS = 5
"""Numbers that the network sees of a token: itself and its features."""


@dataclass(frozen=True, eq=False)
class TokenMeaning:
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
    def of(cls, vocabulary: Vocabulary) -> TokenMeaning:
        ids = np.arange(vocabulary.unit_base)
        is_wait = (ids > vocabulary.wait_base) & (ids < vocabulary.start)
        is_note = ids < vocabulary.note_end
        onsets = np.zeros(len(ids), np.int64)
        onsets[: vocabulary.note_end] = np.repeat(vocabulary.row_velocity > 0, PITCHES)
        single = cls(np.where(is_wait, ids - vocabulary.wait_base, 0), is_note.astype(np.int64), ~is_note, onsets)
        return single._of_units(vocabulary) if vocabulary.units else single

    def _of_units(self, vocabulary: Vocabulary) -> TokenMeaning:
        spelling = vocabulary.spelling
        unit = np.repeat(np.arange(vocabulary.size), spelling.sizes)

        def total(column: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.bincount(unit, column, vocabulary.size).astype(np.int64)

        breaks = self.breaks[spelling.tokens]
        broken = np.cumsum(breaks)
        last = broken[spelling.first[1:] - 1]
        behind_last = broken == np.repeat(last, spelling.sizes)
        events = total(self.events[spelling.tokens] * behind_last)
        if vocabulary.units.kind is UnitKind.CHORD:
            events = np.maximum(events, np.arange(vocabulary.size) >= vocabulary.unit_base)  # silence, too
        return TokenMeaning(
            total(self.ticks[spelling.tokens]),
            events,
            total(breaks.astype(np.int64)) > 0,
            total(self.onsets[spelling.tokens]),
        )

    @cached_property
    def code(self) -> NDArray[np.int64]:
        """Ticks, events and break of each id in one number, so that a token costs one look-up, shape (ids,)."""
        return self.ticks << TICKS_SHIFT | np.minimum(self.events, CHORD) << 1 | self.breaks


TICKS_SHIFT, EVENT_MASK = 8, 127
NEVER = 2**62


@dataclass(frozen=True)
class Features:
    """One value per token; arrays of the tokens' shape."""

    time: NDArray[np.int64]
    chord: NDArray[np.int64]
    part: NDArray[np.int64]
    countdown: NDArray[np.int64]


def features(tokens: Tokens, meaning: TokenMeaning, lengths: int | NDArray[np.int64] | None = None) -> Features:
    """Features of pieces from their first token on: of one, shape (n,), or of a batch, shape (batch, n).

    `lengths`: the tokens that each piece has in all, n unless given. Ids that the vocabulary does not have let no time
    pass.
    """
    rows = np.atleast_2d(np.ascontiguousarray(tokens, np.uint16))
    whole = np.broadcast_to(rows.shape[1] if lengths is None else lengths, len(rows)).astype(np.int64)
    out = np.empty((FIELDS, *rows.shape), np.int64)
    for index, row in enumerate(rows):
        _fill(row, whole[index], 0, 0, 0, meaning.code, out, index)
    return Features(*(column.reshape(np.shape(tokens)) for column in out[1:]))


def windows(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    lengths: Sequence[int],
    header: int,
    size: int,
    meaning: TokenMeaning,
    pad: int,
) -> NDArray[np.int64]:
    """What the network sees of parts of pieces: token, time, chord, part, countdown, shape (FIELDS, pieces, size).

    A window is the first `header` tokens of its piece and those from `header + start` on. Positions behind the piece
    hold `pad` and zeros. `lengths`: the tokens that each piece has in all, where it is not given whole.
    """
    out = np.empty((FIELDS, len(pieces), size), np.int64)
    for index, (tokens, start, length) in enumerate(zip(pieces, starts, lengths)):
        row = np.ascontiguousarray(tokens, np.uint16)
        _fill(row if row.flags.writeable else row.copy(), length, header, start, pad, meaning.code, out, index)
    return out


class Stepper:
    """The same features for a batch of pieces that grow by one token at a time."""

    def __init__(self, lengths: NDArray[np.int64], meaning: TokenMeaning) -> None:
        """`lengths`: the tokens that each piece is planned to have, shape (batch,)."""
        self.meaning = meaning
        self.lengths = np.asarray(lengths, np.int64)
        self.position = -1
        self.state = np.zeros((2, len(lengths)), np.int64)
        """Time and chord of each piece."""

    def step(self, tokens: NDArray[np.integer]) -> Features:
        """Features of the next token of every piece, arrays of shape (batch,)."""
        self.position += 1
        out = np.empty((FIELDS, len(self.lengths)), np.int64)
        _step(np.asarray(tokens, np.int64), self.position, self.lengths, self.meaning.code, self.state, out)
        return Features(*out[1:])


@compiled
def _heard(code: np.int64, time: int, chord: int) -> tuple[int, int]:
    """Time and chord once a token has been heard, from those before it."""
    events = int(code >> 1 & EVENT_MASK)
    return time + int(code >> TICKS_SHIFT), min(events if code & 1 else chord + events, CHORD - 1)


@compiled
def _place(position: int, length: int) -> tuple[int, int]:
    """Part and countdown of a position in a piece of `length` tokens."""
    return min(position * PARTS // max(length, 1), PARTS - 1), min(max(length - 1 - position, 0), COUNTDOWN - 1)


@compiled
def _fill(
    tokens: Tokens,
    length: int,
    header: int,
    start: int,
    pad: int,
    codes: NDArray[np.int64],
    out: NDArray[np.int64],
    index: int,
) -> None:
    """Row `index` of `out`, shape (FIELDS, rows, size): the first `header` tokens, then those from header + start."""
    size, ids = out.shape[2], len(codes)
    time = chord = at = 0
    until = part = 0  # where a part ends: divisions are for its beginnings only
    for position in range(min(len(tokens), header + start + size - min(header, size))):
        token = tokens[position]
        if token < ids:
            time, chord = _heard(codes[token], time, chord)
        if header <= position < header + start or at >= size:
            continue
        if position >= until:
            part, _ = _place(position, length)
            until = -(-(part + 1) * length // PARTS) if part < PARTS - 1 else NEVER
        out[0, index, at], out[1, index, at], out[2, index, at], out[3, index, at] = token, time, chord, part
        out[4, index, at] = min(max(length - 1 - position, 0), COUNTDOWN - 1)
        at += 1
    for behind in range(at, size):
        out[0, index, behind] = pad
        out[1, index, behind] = out[2, index, behind] = out[3, index, behind] = out[4, index, behind] = 0


@compiled
def _step(
    tokens: NDArray[np.int64],
    position: int,
    lengths: NDArray[np.int64],
    codes: NDArray[np.int64],
    state: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    for row in range(len(tokens)):
        token = tokens[row]
        if token < len(codes):
            state[0, row], state[1, row] = _heard(codes[token], int(state[0, row]), int(state[1, row]))
        part, countdown = _place(position, lengths[row])
        out[0, row], out[1, row], out[2, row], out[3, row], out[4, row] = (
            token,
            state[0, row],
            state[1, row],
            part,
            countdown,
        )
