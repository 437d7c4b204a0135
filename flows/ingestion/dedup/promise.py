"""The test of a candidate: whether two voices have enough in common to be compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.links import ALIGNED, LEAST_EVIDENCE, LONG, Rules, least_product
from flows.ingestion.dedup.sketches import Sketches
from tokenization.compiled import compiled
from tokenization.fingerprint.matching import FULL, sampled

SPARSE = 8
"""Slots of a table to an entry, at least."""
KEYS = 256
"""Differences of two pitches."""
KEYED = 1 << 16
"""More than the most features of a voice."""


class Table(NamedTuple):
    """The entries of one voice by hash, with room for the largest voice."""

    slot: NDArray[np.int32]
    """Numbers of entries, at the low bits of their hashes or the next free slot; −1 for none."""
    votes: NDArray[np.int64]
    """Room for the weight, times KEYED, and number of common features by key; shape (KEYS,)."""


@compiled
def table_for(sketches: Sketches) -> Table:
    """Allocate a table that has room for the largest voice."""
    longest = 0
    for voice in range(len(sketches.piece)):
        longest = max(longest, int(sketches.end[voice] - sketches.start[voice]))
    return Table(np.empty(slots_for(longest), np.int32), np.empty(KEYS, np.int64))


@compiled
def slots_for(entries: int) -> int:
    """Return the size of the table of a voice: a power of two."""
    slots = SPARSE
    while slots < SPARSE * entries:
        slots *= 2
    return slots


@compiled
def fill(sketches: Sketches, voice: int, table: Table) -> None:
    """Make the table of a voice."""
    start, size = sketches.start[voice], sketches.end[voice] - sketches.start[voice]
    slots = slots_for(size)
    table.slot[:slots] = -1
    for i in range(size):
        slot = (sketches.words[start + i] >> np.uint64(32)) & np.uint64(slots - 1)
        while table.slot[slot] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        table.slot[slot] = i


@compiled
def is_promising(
    sketches: Sketches, weight: NDArray[np.uint8], one: int, other: int, rules: Rules, table: Table
) -> bool:
    """Return True if two voices may make a relation. `table`: that of the first.

    No chain of features weighs more than those that the voices have in common in one key, neither does it hold more of
    them: so the product of their weight and their share of the smaller voice is a bound of evidence × containment.
    """
    a = sketches.words[sketches.start[one] : sketches.end[one]]
    b = sketches.words[sketches.start[other] : sketches.end[other]]
    mask = np.uint64(slots_for(len(a)) - 1)
    limit = np.uint64(0xFFFFFFFF)
    if not sketches.complete[one]:
        limit = min(limit, a[len(a) - 1] >> np.uint64(32))
    if not sketches.complete[other]:
        limit = min(limit, b[len(b) - 1] >> np.uint64(32))
    size = sampled(b, limit)
    least = least_product(sketches, one, other, rules) * FULL * min(sampled(a, limit), size)
    is_long = min(sketches.notes[one], sketches.notes[other]) >= LONG
    table.votes[:] = 0
    for j in range(size):
        own = b[j] >> np.uint64(32)
        slot = own & mask
        while table.slot[slot] >= 0:
            i = table.slot[slot]
            if a[i] >> np.uint64(32) == own:
                key = (b[j] & np.uint64(127)) - (a[i] & np.uint64(127)) & np.uint64(KEYS - 1)
                table.votes[key] += weight[sketches.start[other] + j] * KEYED + 1
                most, matches = table.votes[key] // KEYED, table.votes[key] % KEYED
                if most >= LEAST_EVIDENCE * FULL and (most * matches >= least or (is_long and matches >= ALIGNED)):
                    return True
                break
            slot = (slot + np.uint64(1)) & mask
    return False
