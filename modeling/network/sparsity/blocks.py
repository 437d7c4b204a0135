"""Block layouts composed of rules: DeepSpeed's `fixed`, `variable`, `bigbird` and `bslongformer`.

Sources: Child et al., 2019 (fixed); Zaheer et al., 2020 (BigBird); Beltagy et al., 2020 (Longformer); DeepSpeed's
classes of these names, in their unidirectional form. Two things differ, so that the keys of a block never depend on
what follows it: `fixed` has no special global blocks in an incomplete last window, and the random blocks of a row are a
function of the seed, the head and the row. Axes: h head, r row (query block), c column (key block).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modeling.network.sparsity.layouts import BlockLayout

COUNTED_ROWS = 256
"""Rows whose blocks are counted at a time, which bounds memory."""

Indices = NDArray[np.int64]
Kept = NDArray[np.bool_]


class Rule(Protocol):
    """A rule that keeps some blocks."""

    def kept(self, head: int, rows: Indices, columns: Indices) -> Kept:
        """Return the mask of kept pairs, shape (r, c), of rows (r, 1) and columns (1, c), before causality."""
        ...


@dataclass(frozen=True)
class Sliding:
    """The own block and the `before` blocks before it."""

    before: int

    def kept(self, head: int, rows: Indices, columns: Indices) -> Kept:
        return rows - columns <= self.before


@dataclass(frozen=True)
class LocalWindows:
    """Adjacent windows of these numbers of blocks, the last number repeated; a block keeps its own window."""

    blocks: tuple[int, ...]

    def kept(self, head: int, rows: Indices, columns: Indices) -> Kept:
        return self._start(rows) <= columns

    def _start(self, rows: Indices) -> Indices:
        """Return the first block of each row's window."""
        starts = np.array([0, *accumulate(self.blocks)])
        listed = starts[np.minimum(np.searchsorted(starts, rows, side="right"), len(starts)) - 1]
        repeated: Indices = rows - (rows - starts[-1]) % self.blocks[-1]
        return np.where(rows < starts[-1], listed, repeated)


@dataclass(frozen=True)
class Global:
    """Ranges of blocks that all later ones keep."""

    ranges: tuple[tuple[int, int], ...]

    def kept(self, head: int, rows: Indices, columns: Indices) -> Kept:
        inside = [(columns >= start) & (columns < stop) for start, stop in self.ranges]
        return np.broadcast_to(np.logical_or.reduce(inside, axis=0), np.broadcast_shapes(rows.shape, columns.shape))


@dataclass(frozen=True)
class Summaries:
    """`count` blocks of every window of `window` blocks, which all later ones keep.

    They are the last ones of a window, or, with several `patterns`, heads rotate through groups further from its end.
    """

    window: int
    count: int
    patterns: int = 1

    def kept(self, head: int, rows: Indices, columns: Indices) -> Kept:
        start = self.window - (1 + head % self.patterns) * self.count
        place = columns % self.window - start
        return np.broadcast_to((place >= 0) & (place < self.count), np.broadcast_shapes(rows.shape, columns.shape))


@dataclass(frozen=True)
class Blocks(BlockLayout):
    """The own block, the blocks that any of the rules keeps, and `random` more of the remaining earlier ones."""

    block: int
    rules: tuple[Rule, ...]
    random: int = 0
    seed: int = 0
    heads: int = 1

    def table(self, blocks: int) -> Tensor:
        return _table(self, blocks)

    def row(self, index: int) -> Tensor:
        return _row(self, index)

    def counts(self, blocks: int) -> Tensor:
        heads = []
        for head in range(self.heads):
            parts = []
            for first in range(0, blocks, COUNTED_ROWS):
                stop = min(first + COUNTED_ROWS, blocks)
                rows, columns = np.arange(first, stop)[:, None], np.arange(stop)[None]
                kept = self._by_rules(head, rows, columns).sum(1)
                parts.append(np.minimum(kept + self.random, rows[:, 0] + 1))
            heads.append(np.concatenate(parts))
        return torch.from_numpy(np.stack(heads))

    def rows(self, first: int, stop: int) -> Tensor:
        """Return rows `first` to `stop` (exclusive), shape (h, r, stop), bool."""
        rows, columns = np.arange(first, stop)[:, None], np.arange(stop)[None]
        return torch.from_numpy(np.stack([self._rows(head, rows, columns) for head in range(self.heads)]))

    def _rows(self, head: int, rows: Indices, columns: Indices) -> Kept:
        kept = self._by_rules(head, rows, columns)
        if self.random:
            kept |= _drawn(self.random, self.seed, head, rows, columns, ~kept & (columns < rows))
        return kept

    def _by_rules(self, head: int, rows: Indices, columns: Indices) -> Kept:
        wanted: Kept = np.logical_or.reduce([rows == columns, *(rule.kept(head, rows, columns) for rule in self.rules)])
        return wanted & (columns <= rows)


@lru_cache(maxsize=64)
def _table(layout: Blocks, blocks: int) -> Tensor:
    return layout.rows(0, blocks)


@lru_cache(maxsize=4096)
def _row(layout: Blocks, index: int) -> Tensor:
    return layout.rows(index, index + 1)[:, 0]


def _drawn(count: int, seed: int, head: int, rows: Indices, columns: Indices, free: Kept) -> Kept:
    """Draw `count` of each row's free blocks, or all if there are fewer: those with the smallest hashes."""
    drawn = np.zeros(free.shape, dtype=np.bool_)
    hashes = np.where(free, _hash(seed, head, rows, columns), np.iinfo(np.uint64).max)
    first = min(count, free.shape[1]) - 1
    np.put_along_axis(drawn, np.argpartition(hashes, first, axis=1)[:, : first + 1], True, axis=1)
    return drawn & free


def _hash(*numbers: int | Indices) -> NDArray[np.uint64]:
    """Hash numbers to 64 bits (the finaliser of SplitMix64; Steele et al., 2014)."""
    mixed = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        mixed = mixed + np.asarray(number).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
