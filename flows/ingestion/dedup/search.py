"""The search of links: which pieces of a collection are joined to families, without comparing all pairs.

1. Voices that stand together in groups of the index for several features are candidates.
2. A candidate is *promising* if it has enough features in common in one key, and in order. The features of one voice
   are looked up in a small hash table of the other's, which is made once for all candidates of a voice.
3. Promising pairs are taken in an order that depends on their content alone. One whose pieces nothing has joined yet is
   compared (`links.compare_voices`), and joins two families if it is a link.

All of this depends on nothing but what two voices have in common and the weights of that. As pieces come, weights fall
and groups are divided, so no two old voices become a promising pair that were none. A collection that has grown is
therefore searched for pairs with a new voice; of old pairs those are compared again that share a feature whose weight
changed (`tested_pairs` keeps them). The outcome is the same as of a search of everything.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.groups import GROUP
from flows.ingestion.dedup.index import ALONE, Index, voice_names
from flows.ingestion.dedup.links import LEAST_EVIDENCE, Rules, compare_voices, relation_of
from flows.ingestion.dedup.pairs import NOT_COMPARED, UNITS, Pairs, gains_of_weights, recheck
from flows.ingestion.dedup.promise import fill, is_promising, table_for
from flows.ingestion.dedup.sketches import MOST, Sketches, mixed, signed
from infra.hardware import available_cores
from tokenization.compiled import compiled

PARTS = 4
"""Parts of the search to a thread: they take unlike times, and each needs room for all voices."""
LEAST_PART = 1 << 16
"""Entries of a part, at least."""
ROOM = 64
"""Sums of units that are told apart: more than those of LEAST_EVIDENCE and a further feature."""


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

    `known`: the promising pairs of an earlier search, of pieces with `is_known`; all others are new. `index` has the
    features of these, and says what has changed since.
    """
    n, known = len(sketches.first_voice) - 1, known or Pairs.none()
    is_known = np.zeros(n, np.bool_) if is_known is None else is_known
    names, gains = voice_names(sketches), gains_of_weights()
    kept, relation = recheck(sketches, index, rules, gains, names, known)
    threads = available_cores()
    parts = _parts(sketches, is_known, threads)
    with ThreadPoolExecutor(threads) as pool:  # the loops release the interpreter's lock
        found = pool.map(lambda part: _promising(sketches, index, rules, gains, names, is_known, *part), parts)
        ends = np.concatenate([*found])
    left, right = (
        np.concatenate([old[kept], new]) for old, new in zip(known[:2], (ends[:, 0], ends[:, 1]), strict=True)
    )
    relation = np.concatenate([relation[kept], np.full(len(ends), NOT_COMPARED, np.uint8)])
    sorted_ = np.argsort(left, kind="stable")
    pairs = Pairs(left[sorted_], right[sorted_], relation[sorted_])
    order = np.argsort(_ranks(names, pairs), kind="stable")
    links = _join(sketches, index, rules, pairs, order, parent)
    return sketches.piece[pairs.left[links]], sketches.piece[pairs.right[links]], pairs


def _parts(sketches: Sketches, is_known: NDArray[np.bool_], threads: int) -> list[tuple[int, int]]:
    """Divide all voices into runs, each a first voice and an end, with about as many entries of new voices."""
    entries = np.where(is_known[sketches.piece], 0, sketches.end - sketches.start).cumsum()
    if not len(entries):
        return [(0, 0)]
    size = max(int(entries[-1]) // (PARTS * threads), LEAST_PART)
    inner = np.searchsorted(entries, np.arange(size, entries[-1], size)) + 1
    bounds = np.unique([0, *inner.tolist(), len(entries)])
    return [*zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]


@compiled
def root(parent: NDArray[np.int64], i: int) -> int:
    """Return the root of an element of a union-find forest, and shorten the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _promising(
    sketches: Sketches,
    index: Index,
    rules: Rules,
    gains: NDArray[np.uint32],
    names: NDArray[np.uint64],
    is_known: NDArray[np.bool_],
    first: int,
    end: int,
) -> NDArray[np.uint32]:
    """Return the promising pairs of new voices from `first` to `end` with known ones, and new ones behind them.

    Their shape is (p, 2), and in each pair the voice of the smaller name comes first.
    """
    piece, posting, place, weight = sketches.piece, index.posting, index.place, index.weight
    found, count = np.empty((1024, 2), np.uint32), 0
    table = table_for(sketches)
    any_known = is_known.any()
    # What is shared with the voice at hand, plus ROOM for each voice before: so nothing has to be set to zero.
    shared = np.zeros(len(piece), np.uint32)
    candidates = np.empty(len(piece), np.uint32)
    nexts, gains_of = np.empty(MOST, np.int64), np.empty(MOST, np.uint32)
    for one in range(first, end):
        if is_known[piece[one]]:
            continue
        none, least, most = np.uint32(one * ROOM), np.uint32(one * ROOM + LEAST_EVIDENCE * UNITS), one * ROOM + ROOM - 1
        last = filled = 0
        ahead = index.first_place[one] - sketches.start[one]
        for entry in range(sketches.start[one], sketches.end[one]):  # the processor fetches many at a time
            at = np.int64(place[entry + ahead])
            if at != ALONE:
                nexts[filled], gains_of[filled] = at - 1, gains[weight[entry]]
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
        slots = 0
        for other in candidates[:last].astype(np.int64):
            if piece[one] == piece[other]:
                continue
            if slots == 0:
                slots = fill(sketches, one, table)
            is_first = names[one] < names[other]
            if is_promising(sketches, weight, one, other, is_first, rules, table, slots):
                if count == len(found):
                    longer = np.empty((2 * count, 2), np.uint32)
                    for k in range(count):
                        longer[k, 0], longer[k, 1] = found[k, 0], found[k, 1]
                    found = longer
                found[count, 0], found[count, 1] = (one, other) if is_first else (other, one)
                count += 1
    return found[:count]


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
