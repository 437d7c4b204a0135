"""Attention of single queries over cached keys and values, under any layout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.kernels.exponential import exponential
from modeling.generation.kernels.matrix import Floats
from modeling.generation.kernels.patterns import Indices, Patterns, list_keys
from tokenization.compiled import compiled_arithmetic

NO_SCORE = np.float32(-3e38)


class KeyValues(NamedTuple):
    """Keys and values of all layers; slots belong to rows of the batch."""

    keys: Floats
    """Shape (layers, slots, heads of keys and values, positions, d_head)."""
    values: Floats
    """The same shape."""


class Room(NamedTuple):
    """Working memory of attention."""

    scores: Floats
    """Shape (positions,)."""
    ranges: Indices
    """Shape (ranges, 2)."""


@compiled_arithmetic
def attend(
    patterns: Patterns,
    cache: KeyValues,
    layer: int,
    slot: int,
    position: int,
    queries: NDArray[np.float32],
    room: Room,
    out: NDArray[np.float32],
) -> None:
    """Write the attention of all heads at a position to `out`, shape (heads · d_head,).

    `queries`: the heads' queries, one after the other. The cache holds the keys and values of the position, too.
    """
    heads = patterns.of_head.shape[1]
    keys, values = cache.keys, cache.values
    group, size = heads // keys.shape[2], keys.shape[4]
    scale = np.float32(1) / np.sqrt(np.float32(size))
    scores, ranges = room
    for head in range(heads):
        shared, first = head // group, head * size
        stride = patterns.stride[patterns.of_head[layer, head]]
        if head == 0 or patterns.of_head[layer, head] != patterns.of_head[layer, head - 1]:
            count = list_keys(patterns, layer, head, position, ranges)
        seen = 0
        best = NO_SCORE
        for index in range(count):
            for key in range(ranges[index, 0], ranges[index, 1], stride):
                total = np.float32(0)
                for d in range(size):
                    total += queries[first + d] * keys[layer, slot, shared, key, d]
                scores[seen] = total * scale
                best = max(best, scores[seen])
                seen += 1
        mass = np.float32(0)
        for index in range(seen):
            scores[index] = exponential(scores[index] - best)
        for index in range(seen):
            mass += scores[index]
        for d in range(size):
            out[first + d] = 0
        seen = 0
        for index in range(count):
            for key in range(ranges[index, 0], ranges[index, 1], stride):
                weight = scores[seen] / mass
                for d in range(size):
                    out[first + d] += weight * values[layer, slot, shared, key, d]
                seen += 1
