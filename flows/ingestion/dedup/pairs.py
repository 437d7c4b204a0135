"""Promising pairs of voices, and the test of those that an earlier search found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.groups import are_together
from flows.ingestion.dedup.grown_index import REWEIGHED
from flows.ingestion.dedup.index import Index
from flows.ingestion.dedup.links import LEAST_EVIDENCE, Rules
from flows.ingestion.dedup.promise import Table, fill, find, is_promising, table_for
from flows.ingestion.dedup.sketches import Sketches, signed
from tokenization.compiled import compiled
from tokenization.fingerprint.matching import FULL

UNITS = 18
"""Units of the weight of a feature that no other piece has, the most that one shared feature counts for."""
FEWEST_SHARED = 3
"""Features shared in groups from which two voices are candidates, however common these are."""
NOT_COMPARED = 255
"""The relation of a pair that was not compared, as its pieces are joined by others."""


class Pairs(NamedTuple):
    """Promising pairs of voices; arrays of shape (p,). Pairs with one `left` stand together."""

    left: NDArray[np.uint32]
    """Voices; of the two that with the smaller name."""
    right: NDArray[np.uint32]
    relation: NDArray[np.uint8]
    """`Relation`, or NOT_COMPARED."""

    @classmethod
    def none(cls) -> Pairs:
        """Return no pairs."""
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros(0, np.uint8))


def gains_of_weights() -> NDArray[np.uint32]:
    """Return for each weight the units that a shared feature counts for.

    Of a common feature that is at least the part of one in FEWEST_SHARED: it stands for those shared in other groups.
    """
    least = LEAST_EVIDENCE / FEWEST_SHARED
    gains: NDArray[np.uint32] = np.ceil(np.maximum(np.arange(256) / FULL, least) * UNITS).astype(np.uint32)
    return gains


@compiled
def recheck(
    sketches: Sketches,
    index: Index,
    rules: Rules,
    gains: NDArray[np.uint32],
    names: NDArray[np.uint64],
    known: Pairs,
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return which known pairs are promising still, and their relations as far as they are known still."""
    kept, relation = np.ones(len(known.left), np.bool_), known.relation.copy()
    if len(kept) == 0:
        return kept, relation
    table = table_for(sketches)
    words, touches = sketches.words, index.touched
    last, slots = -1, 0
    for k in range(len(known.left)):
        one, other = signed(known.left[k]), signed(known.right[k])
        own = words[sketches.start[one] : sketches.end[one]]
        touched = np.uint8(0)
        for word in range(sketches.start[other], sketches.end[other]):
            if touches[word]:
                if one != last:
                    slots, last = fill(sketches, one, table), one
                if find(own, words[word] >> np.uint64(32), table.slot, np.uint64(slots - 1)) >= 0:
                    touched |= touches[word]
        if touched:
            kept[k] = _are_candidates(sketches, index, gains, names, one, other, table, slots)
        if kept[k] and touched & REWEIGHED:
            kept[k] = is_promising(sketches, index.weight, one, other, True, rules, table, slots)
            relation[k] = NOT_COMPARED
    return kept, relation


@compiled
def _are_candidates(
    sketches: Sketches,
    index: Index,
    gains: NDArray[np.uint32],
    names: NDArray[np.uint64],
    one: int,
    other: int,
    table: Table,
    slots: int,
) -> bool:
    """Return True if two voices share enough in groups. `table`: that of the first, with `slots`."""
    units = np.uint32(0)
    words, start = sketches.words, sketches.start[one]
    own = words[start : sketches.end[one]]
    for word in range(sketches.start[other], sketches.end[other]):
        hash_, depth = words[word] >> np.uint64(32), index.depth[word]
        same = find(own, hash_, table.slot, np.uint64(slots - 1))
        if same >= 0 and index.depth[start + same] == depth and are_together(hash_, depth, one, other, sketches, names):
            units += gains[index.weight[word]]
            if units >= LEAST_EVIDENCE * UNITS:
                return True
    return False
