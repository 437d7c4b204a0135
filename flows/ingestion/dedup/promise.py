"""The test of a candidate: whether two voices may make a relation, so that they are worth comparing.

A comparison chooses a key and a tempo by weight, so with less weight its outcome may be another. The test asks for what
every outcome must have, in any key, at any tempo: it is passed by no two voices that failed it when features weighed
more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.links import ALIGNED, LEAST_EVIDENCE, LONG, Rules, least_product
from flows.ingestion.dedup.sketches import Sketches, signed
from tokenization.compiled import compiled
from tokenization.fingerprint.matching import FULL, MOST_ALIGNED, SAME, sampled, straight_line
from tokenization.fingerprint.sketch import SHORTEST

SPARSE = 8
"""Slots of a table to an entry, at least."""
KEYS = 256
"""Differences of two pitches."""
KEYED = 1 << 16
"""More than the most features of a voice."""
MANY = MOST_ALIGNED
"""Common features in one key from which two voices are not looked at more closely before they are compared."""
SLACK = 1 - 1e-9
"""Factor of thresholds for what a comparison adds up in another order."""


class Table(NamedTuple):
    """The entries of one voice by hash, with room for the largest voice."""

    slot: NDArray[np.int32]
    """Numbers of entries, at the low bits of their hashes or the next free slot; −1 for none."""
    votes: NDArray[np.int64]
    """Room for the weight, times KEYED, and number of common features by key; shape (KEYS,)."""
    point: NDArray[np.uint64]
    """Room for common features: key, begin in the first voice and in the other, and weight, 16 bits each."""
    column: NDArray[np.float64]
    """Room for pairs of begins: seconds in both voices, weight and number of features, and weight and size of the best
    chains that end with them; shape (6, MANY)."""


@compiled
def table_for(sketches: Sketches) -> Table:
    """Allocate a table that has room for the largest voice."""
    longest = 0
    for voice in range(len(sketches.piece)):
        longest = max(longest, int(sketches.end[voice] - sketches.start[voice]))
    return Table(
        np.empty(slots_for(longest), np.int32),
        np.empty(KEYS, np.int64),
        np.empty(longest, np.uint64),
        np.empty((6, MANY), np.float64),
    )


@compiled
def slots_for(entries: int) -> int:
    """Return the size of the table of a voice: a power of two."""
    slots = SPARSE
    while slots < SPARSE * entries:
        slots *= 2
    return slots


@compiled
def fill(sketches: Sketches, voice: int, table: Table) -> int:
    """Make the table of a voice, and return its number of slots."""
    words, start = sketches.words, sketches.start[voice]
    size = sketches.end[voice] - start
    slots = slots_for(size)
    places, mask = table.slot, np.uint64(slots - 1)
    places[:slots] = -1
    for i in range(size):
        slot = (words[start + i] >> np.uint64(32)) & mask
        while places[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        places[slot] = i
    return slots


@compiled
def find(entries: NDArray[np.uint64], hash_: np.uint64, places: NDArray[np.int32], mask: np.uint64) -> int:
    """Return the number of the entry of a voice that has a hash, −1 if none has.

    `entries`: of the voice. `places`: the slots of its table. `mask`: how many these are, less 1. No tuple of arrays is
    taken: handing one over, array by array, takes ten times as long as looking.
    """
    slot = hash_ & mask
    while places[slot] >= 0:
        if entries[places[slot]] >> np.uint64(32) == hash_:
            return signed(places[slot])
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled
def is_promising(
    sketches: Sketches,
    weight: NDArray[np.uint8],
    one: int,
    other: int,
    in_order: bool,
    rules: Rules,
    table: Table,
    slots: int,
) -> bool:
    """Return True if two voices may make a relation. `table`: that of the first, with `slots`.

    `in_order`: False if they are compared the other way round.

    No chain of features weighs more than those that the voices have in common in one key, neither does it hold more of
    them: so the product of their weight and their share of the smaller voice is a bound of evidence × containment.
    Where few features are left, chains and straight lines are looked for.
    """
    a = sketches.words[sketches.start[one] : sketches.end[one]]
    b = sketches.words[sketches.start[other] : sketches.end[other]]
    limit = np.uint64(0xFFFFFFFF)
    if not sketches.complete[one]:
        limit = min(limit, a[len(a) - 1] >> np.uint64(32))
    if not sketches.complete[other]:
        limit = min(limit, b[len(b) - 1] >> np.uint64(32))
    places, mask, own_weight = table.slot, np.uint64(slots - 1), weight[sketches.start[one] : sketches.end[one]]
    size = sampled(b, limit)
    least = least_product(sketches, one, other, rules) * FULL * min(sampled(a, limit), size) * SLACK
    is_long = min(sketches.notes[one], sketches.notes[other]) >= LONG
    table.votes[:] = 0
    may_be = False
    for j in range(size):
        i = find(a, b[j] >> np.uint64(32), places, mask)
        if i >= 0:
            key = _key(a[i], b[j])
            table.votes[key] += own_weight[i] * KEYED + 1
            if _is_enough(table.votes[key] // KEYED, table.votes[key] % KEYED, least, is_long):
                may_be = True
                if table.votes[key] % KEYED >= MANY:
                    return True
    if not may_be:
        return False
    points = 0
    for j in range(size):
        i = find(a, b[j] >> np.uint64(32), places, mask)
        if i >= 0:
            key = _key(a[i], b[j])
            if _is_enough(table.votes[key] // KEYED, table.votes[key] % KEYED, least, is_long):
                begin, there = _begin(a[i]), _begin(b[j])
                begins = begin << np.uint64(32) | there << np.uint64(16)
                if not in_order:
                    begins = there << np.uint64(32) | begin << np.uint64(16)
                _insert(table.point, points, np.uint64(key) << np.uint64(48) | begins | np.uint64(own_weight[i]))
                points += 1
    unit_a, unit_b = sketches.unit[one], sketches.unit[other]
    if not in_order:
        unit_a, unit_b = unit_b, unit_a
    first = 0
    for last in range(1, points + 1):
        if last == points or table.point[last] >> np.uint64(48) != table.point[first] >> np.uint64(48):
            if _may_be_in_order(table, first, last, unit_a, unit_b, least, is_long):
                return True
            first = last
    return False


@compiled
def _key(left: np.uint64, right: np.uint64) -> int:
    """Return the difference of the pitches of two entries."""
    return signed((right & np.uint64(127)) - (left & np.uint64(127)) & np.uint64(KEYS - 1))


@compiled
def _begin(entry: np.uint64) -> np.uint64:
    return entry >> np.uint64(16) & np.uint64(0xFFFF)


@compiled
def _is_enough(weight: float, features: float, least: float, is_long: bool) -> bool:
    """Return True if so much in common may make a relation. `least`: of weight × features."""
    return weight >= LEAST_EVIDENCE * FULL and (weight * features >= least or (is_long and features >= ALIGNED))


@compiled
def _insert(points: NDArray[np.uint64], size: int, point: np.uint64) -> None:
    """Insert a point where it belongs among the first ones, which are sorted and few."""
    place = size
    while place and points[place - 1] > point:
        points[place] = points[place - 1]
        place -= 1
    points[place] = point


@compiled
def _may_be_in_order(
    table: Table, first: int, last: int, unit_a: float, unit_b: float, least: float, is_long: bool
) -> bool:
    """Return True if some of the points of one key, at any tempo, are in order or on a straight line, and enough.

    A chain of a comparison is one of theirs, with less weight where it leaps.
    """
    x, y, weight, mass, heaviest, largest = table.column
    n = 0
    for k in range(first, last):
        point = table.point[k]
        if k > first and point >> np.uint64(16) == table.point[k - 1] >> np.uint64(16):  # this one weighs no less
            weight[n - 1] = signed(point & np.uint64(0xFFFF))
            mass[n - 1] += 1.0
        else:
            x[n] = unit_a * signed(point >> np.uint64(32) & np.uint64(0xFFFF))
            y[n] = unit_b * signed(point >> np.uint64(16) & np.uint64(0xFFFF))
            weight[n], mass[n] = signed(point & np.uint64(0xFFFF)), 1.0
            n += 1
    best, most = 0.0, 0.0
    for i in range(n):
        before = size = 0.0
        for j in range(i):
            if x[i] - x[j] >= SAME and y[i] - y[j] >= SAME:
                before, size = max(before, heaviest[j]), max(size, largest[j])
        heaviest[i], largest[i] = before + weight[i], size + mass[i]
        best, most = max(best, heaviest[i]), max(most, largest[i])
    if _is_enough(best, most, least, False):
        return True
    return (
        is_long
        and n >= ALIGNED
        and best >= LEAST_EVIDENCE * FULL
        and straight_line(x[:n], y[:n], SHORTEST)[0] >= ALIGNED
    )
