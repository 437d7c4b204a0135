"""Windows: parts of pieces as the network sees them, each token with the features that it has in the whole piece.

The pieces are concatenated in one array, which may be a memory-mapped file. The features of a window from the middle
of a piece depend on all tokens before it; marks record that state at regular intervals, so that a window costs as much
as its own tokens, wherever it begins. One call fills a batch, in compiled code that releases the GIL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS, TokenEffects, advance
from tokenization.encodings.texture import LEAD, Memory, Rules, describe, forget, hear, new_memory
from tokenization.vocabulary import PITCHES, Tokens

Number = TypeVar("Number", bound=np.generic)
MARK_EVERY = 256
"""Tokens between two marks."""
STEP_BITS = 48
"""Fraction bits of the fixed-point step from one position to the next in units of a piece's parts."""
CHORD_BITS = 5
CHORD_MASK = 2**CHORD_BITS - 1
UNMARKED = np.zeros(0, np.int64)
"""The marks of tokens that have none: state is then computed from the beginning of a piece."""
UNCHANGED = NO_TARGETS = np.zeros((0, 0), np.int32)
NO_DOCUMENTS = np.zeros((0, 0), np.int16)


class Inputs(NamedTuple):
    """The network's inputs for windows, each array of shape (rows, size).

    Types are as narrow as their ranges allow, since the cost of a batch is dominated by the memory written.
    """

    tokens: NDArray[np.int32]
    time: NDArray[np.int32]
    chord: NDArray[np.uint8]
    part: NDArray[np.uint8]
    countdown: NDArray[np.uint8]

    @classmethod
    def empty(cls, rows: int, size: int) -> Inputs:
        """Allocate them without filling them."""
        wide, narrow = np.empty((2, rows, size), np.int32), np.empty((3, rows, size), np.uint8)
        return cls(*wide, *narrow)


class Parts(NamedTuple):
    """The layout of a batch: one entry per part of a piece in every column, int64 arrays of shape (parts,)."""

    row: NDArray[np.int64]
    """The row of the batch; the parts of a row are consecutive."""
    at: NDArray[np.int64]
    """First position in the row."""
    until: NDArray[np.int64]
    """Position after the last one in the row; positions that the part does not fill are padding."""
    first: NDArray[np.int64]
    """Index of the piece's first token in the array of tokens."""
    stop: NDArray[np.int64]
    """Index after the piece's last available token there."""
    length: NDArray[np.int64]
    """Tokens of the whole piece."""
    start: NDArray[np.int64]
    """First body token."""
    body: NDArray[np.int64]
    """Most body tokens, including the last target."""
    document: NDArray[np.int64]
    """Number of the part in its row."""


def marks(tokens: Tokens, offsets: NDArray[np.int64], base: int, effects: TokenEffects) -> NDArray[np.int64]:
    """Record the state of its piece (time and chord) before every MARK_EVERY-th token.

    `offsets`: beginnings of the pieces in `tokens`, and the end, shape (pieces + 1,). `base`: tokens before these
    in the whole array; marks are at its multiples of MARK_EVERY, and those of consecutive sections can be concatenated.
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


def lay_out_texture(
    tokens: Tokens,
    parts: Parts,
    header: int,
    rules: Rules,
    out: NDArray[np.int64],
    changes: NDArray[np.int32] = UNCHANGED,
) -> None:
    """Fill `out`, shape (rows, size, texture.FIELDS), with the texture of parts of pieces; padding gets zeros.

    What came before a part is known from the LEAD tokens before it. Other arguments: see `lay_out`.
    """
    _lay_out_texture(_frozen(tokens), parts, changes, header, rules, new_memory(1), out)


def windows(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    lengths: Sequence[int],
    header: int,
    size: int,
    effects: TokenEffects,
    pad: int,
) -> Inputs:
    """Return the network's inputs for parts of pieces, one row each.

    A window is the first `header` tokens of its piece and those from `header + start` on. Positions after the piece
    hold `pad` and zeros. `lengths`: tokens of each whole piece, of which `pieces` may give only the beginning.
    """
    tokens, parts = side_by_side(pieces, starts, lengths)
    inputs = Inputs.empty(len(pieces), size)
    whole = np.full(len(pieces), size)
    lay_out(tokens, UNMARKED, parts._replace(until=whole, body=whole), header, effects, pad, inputs)
    return inputs


def side_by_side(pieces: Sequence[Tokens], starts: Sequence[int], lengths: Sequence[int]) -> tuple[Tokens, Parts]:
    """Concatenate pieces, and lay out the part of each from a body token on in a row of its own.

    `until` and `body` of the parts are zeros, to be replaced.
    """
    tokens = np.concatenate([np.zeros(0, np.uint16), *pieces]).astype(np.uint16, copy=False)
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    stop = np.cumsum(sizes)
    none = np.zeros(len(pieces), np.int64)
    whole, start = np.array(lengths, np.int64), np.array(starts, np.int64)
    return tokens, Parts(np.arange(len(pieces)), none, none, stop - sizes, stop, whole, start, none, none)


def _frozen(array: NDArray[Number]) -> NDArray[Number]:
    """Return a read-only view, which has the same type for compiled code as a file mapped for reading."""
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
        time, chord = _advance(ids[:ahead], codes, 0, 0, times[:ahead], chords[:ahead])
        if body > first + header and shown > head:
            time, chord = _before(tokens, marks, codes, first, body)
        _advance(ids[ahead:shown], codes, time, chord, times[ahead:shown], chords[ahead:shown])
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
def _lay_out_texture(
    tokens: Tokens,
    parts: Parts,
    changes: NDArray[np.int32],
    header: int,
    rules: Rules,
    memory: Memory,
    out: NDArray[np.int64],
) -> None:
    unchanged = np.zeros(0, np.int32)
    for index in range(len(parts.row)):
        first, stop = parts.first[index], parts.stop[index]
        change = changes[index] if len(changes) else unchanged
        body = first + header + parts.start[index]
        head = min(header, stop - first)
        known = head + max(min(stop - body, parts.body[index]), 0)
        rows = out[parts.row[index], parts.at[index] : parts.until[index]]
        shown = min(known, len(rows))
        rows[:head], rows[shown:] = 0, 0
        lead = min(LEAD, body - first)
        ids = np.empty(lead + max(shown - head, 0), np.int64)
        _copy(tokens[body - lead : body - lead + len(ids)], change, ids)
        forget(memory, 0)
        for i in range(len(ids)):
            hear(ids[i], rules, memory, 0)
            if i >= lead:
                describe(rules, memory, 0, rows[head + i - lead])


@compiled
def _before(
    tokens: Tokens, marks: NDArray[np.int64], codes: NDArray[np.int32], first: int, position: int
) -> tuple[int, int]:
    """Return time and chord before a position, in the piece that begins at `first`."""
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
    """Copy ids, adding the change of their vocabulary row."""
    if len(change):
        last = np.uint32(len(change) - 1)
        for i in range(len(out)):
            out[i] = tokens[i] + change[min(np.uint32(tokens[i]) // np.uint32(PITCHES), last)]
    else:
        for i in range(len(out)):
            out[i] = tokens[i]


@compiled
def _advance(
    ids: NDArray[np.int32],
    codes: NDArray[np.int32],
    time: int,
    chord: int,
    times: NDArray[np.int32],
    chords: NDArray[np.uint8],
) -> tuple[int, int]:
    """Compute time and chord of consecutive tokens, from those before them; returns the last ones."""
    for i in range(len(ids)):
        time, chord = advance(codes[np.uint16(ids[i])], time, chord)
        times[i], chords[i] = time, min(chord, CHORD - 1)
    return time, chord


@compiled
def _locate(position: int, length: int, parts: NDArray[np.uint8], countdowns: NDArray[np.uint8]) -> None:
    """Compute part and countdown of consecutive tokens, the first one at `position`."""
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
