"""The search of links: which pieces of a collection are joined to families, without comparing all pairs.

1. Voices that stand together in groups of the index for several features are candidates.
2. A candidate is *promising* if it has enough features in common in one key. The features of one voice are looked up in
   a small hash table of the other's, which is made once for all candidates of a voice.
3. Promising pairs are taken in an order that depends on their content alone. One whose pieces nothing has joined yet is
   compared (`links.compare_voices`), and joins two families if it is a link.

All of this depends on nothing but what two voices have in common and the weights of that. As pieces come, weights fall
and groups are divided, so no two old voices become a promising pair that were none. A collection that has grown is
therefore searched for pairs with a new voice; of old pairs those are compared again that share a feature whose weight
changed (`tested_pairs` keeps them). The outcome is the same as of a search of everything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.groups import GROUP, MOST_TOGETHER
from flows.ingestion.dedup.index import ALONE, REWEIGHED, Index, voice_names
from flows.ingestion.dedup.links import ALIGNED, LEAST_EVIDENCE, LONG, Rules, compare_voices, least_product, relation_of
from flows.ingestion.dedup.sketches import MOST, Sketches, mixed, signed
from tokenization.compiled import compiled
from tokenization.fingerprint.matching import FULL, sampled

UNITS = 18
"""Units of the weight of a feature that no other piece has, the most that one shared feature counts for."""
ROOM = 64
"""Sums of units that are told apart: more than those of LEAST_EVIDENCE and a further feature."""
FEWEST_SHARED = 3
"""Features shared in groups from which two voices are candidates, however common these are."""
SPARSE = 8
"""Slots of a table to an entry, at least."""
KEYS = 256
"""Differences of two pitches."""
MARKS = 4
"""Numbers that hold the marks of a voice."""
KEYED = 1 << 16
"""More than the most features of a voice."""


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


def find_links(
    sketches: Sketches,
    index: Index,
    rules: Rules,
    parent: NDArray[np.int64],
    known: Pairs | None = None,
    is_known: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Pairs]:
    """Join related pieces in `parent` (a union-find forest, shape (n,)); return the ends of the links that join them.

    Each link joins two families that no earlier one joined. Pieces that have nothing in common but what is common, and
    by chance too little of it in the same groups of the index, are missed. Returns also all promising pairs.

    `known`: the promising pairs of an earlier search, of pieces with `is_known`; all others are new. `index` says which
    weights have changed since.
    """
    n, known = len(sketches.first_voice) - 1, known or Pairs.none()
    is_known = np.zeros(n, np.bool_) if is_known is None else is_known
    names, gains = voice_names(sketches), _gains()
    kept, relation = _recheck(sketches, index, rules, gains, known)
    ends = _promising(sketches, index, rules, gains, names, is_known)
    left, right = (
        np.concatenate([old[kept], new]) for old, new in zip(known[:2], (ends[:, 0], ends[:, 1]), strict=True)
    )
    relation = np.concatenate([relation[kept], np.full(len(ends), NOT_COMPARED, np.uint8)])
    sorted_ = np.argsort(left, kind="stable")
    pairs = Pairs(left[sorted_], right[sorted_], relation[sorted_])
    order = np.argsort(_ranks(names, pairs), kind="stable")
    links = _join(sketches, index, rules, pairs, order, parent)
    return sketches.piece[pairs.left[links]], sketches.piece[pairs.right[links]], pairs


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
    votes: NDArray[np.int64]
    """Room for the weight, times KEYED, and number of common features by key; shape (KEYS,)."""


def _gains() -> NDArray[np.uint32]:
    """Return for each weight the units that a shared feature counts for.

    Of a common feature that is at least the part of one in FEWEST_SHARED: it stands for those shared in other groups.
    """
    least = LEAST_EVIDENCE / FEWEST_SHARED
    gains: NDArray[np.uint32] = np.ceil(np.maximum(np.arange(256) / FULL, least) * UNITS).astype(np.uint32)
    return gains


@compiled
def _table_for(sketches: Sketches) -> _Table:
    """Allocate a table that has room for the largest voice."""
    longest = 0
    for voice in range(len(sketches.piece)):
        longest = max(longest, int(sketches.end[voice] - sketches.start[voice]))
    return _Table(np.empty(_slots(longest), np.int32), np.empty(KEYS, np.int64))


@compiled
def _promising(
    sketches: Sketches,
    index: Index,
    rules: Rules,
    gains: NDArray[np.uint32],
    names: NDArray[np.uint64],
    is_known: NDArray[np.bool_],
) -> NDArray[np.uint32]:
    """Return the promising pairs with a new voice, shape (p, 2), in each pair the voice of the smaller name first."""
    piece, posting, place, weight = sketches.piece, index.posting, index.place, index.weight
    found, count = np.empty((1024, 2), np.uint32), 0
    table = _table_for(sketches)
    any_known = is_known.any()
    # What is shared with the voice at hand, plus ROOM for each voice before: so nothing has to be set to zero.
    shared = np.zeros(len(piece), np.uint32)
    candidates = np.empty(len(piece), np.uint32)
    nexts, gains_of = np.empty(MOST, np.int64), np.empty(MOST, np.uint32)
    for one in range(len(piece)):
        if is_known[piece[one]]:
            continue
        none, least, most = np.uint32(one * ROOM), np.uint32(one * ROOM + LEAST_EVIDENCE * UNITS), one * ROOM + ROOM - 1
        last = filled = 0
        for entry in range(sketches.start[one], sketches.end[one]):  # the processor fetches many at a time
            at = np.int64(place[entry])
            if at != ALONE:
                nexts[filled], gains_of[filled] = at, gains[weight[entry]]
                filled += 1
        for k in range(filled):
            gain = gains_of[k]
            at = nexts[k] + 1  # those new ones before it in its group have found it
            while at < len(posting) and posting[at] < GROUP:
                voice = posting[at]
                before = max(shared[voice], none)
                after = min(before + gain, np.uint32(most))
                shared[voice] = after
                candidates[last] = voice
                last += before < least and after >= least
                at += 1
            at = nexts[k]
            while any_known and posting[at] < GROUP:
                at -= 1
                voice = posting[at] & np.uint32(GROUP - 1)
                if is_known[piece[voice]]:
                    before = max(shared[voice], none)
                    after = min(before + gain, np.uint32(most))
                    shared[voice] = after
                    candidates[last] = voice
                    last += before < least and after >= least
        is_filled = False
        for other in candidates[:last].astype(np.int64):
            if piece[one] == piece[other]:
                continue
            if not is_filled:
                _fill(sketches, one, table)
                is_filled = True
            if _is_promising(sketches, weight, one, other, rules, table):
                if count == len(found):
                    longer = np.empty((2 * count, 2), np.uint32)
                    longer[:count] = found
                    found = longer
                is_first = names[one] < names[other]
                found[count, 0], found[count, 1] = (one, other) if is_first else (other, one)
                count += 1
    return found[:count]


@compiled
def _recheck(
    sketches: Sketches, index: Index, rules: Rules, gains: NDArray[np.uint32], known: Pairs
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return which known pairs are promising still, and their relations as far as they are known still."""
    kept, relation = np.ones(len(known.left), np.bool_), known.relation.copy()
    if len(kept) == 0:
        return kept, relation
    table, marks = _table_for(sketches), _marks(sketches, index)
    words, place = sketches.words, index.place
    last = -1
    for k in range(len(known.left)):
        one, other = signed(known.left[k]), signed(known.right[k])
        in_common = np.uint64(0)
        for part in range(MARKS):
            in_common |= marks[one, part] & marks[other, part]
        if in_common == 0:
            continue
        if one != last:
            _fill(sketches, one, table)
            last = one
        start, mask = sketches.start[one], np.uint64(_slots(sketches.end[one] - sketches.start[one]) - 1)
        units, touched = np.uint32(0), np.uint8(0)
        for word in range(sketches.start[other], sketches.end[other]):
            own = words[word] >> np.uint64(32)
            slot = own & mask
            while table.slot[slot] >= 0:
                same = start + table.slot[slot]
                if words[same] >> np.uint64(32) == own:
                    touched |= index.touched[word]
                    if _are_together(index.posting, signed(place[same]), signed(place[word])):
                        units += gains[index.weight[word]]
                    break
                slot = (slot + np.uint64(1)) & mask
        if touched:
            kept[k] = units >= LEAST_EVIDENCE * UNITS
        if kept[k] and touched & REWEIGHED:
            kept[k] = _is_promising(sketches, index.weight, one, other, rules, table)
            relation[k] = NOT_COMPARED
    return kept, relation


@compiled
def _marks(sketches: Sketches, index: Index) -> NDArray[np.uint64]:
    """Return the touched features of each voice as marks, 64 to a number; shape (v, MARKS).

    Two voices that have no mark in common have no touched feature in common (a Bloom filter).
    """
    marks = np.zeros((len(sketches.piece), MARKS), np.uint64)
    for voice in range(len(marks)):
        for word in range(sketches.start[voice], sketches.end[voice]):
            if index.touched[word]:
                own = sketches.words[word] >> np.uint64(32)
                marks[voice, own % np.uint64(MARKS)] |= np.uint64(1) << (own // np.uint64(MARKS) % np.uint64(64))
    return marks


@compiled
def _are_together(posting: NDArray[np.uint32], one: int, other: int) -> bool:
    """Return True if two postings of one feature are in the same group."""
    if abs(one - other) >= MOST_TOGETHER:
        return False
    at, last = min(one, other) + 1, max(one, other)
    while at <= last and posting[at] < GROUP:
        at += 1
    return at > last


@compiled
def _ranks(names: NDArray[np.uint64], pairs: Pairs) -> NDArray[np.uint64]:
    """Return a number of each pair by which they are put in order; it depends on their content alone."""
    ranks = np.empty(len(pairs.left), np.uint64)
    for k in range(len(ranks)):
        ranks[k] = mixed(names[pairs.left[k]] + mixed(names[pairs.right[k]]))
    return ranks


@compiled
def _join(
    sketches: Sketches,
    index: Index,
    rules: Rules,
    pairs: Pairs,
    order: NDArray[np.int64],
    parent: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Join the pieces of pairs in `parent`, in order; return the pairs that join two, and set `pairs.relation`."""
    links, found = np.empty(len(parent), np.int64), 0
    for k in order:
        one, other = signed(pairs.left[k]), signed(pairs.right[k])
        root_one, root_other = root(parent, sketches.piece[one]), root(parent, sketches.piece[other])
        if root_one == root_other:
            continue
        if pairs.relation[k] == NOT_COMPARED:
            match = compare_voices(sketches, index.weight, one, other)
            pairs.relation[k] = relation_of(sketches, one, other, match, rules)
        if pairs.relation[k]:
            parent[max(root_one, root_other)] = min(root_one, root_other)
            links[found] = k
            found += 1
    return links[:found]


@compiled
def _slots(entries: int) -> int:
    """Return the size of the table of a voice: a power of two."""
    slots = SPARSE
    while slots < SPARSE * entries:
        slots *= 2
    return slots


@compiled
def _fill(sketches: Sketches, voice: int, table: _Table) -> None:
    """Make the table of a voice."""
    start, size = sketches.start[voice], sketches.end[voice] - sketches.start[voice]
    slots = _slots(size)
    table.slot[:slots] = -1
    for i in range(size):
        slot = (sketches.words[start + i] >> np.uint64(32)) & np.uint64(slots - 1)
        while table.slot[slot] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        table.slot[slot] = i


@compiled
def _is_promising(
    sketches: Sketches, weight: NDArray[np.uint8], one: int, other: int, rules: Rules, table: _Table
) -> bool:
    """Return True if two voices may make a relation. `table`: that of the first.

    No chain of features weighs more than those that the voices have in common in one key, neither does it hold more of
    them: so the product of their weight and their share of the smaller voice is a bound of evidence × containment.
    """
    a = sketches.words[sketches.start[one] : sketches.end[one]]
    b = sketches.words[sketches.start[other] : sketches.end[other]]
    mask = np.uint64(_slots(len(a)) - 1)
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
