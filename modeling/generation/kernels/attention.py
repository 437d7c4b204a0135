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
AT_ONCE = 4
"""Keys that are read side by side."""


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
    group, size = heads // cache.keys.shape[2], cache.keys.shape[4]
    scores, ranges = room
    for head in range(heads):
        keys, values = cache.keys[layer, slot, head // group], cache.values[layer, slot, head // group]
        query, mixed = queries[head * size : (head + 1) * size], out[head * size : (head + 1) * size]
        pattern = patterns.of_head[layer, head]
        stride = patterns.stride[pattern]
        if head == 0 or pattern != patterns.of_head[layer, head - 1]:
            count = list_keys(patterns, layer, head, position, ranges)
        seen = 0
        for index in range(count):
            first, stop = ranges[index, 0], ranges[index, 1]
            seen += _score(keys, query, first, stop, stride, scores[seen:])
        _softmax(scores[:seen])
        mixed[:] = 0
        seen = 0
        for index in range(count):
            first, stop = ranges[index, 0], ranges[index, 1]
            seen += _mix(values, scores[seen:], first, stop, stride, mixed)


@compiled_arithmetic
def _score(
    keys: Floats, query: NDArray[np.float32], first: int, stop: int, stride: int, out: NDArray[np.float32]
) -> int:
    """Write the scaled products of a query with the keys of a range; return their number."""
    size = len(query)
    scale = np.float32(1) / np.sqrt(np.float32(size))
    count = (stop - first + stride - 1) // stride
    for at in range(0, count - AT_ONCE + 1, AT_ONCE):
        key = first + at * stride
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(size):
            a += query[i] * keys[key, i]
            b += query[i] * keys[key + stride, i]
            c += query[i] * keys[key + 2 * stride, i]
            d += query[i] * keys[key + 3 * stride, i]
        out[at], out[at + 1], out[at + 2], out[at + 3] = a * scale, b * scale, c * scale, d * scale
    for at in range(count - count % AT_ONCE, count):
        a = np.float32(0)
        for i in range(size):
            a += query[i] * keys[first + at * stride, i]
        out[at] = a * scale
    return count


@compiled_arithmetic
def _softmax(scores: NDArray[np.float32]) -> None:
    best, mass = NO_SCORE, np.float32(0)
    for index in range(len(scores)):
        best = max(best, scores[index])
    for index in range(len(scores)):
        scores[index] = exponential(scores[index] - best)
        mass += scores[index]
    for index in range(len(scores)):
        scores[index] /= mass


@compiled_arithmetic
def _mix(
    values: Floats, weights: NDArray[np.float32], first: int, stop: int, stride: int, out: NDArray[np.float32]
) -> int:
    """Add the values of a range by their weights; return their number."""
    count = (stop - first + stride - 1) // stride
    for at in range(0, count - AT_ONCE + 1, AT_ONCE):
        key = first + at * stride
        a, b, c, d = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
        for i in range(len(out)):
            out[i] += (
                a * values[key, i]
                + b * values[key + stride, i]
                + c * values[key + 2 * stride, i]
                + d * values[key + 3 * stride, i]
            )
    for at in range(count - count % AT_ONCE, count):
        for i in range(len(out)):
            out[i] += weights[at] * values[first + at * stride, i]
    return count
