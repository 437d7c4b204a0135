"""The order in which a split is read: which windows form the rows of an epoch, a pure function of (sizes, seed, epoch).

A row is one window, or, packed, as many short ones as fit. The number of rows is the same in every epoch, so that
the number of a batch says where it stands in training, and a reader can begin anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings import HEADER

SHIFT_STREAM, ORDER_STREAM, STYLE_STREAM, VARIANT_STREAM, INSTRUMENT_STREAM = range(5)
"""Independent random streams drawn from one seed."""


@dataclass(frozen=True)
class Windows:
    """The windows of one epoch: piece index and first body token of each, arrays of shape (n,)."""

    piece: NDArray[np.int64]
    start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.piece)


def epoch_windows(sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> Windows:
    """Windows of `body` tokens that together cover every piece, shuffled.

    Their number is the same in every epoch. A piece's first window is at its beginning, the last one at its
    end; those between follow each other without a gap, moved together by another shift each epoch.
    """
    spare = np.maximum(sizes - HEADER - body, 0)
    gaps = -(-spare // body)
    piece, index = _numbered(1 + gaps)
    # The second window starts where the first one ends at the latest, and late enough for the last to reach the end.
    earliest = spare - np.maximum(gaps - 1, 0) * body
    second = np.random.default_rng([seed, epoch, SHIFT_STREAM]).integers(earliest, body, endpoint=True)
    start = np.where(index == 0, 0, np.minimum(second[piece] + (index - 1) * body, spare[piece]))
    order = np.random.default_rng([seed, epoch, ORDER_STREAM]).permutation(len(piece))
    return Windows(piece[order], start[order])


@dataclass(frozen=True)
class Rows:
    """The rows of one epoch, each one or more windows."""

    windows: Windows
    """Row by row."""
    count: NDArray[np.int64]
    """Body tokens of each window at most."""
    first: NDArray[np.int64]
    """The number of each row's first window, and of all windows, shape (rows + 1,)."""

    def __len__(self) -> int:
        return len(self.first) - 1

    def windows_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The windows of some rows: their numbers, the places of their rows in `rows`, and their places in these."""
        row, place = _numbered(self.first[rows + 1] - self.first[rows])
        return self.first[rows[row]] + place, row, place


@dataclass(frozen=True)
class Order:
    """How pieces of these sizes become rows of windows of up to `body` tokens."""

    sizes: NDArray[np.int64]
    body: int
    seed: int
    pack: bool
    """Whether several windows may share a row. Then every token is a target exactly once in an epoch: a piece is cut
    into full windows and one shorter one, and which of them is the shorter one changes with the epoch. So the lengths
    are the same in every epoch, and with them the number of rows."""

    def epoch(self, number: int) -> Rows:
        if self.pack:
            return self._packed(number)
        windows = epoch_windows(self.sizes, self.body, self.seed, number)
        return Rows(windows, np.full(len(windows), self.body), np.arange(len(windows) + 1))

    @cached_property
    def _cut(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Full windows of each piece and the body tokens of the shorter one; a piece without music has one, too."""
        music = np.maximum(self.sizes - HEADER, 1)
        return music // self.body, music % self.body

    @cached_property
    def _packing(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of the shorter windows, from the longest on: in which order they fill the rows, and how many each row has."""
        _, rest = self._cut
        needs = HEADER - 1 + np.sort(rest[rest > 0])[::-1]
        row = best_fit(needs, HEADER - 1 + self.body)
        return np.argsort(row, kind="stable"), np.bincount(row)

    def _packed(self, number: int) -> Rows:
        full, rest = self._cut
        random = np.random.default_rng([self.seed, number, SHIFT_STREAM])
        shorter = random.integers(0, full, endpoint=True)
        piece, index = _numbered(full + (rest > 0))
        shorter[rest == 0] = -1
        is_shorter = index == shorter[piece]
        behind = (index > shorter[piece]) & (rest[piece] > 0)
        start = index * self.body - np.where(behind, self.body - rest[piece], 0)
        count = np.where(is_shorter, rest[piece], self.body)

        # Windows of one length take turns in the places that the packing has for that length.
        found = random.permutation(np.flatnonzero(is_shorter))
        slots, sizes = self._packing
        found = found[np.argsort(-count[found], kind="stable")][slots]
        alone = np.flatnonzero(~is_shorter)
        window = np.concatenate([alone, found])
        sizes = np.concatenate([np.ones(len(alone), np.int64), sizes])
        rows = Rows(Windows(piece, start), count, np.concatenate([[0], np.cumsum(sizes)]))
        order = np.random.default_rng([self.seed, number, ORDER_STREAM]).permutation(len(rows))
        chosen = window[rows.windows_of(order)[0]]
        first = np.concatenate([[0], np.cumsum(sizes[order])])
        return Rows(Windows(piece[chosen], start[chosen]), count[chosen], first)


def best_fit(needs: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """Which row each of these takes, from the largest on: the one with the least room that is enough, or a new one.

    `needs`: descending, none above `room`. Best-fit decreasing never needs more than 11/9 of the fewest rows, and one
    (Johnson, 1973); with pieces of many lengths next to nothing stays empty. Source for windows of tokens: Ding et
    al., 2024, "Fewer Truncations Improve Language Modeling".
    """
    rows = np.empty(len(needs), np.int64)
    _best_fit(np.ascontiguousarray(needs, np.int64), room, rows)
    return rows


def _numbered(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """So many entries for each item: the items' numbers and the entries' numbers within their items."""
    item = np.repeat(np.arange(len(counts)), counts)
    return item, np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)


@compiled
def _best_fit(needs: NDArray[np.int64], room: int, rows: NDArray[np.int64]) -> None:
    leaves = 1
    while leaves <= room:
        leaves *= 2
    # A tree over the rooms that rows have left: how many rows are below each node, 1 the root. The rows of a leaf
    # are a list, the newest first.
    below = np.zeros(2 * leaves, np.int64)
    newest = np.full(room + 1, -1)
    older = np.full(len(needs), -1)
    opened = 0
    for item in range(len(needs)):
        need = needs[item]
        node = leaves + need
        if not below[node]:  # up to where a larger room is beside the path, and down to its least
            while node > 1 and (node % 2 or not below[node + 1]):
                node //= 2
            node = node + 1 if node > 1 else 0
            while 0 < node < leaves:
                node = 2 * node if below[2 * node] else 2 * node + 1
        if node:
            left = node - leaves
            row = newest[left]
            newest[left] = older[row]
            while node:
                below[node] -= 1
                node //= 2
        else:
            left, row = room, opened
            opened += 1
        rows[item] = row
        left -= need
        older[row], newest[left] = newest[left], row
        node = leaves + left
        while node:
            below[node] += 1
            node //= 2
