"""The draw of the next ids from logits: the filters of sampling without sorting the vocabulary, and random numbers.

Every filter keeps the fewest candidates, in some order, whose weights reach a target. They are found by partitioning as
in quickselect, at a cost proportional to the number of candidates. Of equal candidates those of lower ids come first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.kernels.exponential import exponential
from modeling.generation.kernels.matrix import Floats
from tokenization.compiled import compiled

UNIT = 2.0**-53
"""A random number is 53 bits in this unit."""
NO_LOGIT = np.float32(-np.inf)
SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11))
STEP, MIX, LAST = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Filters(NamedTuple):
    """Parameters of the draw; see `SamplingConfig`."""

    temperature: float
    top_k: int
    """0: all."""
    top_p: float
    min_p: float
    typical: float


@compiled
def uniform(seed: np.uint64, candidates: Integers, step: int, out: Numbers) -> None:
    """Write a number in [0, 1) for each candidate, a function of seed, candidate and step alone.

    A hash of the three takes the place of a generator with a state (the finaliser of SplitMix64; Steele et al., 2014).
    """
    for row in range(len(candidates)):
        mixed = _mixed(_mixed(_mixed(np.uint64(seed)) ^ np.uint64(candidates[row])) ^ np.uint64(step))
        out[row] = np.float64(mixed >> SHIFTS[3]) * UNIT


@compiled
def _mixed(bits: np.uint64) -> np.uint64:
    """Return the next output of SplitMix64 after a state."""
    bits += STEP
    bits = (bits ^ (bits >> SHIFTS[0])) * MIX
    bits = (bits ^ (bits >> SHIFTS[1])) * LAST
    return bits ^ (bits >> SHIFTS[2])


@compiled
def draw(logits: Floats, allowed: NDArray[np.bool_], uniforms: Numbers, filters: Filters, out: Integers) -> None:
    """Write the id drawn for each row to `out`, shape (rows,).

    `logits`: shape (rows, at least ids). `allowed`: shape (rows, ids), with one True at least in each row. `uniforms`:
    the quantile of the kept probability, in the order of ids, at which each row draws.
    """
    size = allowed.shape[1]
    ids, order = np.empty(size, np.int64), np.empty(size, np.int64)
    values, key, ones = np.empty(size, np.float32), np.empty(size), np.ones(size)
    probability, kept = np.empty(size), np.empty(size, np.bool_)
    for row in range(len(out)):
        count = 0
        best = NO_LOGIT
        for token in range(size):
            if allowed[row, token]:
                ids[count], values[count] = token, logits[row, token]
                best = max(best, values[count])
                count += 1
        inverse = np.float32(1 / filters.temperature)
        total = 0.0
        for index in range(count):
            values[index] = exponential((values[index] - best) * inverse)
        for index in range(count):
            probability[index] = values[index]
            total += probability[index]
            order[index] = index
        remaining = count
        if 0 < filters.top_k < remaining:
            remaining = _fewest(order, remaining, probability, ones, float(filters.top_k))
            total = _mass(order, remaining, probability)
        if filters.top_p < 1:
            # Together, candidates below this weigh less than what the nucleus leaves out.
            floor = (1 - filters.top_p) * total / remaining
            remaining = _at_least(order, remaining, probability, floor)
            remaining = _fewest(order, remaining, probability, probability, filters.top_p * total)
            total = _mass(order, remaining, probability)
        if filters.min_p > 0:
            remaining = _at_least(order, remaining, probability, filters.min_p)  # the greatest is 1 here
            total = _mass(order, remaining, probability)
        if filters.typical < 1:
            _surprise(order, remaining, probability, total, key)
            remaining = _fewest(order, remaining, key, probability, filters.typical * total)
            total = _mass(order, remaining, probability)
        kept[:count] = False
        for place in range(remaining):
            kept[order[place]] = True
        target, reached = uniforms[row] * total, 0.0
        for index in range(count):
            if kept[index]:
                out[row] = ids[index]
                reached += probability[index]
                if reached > target:
                    break


@compiled
def _mass(order: Integers, count: int, weight: Numbers) -> float:
    total = 0.0
    for place in range(count):
        total += weight[order[place]]
    return total


@compiled
def _at_least(order: Integers, count: int, key: Numbers, floor: float) -> int:
    """Move the candidates with at least this key to the front, and return their number."""
    kept = 0
    for place in range(count):
        if key[order[place]] >= floor:
            order[kept], order[place] = order[place], order[kept]
            kept += 1
    return kept


@compiled
def _surprise(order: Integers, count: int, probability: Numbers, total: float, key: Numbers) -> None:
    """Write to `key` how near each candidate's surprise is to the entropy, as a negative distance in nats."""
    entropy = 0.0
    for place in range(count):
        p = probability[order[place]] / total
        entropy -= p * np.log(p)
    for place in range(count):
        index = order[place]
        key[index] = -abs(-np.log(probability[index] / total) - entropy)


@compiled
def _precedes(left: int, right: int, key: Numbers) -> bool:
    return bool(key[left] > key[right] or (key[left] == key[right] and left < right))


@compiled
def _fewest(order: Integers, count: int, key: Numbers, weight: Numbers, target: float) -> int:
    """Move the fewest candidates of the greatest keys whose weights reach the target to the front of `order`.

    Returns their number, 1 at least.
    """
    low, high = 0, count
    mass = 0.0  # of the candidates before `low`, all of which are kept
    while high - low > 1:
        middle, last = (low + high) // 2, high - 1
        # The median of three goes to the end and divides the others.
        if _precedes(order[middle], order[low], key):
            order[middle], order[low] = order[low], order[middle]
        if _precedes(order[last], order[low], key):
            order[last], order[low] = order[low], order[last]
        if _precedes(order[middle], order[last], key):
            order[middle], order[last] = order[last], order[middle]
        pivot = order[last]
        border, before = low, 0.0
        for place in range(low, last):
            index = order[place]
            if _precedes(index, pivot, key):
                order[place], order[border] = order[border], index
                before += weight[index]
                border += 1
        order[last], order[border] = order[border], pivot
        if border > low and mass + before >= target:
            high = border
            continue
        mass += before + weight[pivot]
        low = border + 1
        if mass >= target:
            return low
    return max(high, 1)
