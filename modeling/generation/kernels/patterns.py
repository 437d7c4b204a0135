"""Layouts as compiled attention reads them: for every layer and head, ranges of keys.

The keys of a position depend on its block alone, but for those of its own block behind it, or lie at a fixed stride. So
a pattern is a list of ranges for each block; the ranges of `column` layouts are one, and all from the position's own
place in its stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modeling.network.sparsity import BlockLayout, Column, Halves, Layout
from tokenization.compiled import compiled

Indices = NDArray[np.int64]


class Patterns(NamedTuple):
    """The keys that each head of each layer sees."""

    of_head: Indices
    """The pattern of each head, shape (layers, heads)."""
    block: Indices
    """Positions in a block of each pattern."""
    stride: Indices
    """Distance between keys of each pattern."""
    first_block: Indices
    """Index in `first_range` of the first block of each pattern."""
    first_range: Indices
    """Index of the first range of each block of all patterns; one more behind the last."""
    ranges: Indices
    """First and last (exclusive) key of each range, shape (ranges, 2). Keys behind the position are to be left out."""


def layout_patterns(layouts: Sequence[Layout], heads: int, context: int) -> Patterns:
    """Return the patterns of the layers' layouts for positions below `context`."""
    numbers: dict[tuple[Layout, int], int] = {}
    of_head = [[numbers.setdefault(key, len(numbers)) for key in _by_head(layout, heads)] for layout in layouts]
    blocks, strides, first_blocks, first_ranges = [], [], [], [0]
    ranges: list[Indices] = []
    seen: dict[Layout, list[NDArray[np.bool_]]] = {}
    for layout, head in numbers:
        first_blocks.append(len(first_ranges) - 1)
        strides.append(layout.stride if isinstance(layout, Column) else 1)
        block = layout.block if isinstance(layout, BlockLayout) else context
        blocks.append(block)
        if layout not in seen:
            seen[layout] = [_mask(layout, stop - 1) for stop in range(block, context + block, block)]
        for mask in seen[layout]:
            found = _runs(mask[head]) if strides[-1] == 1 else np.array([[0, context]])
            ranges.append(found)
            first_ranges.append(first_ranges[-1] + len(found))
    columns = (of_head, blocks, strides, first_blocks, first_ranges, np.concatenate(ranges))
    return Patterns(*(np.array(column, np.int64) for column in columns))


def _by_head(layout: Layout, heads: int) -> list[tuple[Layout, int]]:
    """Return for each head the layout of one kind that it follows, and its number among that one's patterns."""
    if isinstance(layout, Halves):
        return [*_by_head(layout.first, heads // 2), *_by_head(layout.second, heads // 2)]
    return [(layout, head if layout.heads > 1 else 0) for head in range(heads)]


def _mask(layout: Layout, position: int) -> NDArray[np.bool_]:
    """Return the keys of a position as a mask, shape (heads of the layout, position + 1)."""
    keys = layout.keys(position)
    if isinstance(keys, Tensor):
        return keys.numpy()
    mask = np.zeros((1, position + 1), np.bool_)
    mask[:, keys] = True
    return mask


def _runs(mask: NDArray[np.bool_]) -> Indices:
    """Return begin and end of each run of True, shape (runs, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    return edges.reshape(-1, 2)


@compiled
def list_keys(patterns: Patterns, layer: int, head: int, position: int, out: Indices) -> int:
    """Write begin and end of the ranges that a head sees from a position to `out`, shape (ranges, 2).

    Returns their number. The last range ends with the position itself.
    """
    pattern = patterns.of_head[layer, head]
    block = patterns.first_block[pattern] + position // patterns.block[pattern]
    begin = position % patterns.stride[pattern] if patterns.stride[pattern] > 1 else 0
    count = 0
    for index in range(patterns.first_range[block], patterns.first_range[block + 1]):
        out[count, 0] = max(patterns.ranges[index, 0], begin)
        out[count, 1] = min(patterns.ranges[index, 1], position + 1)
        count += 1
    return count
