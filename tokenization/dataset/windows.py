"""Windows: parts of pieces as the network sees them, each token with the features that it has in the whole piece.

The pieces stand one behind the other in one long array, which may be a file mapped into memory. A window from the
middle of a piece needs to know what was heard before it; `Marks` say so at regular places, so that it costs what its
own tokens cost, wherever it is. One call fills a batch, in machine code that holds no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS, TokenEffects, advance
from tokenization.vocabulary import PITCHES, Tokens

Number = TypeVar("Number", bound=np.generic)
MARK_EVERY = 256
"""Tokens between two marks."""
STEP_BITS = 48
"""Of a fraction: how far a position moves through a piece's parts."""
CHORD_BITS = 5
CHORD_MASK = 2**CHORD_BITS - 1
UNMARKED = np.zeros(0, np.int64)
"""Marks of tokens that have none: windows are then found by reading their pieces from the beginning."""
UNCHANGED = NO_TARGETS = np.zeros((0, 0), np.int32)
NO_DOCUMENTS = np.zeros((0, 0), np.int16)


class Inputs(NamedTuple):
    """What the network sees of windows, each array of shape (rows, size).

    No number is wider than its range asks for: what a batch costs is above all the memory that is written.
    """

    tokens: NDArray[np.int32]
    time: NDArray[np.int32]
    chord: NDArray[np.uint8]
    part: NDArray[np.uint8]
    countdown: NDArray[np.uint8]

    @classmethod
    def empty(cls, rows: int, size: int) -> Inputs:
        """Room for them, not yet filled."""
        wide, narrow = np.empty((2, rows, size), np.int32), np.empty((3, rows, size), np.uint8)
        return cls(*wide, *narrow)


class Parts(NamedTuple):
    """What is to be laid where: for each part an entry of every column, int64 arrays of shape (parts,)."""

    row: NDArray[np.int64]
    """The row that it comes to lie in; the parts of a row follow each other."""
    at: NDArray[np.int64]
    """Its first position there."""
    until: NDArray[np.int64]
    """The position behind its last one; those that it does not fill are padding."""
    first: NDArray[np.int64]
    """Where its piece begins in the array of tokens."""
    stop: NDArray[np.int64]
    """Where what is known of the piece ends there."""
    length: NDArray[np.int64]
    """Tokens that the piece has in all."""
    start: NDArray[np.int64]
    """First body token."""
    body: NDArray[np.int64]
    """Body tokens at most, the one that is only a target included."""
    document: NDArray[np.int64]
    """Number of the part in its row."""


def marks(tokens: Tokens, offsets: NDArray[np.int64], base: int, effects: TokenEffects) -> NDArray[np.int64]:
    """What was heard of its piece before every MARK_EVERY-th token.

    `offsets`: where pieces begin in `tokens`, and the end, shape (pieces + 1,). `base`: tokens that stand before these
    in the whole array; marks are at the multiples of MARK_EVERY there, and those of consecutive stretches follow
    each other.
    """
    first = -(-base // MARK_EVERY)
    out = np.zeros(max(-(-(base + len(tokens)) // MARK_EVERY) - first, 0), np.int64)
    _mark(_frozen(tokens), np.asarray(offsets, np.int64), base, effects.code, out)
    return out


def lay_out(
    tokens: Tokens,
    marks: NDArray[np.int64],
    parts: Parts,
    header: int,
    effects: TokenEffects,
    pad: int,
    inputs: Inputs,
    targets: NDArray[np.int32] = NO_TARGETS,
    ignored: int = 0,
    documents: NDArray[np.integer] = NO_DOCUMENTS,
    changes: NDArray[np.int32] = UNCHANGED,
) -> None:
    """Fill a batch with parts of pieces.

    A part is the first `header` tokens of its piece and the body tokens from `start` on. `inputs` get its tokens and
    their features; `targets`, shape (rows, size), the next token of the same part, `ignored` within the header;
    `documents`, shape (rows, size), the parts' numbers, as integers of any size. The last two may be left out. Padding
    holds `pad`, zeros, `ignored` and the number of the part before it. `changes`, shape (parts, rows of notes + 1), is
    added to ids by their row, its last column to all that are no notes.
    """
    _lay_out(
        _frozen(tokens), _frozen(marks), parts, changes, header, effects.code, pad, ignored, inputs, targets, documents
    )


def windows(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    lengths: Sequence[int],
    header: int,
    size: int,
    effects: TokenEffects,
    pad: int,
) -> Inputs:
    """What the network sees of parts of pieces, a row each.

    A window is the first `header` tokens of its piece and those from `header + start` on. Positions behind the piece
    hold `pad` and zeros. `lengths`: the tokens that each piece has in all, where it is not given whole.
    """
    tokens, parts = side_by_side(pieces, starts, lengths)
    inputs = Inputs.empty(len(pieces), size)
    whole = np.full(len(pieces), size)
    lay_out(tokens, UNMARKED, parts._replace(until=whole, body=whole), header, effects, pad, inputs)
    return inputs


def side_by_side(pieces: Sequence[Tokens], starts: Sequence[int], lengths: Sequence[int]) -> tuple[Tokens, Parts]:
    """Pieces as one array, and the part of each from a body token on, in a row of its own that is yet to get its
    `until` and `body`."""
    tokens = np.concatenate([np.zeros(0, np.uint16), *pieces]).astype(np.uint16, copy=False)
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    stop = np.cumsum(sizes)
    none = np.zeros(len(pieces), np.int64)
    whole, start = np.array(lengths, np.int64), np.array(starts, np.int64)
    return tokens, Parts(np.arange(len(pieces)), none, none, stop - sizes, stop, whole, start, none, none)


def _frozen(array: NDArray[Number]) -> NDArray[Number]:
    """A view that cannot be written: to compiled code it is of the same type as a file that is mapped to be read."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@compiled
def _mark(
    tokens: Tokens, offsets: NDArray[np.int64], base: int, codes: NDArray[np.int32], out: NDArray[np.int64]
) -> None:
    first = -(-base // MARK_EVERY)
    for piece in range(len(offsets) - 1):
        time = chord = 0
        for at in range(offsets[piece], offsets[piece + 1]):
            if (base + at) % MARK_EVERY == 0:
                out[(base + at) // MARK_EVERY - first] = time << CHORD_BITS | min(chord, CHORD - 1)
            time, chord = advance(codes[tokens[at]], time, chord)


@compiled
def _lay_out(
    tokens: Tokens,
    marks: NDArray[np.int64],
    parts: Parts,
    changes: NDArray[np.int32],
    header: int,
    codes: NDArray[np.int32],
    pad: int,
    ignored: int,
    inputs: Inputs,
    targets: NDArray[np.int32],
    documents: NDArray[np.integer],
) -> None:
    unchanged = np.zeros(0, np.int32)
    for index in range(len(parts.row)):
        row, at, until = parts.row[index], parts.at[index], parts.until[index]
        first, stop, length = parts.first[index], parts.stop[index], parts.length[index]
        change = changes[index] if len(changes) else unchanged
        body = first + header + parts.start[index]
        head = min(header, stop - first)
        known = head + max(min(stop - body, parts.body[index]), 0)
        shown = min(known, until - at)
        ahead = min(head, shown)
        ids, times, chords = inputs.tokens[row, at:until], inputs.time[row, at:until], inputs.chord[row, at:until]
        places, countdowns = inputs.part[row, at:until], inputs.countdown[row, at:until]

        _copy(tokens[first : first + ahead], change, ids[:ahead])
        _copy(tokens[body : body + shown - ahead], change, ids[ahead:shown])
        ids[shown:] = pad
        time, chord = _hear(ids[:ahead], codes, 0, 0, times[:ahead], chords[:ahead])
        if body > first + header and shown > head:
            time, chord = _before(tokens, marks, codes, first, body)
        _hear(ids[ahead:shown], codes, time, chord, times[ahead:shown], chords[ahead:shown])
        _locate(0, length, places[:ahead], countdowns[:ahead])
        _locate(body - first, length, places[ahead:shown], countdowns[ahead:shown])
        times[shown:], chords[shown:], places[shown:], countdowns[shown:] = 0, 0, 0, 0
        if len(documents):
            documents[row, at:until] = parts.document[index]
        if len(targets):
            target = targets[row, at:until]
            for i in range(shown - 1):
                target[i] = ids[i + 1]
            target[: min(header - 1, shown)] = ignored
            target[max(shown - 1, 0) :] = ignored
            if head <= shown < known:  # the row ends within the part: the last target is not among the inputs
                _copy(tokens[body + shown - head : body + shown - head + 1], change, target[shown - 1 : shown])


@compiled
def _before(
    tokens: Tokens, marks: NDArray[np.int64], codes: NDArray[np.int32], first: int, position: int
) -> tuple[int, int]:
    """Time and chord before a position, in the piece that begins at `first`."""
    time = chord = 0
    mark = position // MARK_EVERY
    if mark < len(marks) and mark * MARK_EVERY > first:
        time, chord = marks[mark] >> CHORD_BITS, marks[mark] & CHORD_MASK
        first = mark * MARK_EVERY
    for at in range(first, position):
        time, chord = advance(codes[tokens[at]], time, chord)
    return time, chord


@compiled
def _copy(tokens: Tokens, change: NDArray[np.int32], out: NDArray[np.integer]) -> None:
    """Ids, those of notes moved as their row is."""
    if len(change):
        last = np.uint32(len(change) - 1)
        for i in range(len(out)):
            out[i] = tokens[i] + change[min(np.uint32(tokens[i]) // np.uint32(PITCHES), last)]
    else:
        for i in range(len(out)):
            out[i] = tokens[i]


@compiled
def _hear(
    ids: NDArray[np.int32],
    codes: NDArray[np.int32],
    time: int,
    chord: int,
    times: NDArray[np.int32],
    chords: NDArray[np.uint8],
) -> tuple[int, int]:
    """Time and chord of tokens that follow each other, from those before them; returns the last ones."""
    for i in range(len(ids)):
        time, chord = advance(codes[np.uint16(ids[i])], time, chord)
        times[i], chords[i] = time, min(chord, CHORD - 1)
    return time, chord


@compiled
def _locate(position: int, length: int, parts: NDArray[np.uint8], countdowns: NDArray[np.uint8]) -> None:
    """Part and countdown of tokens that follow each other, the first one at `position`."""
    count = len(parts)
    # position · PARTS // length without a division for each: in pieces of up to 2^24 tokens, what the step is too large
    # by stays below 1 / length, so that no quotient reaches the next whole number.
    step = (PARTS << STEP_BITS) // max(length, 1) + 1
    inside, first = min(max(length - position, 0), count), position * step
    for i in range(inside):
        parts[i] = first + i * step >> STEP_BITS
    parts[inside:] = PARTS - 1
    last = length - 1 - position
    far = min(max(last - (COUNTDOWN - 2), 0), count)  # tokens at which it still waits
    countdowns[:far] = COUNTDOWN - 1
    for i in range(far, count):
        countdowns[i] = max(last - i, 0)
