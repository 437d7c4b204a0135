"""The sampler: the windows and rows of an epoch, a pure function of (sizes, seed, epoch).

A row is one window or, packed, as many short ones as fit. Every epoch has the same number of rows, so that a batch's
number determines its epoch and its place in it, and reading can start anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from modeling.data.packing import best_fit
from tokenization.encodings import HEADER

SHIFT_STREAM, ORDER_STREAM, STYLE_STREAM, VARIANT_STREAM, INSTRUMENT_STREAM = range(5)
"""Independent random streams drawn from one seed."""


@dataclass(frozen=True)
class EpochWindows:
    """The windows of one epoch: piece index and first body token of each, shape (windows,)."""

    piece: NDArray[np.int64]
    start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.piece)


def epoch_windows(sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> EpochWindows:
    """Draw windows of `body` tokens that together cover every piece, shuffled.

    Their number is the same in every epoch. A piece's first window is at its beginning, the last one at its end; those
    between are contiguous, with a common offset that is drawn anew each epoch.
    """
    spare = np.maximum(sizes - HEADER - body, 0)
    gaps = -(-spare // body)
    piece, index = _numbered(1 + gaps)
    # The second window starts at the latest where the first one ends, and late enough for the last to reach the end.
    earliest = spare - np.maximum(gaps - 1, 0) * body
    second = np.random.default_rng([seed, epoch, SHIFT_STREAM]).integers(earliest, body, endpoint=True)
    start = np.where(index == 0, 0, np.minimum(second[piece] + (index - 1) * body, spare[piece]))
    order = np.random.default_rng([seed, epoch, ORDER_STREAM]).permutation(len(piece))
    return EpochWindows(piece[order], start[order])


@dataclass(frozen=True)
class EpochRows:
    """The rows of one epoch, each one or more windows."""

    windows: EpochWindows
    """All windows, row by row."""
    count: NDArray[np.int64]
    """Most body tokens of each window, shape (windows,)."""
    first: NDArray[np.int64]
    """Index of each row's first window, and the number of windows, shape (rows + 1,)."""

    def __len__(self) -> int:
        return len(self.first) - 1

    def windows_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the windows of rows: their indices, the index in `rows` of each one's row, its place in that row."""
        row, place = _numbered(self.first[rows + 1] - self.first[rows])
        return self.first[rows[row]] + place, row, place


@dataclass(frozen=True)
class EpochSampler:
    """Pieces of these sizes as rows of windows of up to `body` tokens."""

    sizes: NDArray[np.int64]
    """Tokens of each piece, shape (pieces,)."""
    body: int
    seed: int
    pack: bool
    """True to let several windows share a row. Every token is then a target exactly once in an epoch: a piece is cut
    into full windows and one shorter one, whose place is drawn anew each epoch. Window lengths, and with them the
    number of rows, are the same in every epoch."""
    copies: NDArray[np.int64] | int = 1
    """How often each piece stands in an epoch, each time cut anew."""

    def epoch(self, number: int) -> EpochRows:
        """Return the rows of an epoch, shuffled."""
        rows = self._packed(number) if self.pack else self._alone(number)
        return replace(rows, windows=replace(rows.windows, piece=self._pieces[rows.windows.piece]))

    def _alone(self, number: int) -> EpochRows:
        windows = epoch_windows(self.sizes[self._pieces], self.body, self.seed, number)
        return EpochRows(windows, np.full(len(windows), self.body), np.arange(len(windows) + 1))

    @cached_property
    def _pieces(self) -> NDArray[np.int64]:
        """The pieces of an epoch, one after another."""
        return np.repeat(np.arange(len(self.sizes)), self.copies)

    @cached_property
    def _cut(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the full windows and the tokens of the shorter one, by piece; empty pieces have a shorter one."""
        music = np.maximum(self.sizes[self._pieces] - HEADER, 1)
        return music // self.body, music % self.body

    @cached_property
    def _packing(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the order in which shorter windows, longest first, fill the rows, and the windows of each row."""
        _, rest = self._cut
        sizes = HEADER - 1 + np.sort(rest[rest > 0])[::-1]
        row = best_fit(sizes, HEADER - 1 + self.body)
        return np.argsort(row, kind="stable"), np.bincount(row)

    def _packed(self, number: int) -> EpochRows:
        full, rest = self._cut
        random = np.random.default_rng([self.seed, number, SHIFT_STREAM])
        shorter = random.integers(0, full, endpoint=True)
        piece, index = _numbered(full + (rest > 0))
        shorter[rest == 0] = -1
        is_shorter = index == shorter[piece]
        behind = (index > shorter[piece]) & (rest[piece] > 0)
        start = index * self.body - np.where(behind, self.body - rest[piece], 0)
        count = np.where(is_shorter, rest[piece], self.body)

        # Windows of one length are permuted among the places that the packing has for that length.
        found = random.permutation(np.flatnonzero(is_shorter))
        slots, sizes = self._packing
        found = found[np.argsort(-count[found], kind="stable")][slots]
        alone = np.flatnonzero(~is_shorter)
        window = np.concatenate([alone, found])
        sizes = np.concatenate([np.ones(len(alone), np.int64), sizes])
        rows = EpochRows(EpochWindows(piece, start), count, np.concatenate([[0], np.cumsum(sizes)]))
        order = np.random.default_rng([self.seed, number, ORDER_STREAM]).permutation(len(rows))
        chosen = window[rows.windows_of(order)[0]]
        first = np.concatenate([[0], np.cumsum(sizes[order])])
        return EpochRows(EpochWindows(piece[chosen], start[chosen]), count[chosen], first)


def _numbered(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Enumerate `counts[i]` entries of each item i: return their items, and their numbers within the item."""
    item = np.repeat(np.arange(len(counts)), counts)
    return item, np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
