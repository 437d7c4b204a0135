"""The search of links: which pieces of a collection are joined to families, without comparing all pairs.

1. Voices that stand together in groups of the index for several features are candidates.
2. A candidate goes on if it has enough features in common in one key. The features of one voice are looked up in a
   small hash table of the other's, which is made once for all candidates of a voice.
3. What is left is compared (`links.compare_voices`), and joins two families if it is a link.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.index import COMMON, GROUP, PRIOR, Index, group_count
from flows.ingestion.dedup.links import (
    ALIGNED,
    LEAST_EVIDENCE,
    LONG,
    Rules,
    compare_voices,
    least_product,
    relation_of,
)
from flows.ingestion.dedup.sketches import Sketches
from tokenization.compiled import compiled
from tokenization.fingerprint.matching import FULL

UNITS = 18
"""Units of the weight of a feature that no other piece has, the most that one shared feature counts for."""
ROOM = 64
"""Sums of units that are told apart: more than those of LEAST_EVIDENCE and a further feature."""
SPARSE = 8
"""Slots of a table to an entry, at least."""
KEYS = 256
"""Differences of two pitches."""
KEYED = 1 << 16
"""More than the most features of a voice."""


def find_links(
    sketches: Sketches, index: Index, rules: Rules, parent: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join related pieces in `parent` (a union-find forest, shape (n,)); return the ends of the links that join them.

    Each link joins two families that no earlier one joined. Pieces that have nothing in common but what is common, and
    by chance too little of it in the same groups of the index, are missed.
    """
    ends = _find(sketches, index, rules, parent)
    return ends[:, 0].copy(), ends[:, 1].copy()


@compiled
def root(parent: NDArray[np.int64], i: int) -> int:
    """Return the root of an element of a union-find forest, and shorten the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


class _Table(NamedTuple):
    """The entries of one voice by hash, with room for the largest voice."""

    slot: NDArray[np.int32]
    """Numbers of entries, at the low bits of their hashes or the next free slot; −1 for none."""
    weight_before: NDArray[np.int64]
    """Weight of the entries before each, in 255ths."""
    votes: NDArray[np.int64]
    """Room for the weight, times KEYED, and number of common features by key; shape (KEYS,)."""


@compiled
def _find(sketches: Sketches, index: Index, rules: Rules, parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ends of the links found, shape (m, 2), and join them in `parent`."""
    piece, posting, place, weight = sketches.piece, index.posting, index.place, index.weight
    links = np.empty((len(parent), 2), np.int64)
    found = np.int64(0)
    longest = 0
    for voice in range(len(piece)):
        longest = max(longest, int(sketches.end[voice] - sketches.start[voice]))
    table = _Table(np.empty(_slots(longest), np.int32), np.empty(longest + 1, np.int64), np.empty(KEYS, np.int64))
    gains = _gains(len(sketches.first_voice) - 1)
    # What is shared with the voice at hand, plus ROOM for each voice before: so nothing has to be set to zero.
    shared = np.zeros(len(piece), np.uint32)
    candidates = np.empty(len(piece), np.uint32)
    nexts, gains_of = np.empty(longest, np.int64), np.empty(longest, np.uint32)
    for one in range(len(piece)):
        none, least, most = np.uint32(one * ROOM), np.uint32(one * ROOM + LEAST_EVIDENCE * UNITS), one * ROOM + ROOM - 1
        last = filled = 0
        for entry in range(sketches.start[one], sketches.end[one]):  # the processor fetches many at a time
            at = np.int64(place[entry]) + 1  # those before it in its group have found it
            if at < len(posting) and posting[at] < GROUP:
                nexts[filled], gains_of[filled] = at, gains[weight[entry]]
                filled += 1
        for k in range(filled):
            at, gain = nexts[k], gains_of[k]
            while at < len(posting) and posting[at] < GROUP:
                voice = posting[at]
                before = max(shared[voice], none)
                after = min(before + gain, np.uint32(most))
                shared[voice] = after
                candidates[last] = voice
                last += before < least and after >= least
                at += 1
        is_filled = False
        for other in candidates[:last].astype(np.int64):
            root_one, root_other = root(parent, piece[one]), root(parent, piece[other])
            if root_one == root_other:
                continue
            if not is_filled:
                _fill(sketches, weight, one, table)
                is_filled = True
            if not _is_promising(sketches, weight, one, other, rules, table):
                continue
            match = compare_voices(sketches, weight, one, other)
            if relation_of(sketches, one, other, match, rules):
                parent[max(root_one, root_other)] = min(root_one, root_other)
                links[found, 0], links[found, 1] = piece[one], piece[other]
                found += 1
    return links[:found]


@compiled
def _gains(pieces: int) -> NDArray[np.uint32]:
    """Return for each weight the units that a shared feature counts for, in place of those in other groups too."""
    gains = np.empty(256, np.uint32)
    for weight in range(256):
        frequency = np.exp((1.0 - weight / FULL) * np.log(pieces + PRIOR))
        share = weight / FULL * (group_count(frequency) if frequency < COMMON else 1)
        gains[weight] = np.ceil(min(share, 1.0) * UNITS)
    return gains


@compiled
def _slots(entries: int) -> int:
    """Return the size of the table of a voice: a power of two."""
    slots = SPARSE
    while slots < SPARSE * entries:
        slots *= 2
    return slots


@compiled
def _fill(sketches: Sketches, weight: NDArray[np.uint8], voice: int, table: _Table) -> None:
    """Make the table of a voice."""
    start, size = sketches.start[voice], sketches.end[voice] - sketches.start[voice]
    slots = _slots(size)
    table.slot[:slots] = -1
    table.weight_before[0] = 0
    for i in range(size):
        table.weight_before[i + 1] = table.weight_before[i] + weight[start + i]
        slot = (sketches.words[start + i] >> np.uint64(32)) & np.uint64(slots - 1)
        while table.slot[slot] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        table.slot[slot] = i


@compiled
def _is_promising(
    sketches: Sketches, weight: NDArray[np.uint8], one: int, other: int, rules: Rules, table: _Table
) -> bool:
    """Return True if two voices may make a relation. `table`: that of the first.

    No chain of features weighs more than those that the voices have in common in one key, neither does what the chain
    contains of the smaller voice: so the square of that weight over the voice's is a bound of evidence × containment.
    """
    a, b = sketches.words[sketches.start[one] : sketches.end[one]], sketches.words
    mask = np.uint64(_slots(len(a)) - 1)
    limit = np.uint64(0xFFFFFFFF)
    if not sketches.complete[one]:
        limit = min(limit, a[len(a) - 1] >> np.uint64(32))
    if not sketches.complete[other]:
        limit = min(limit, b[sketches.end[other] - 1] >> np.uint64(32))
    table.votes[:] = 0
    most = np.int64(0)
    for j in range(sketches.start[other], sketches.end[other]):
        own = b[j] >> np.uint64(32)
        if own > limit:
            break
        slot = own & mask
        while table.slot[slot] >= 0:
            i = table.slot[slot]
            if a[i] >> np.uint64(32) == own:
                key = (b[j] & np.uint64(127)) - (a[i] & np.uint64(127)) & np.uint64(KEYS - 1)
                table.votes[key] += weight[j] * KEYED + 1
                most = max(most, table.votes[key])
                break
            slot = (slot + np.uint64(1)) & mask
    most, matches = most // KEYED, most % KEYED
    if most < LEAST_EVIDENCE * FULL:
        return False
    if matches >= ALIGNED and min(sketches.notes[one], sketches.notes[other]) >= LONG:
        return True
    weight_b = np.int64(0)
    for k in range(sketches.start[other], j + 1 if own <= limit else j):
        weight_b += weight[k]
    size = len(a)
    while size and a[size - 1] >> np.uint64(32) > limit:
        size -= 1
    least = least_product(sketches, one, other, rules) * FULL
    return bool(most * most >= least * min(weight_b, table.weight_before[size]))
