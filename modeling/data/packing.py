"""Bin packing of short windows into rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled


def best_fit(sizes: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """Assign items to rows by best-fit decreasing; return the row of each, shape (items,).

    Each item goes to the row with the least free space that is enough, or to a new one. `sizes`: descending, none above
    `capacity`. Best-fit decreasing needs at most 11/9 of the optimal number of rows, plus one (Johnson, 1973); with
    pieces of many lengths almost no space stays empty. Source for windows of tokens: Ding et al., 2024, "Fewer
    Truncations Improve Language Modeling".
    """
    rows = np.empty(len(sizes), np.int64)
    _best_fit(np.ascontiguousarray(sizes, np.int64), capacity, rows)
    return rows


@compiled
def _best_fit(sizes: NDArray[np.int64], capacity: int, rows: NDArray[np.int64]) -> None:
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    # A tree over the free space of rows: the number of rows below each node, 1 being the root. The rows of a leaf are
    # a linked list, newest first.
    below = np.zeros(2 * leaves, np.int64)
    newest = np.full(capacity + 1, -1)
    older = np.full(len(sizes), -1)
    opened = 0
    for item in range(len(sizes)):
        size = sizes[item]
        node = leaves + size
        if not below[node]:  # ascend until a sibling to the right has rows, then descend to its smallest leaf
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
            left, row = capacity, opened
            opened += 1
        rows[item] = row
        left -= size
        older[row], newest[left] = newest[left], row
        node = leaves + left
        while node:
            below[node] += 1
            node //= 2
