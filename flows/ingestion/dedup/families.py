"""Families: pieces whose fingerprints are similar, directly or through others.

Locality-sensitive hashing: a word of a fingerprint holds two of its values, so two pieces of similarity s share any
one of SIZE words with probability s² (99.97 % share one at s = 0.25). Pieces with an equal word lie in one bucket and
are candidates; a candidate pair is verified by the whole fingerprint; verified links join families (union-find).

No bucket costs the square of its size. Equal fingerprints are joined first and count as one. A bucket is sorted by its
members' next words, so that similar ones are near, and each is compared with the WINDOW members that follow it, which
are all in small buckets. A pair missed in one bucket (of a phrase that very many tunes share) is found in another of
the SIZE. Pairs in one family already are not compared again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.fingerprint import SIZE, VALUES, similarity, values

DEFAULT_THRESHOLD = 0.25
"""Least similarity of a link: edits of one piece are above it, different pieces of one composer below."""
WINDOW = 32
"""Following members of a bucket that a piece is compared with."""


@dataclass(frozen=True)
class Families:
    """The families of n pieces and the m links that form them. Arrays have shape (n,) for pieces, (m,) for links."""

    label: NDArray[np.int64]
    """The smallest index of the family's members; a piece without family has its own index."""
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    """Ends of verified links, `left` < `right`; each family has one link fewer than members."""
    similarity: NDArray[np.float32]


def find_families(fingerprints: NDArray[np.uint32], threshold: float = DEFAULT_THRESHOLD) -> Families:
    """Find the families of n fingerprints, shape (n, SIZE): pieces linked by a similarity of at least `threshold`, 0–1.

    The families do not depend on the order of pieces. Needs about 50 bytes a piece besides the fingerprints.
    Raises ValueError for another shape or a threshold out of range.
    """
    if fingerprints.ndim != 2 or fingerprints.shape[1] != SIZE:
        raise ValueError(f"fingerprints have the shape (n, {SIZE}), not {fingerprints.shape}")
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold is more than 0 and at most 1, not {threshold}")
    rows = np.ascontiguousarray(fingerprints, np.uint32)
    halves = values(rows)
    digests = _digests(rows)
    # Sorted by content: from here on the result is the same for the same set of pieces
    order = np.argsort(digests, kind="stable")
    first = _first_of_equal(rows, digests, order)
    distinct = order[first[order] == order]
    parent = np.arange(len(rows))
    links = np.empty((max(len(distinct) - 1, 0), 2), np.int64)
    count = 0
    least = int(np.ceil(threshold * VALUES - 1e-9))
    position = np.arange(len(distinct), dtype=np.uint64)
    for word in range(SIZE):
        bucketed = np.sort((rows[distinct, word].astype(np.uint64) << np.uint64(32)) | position)
        count = _join(rows, halves, distinct, bucketed, word, least, parent, links, count)
    doubles = np.flatnonzero(first != np.arange(len(rows)))
    ends = np.concatenate([np.stack([first[doubles], doubles], axis=1), np.sort(links[:count], axis=1)])
    label = _labels(parent, first)
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0], label[ends[:, 0]]))]
    left, right = np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1])
    return Families(label, left, right, _similarities(rows, left, right))


def _similarities(rows: NDArray[np.uint32], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the similarities of pairs, computed in batches: the rows of a million pairs would not fit in memory."""
    found = np.empty(len(left), np.float32)
    for start in range(0, len(left), 4096):
        part = slice(start, start + 4096)
        found[part] = similarity(rows[left[part]], rows[right[part]])
    return found


@compiled
def _digests(rows: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row (FNV-1a over words, then mixed)."""
    digests = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        digest = np.uint64(0xCBF29CE484222325)
        for j in range(rows.shape[1]):
            digest = (digest ^ np.uint64(rows[i, j])) * np.uint64(0x100000001B3)
            digest ^= digest >> np.uint64(29)
        digests[i] = digest
    return digests


@compiled
def _first_of_equal(
    rows: NDArray[np.uint32], digests: NDArray[np.uint64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each row the smallest index of the rows equal to it; `order` sorts by digest, then by index."""
    first = np.empty(len(rows), np.int64)
    for place in range(len(order)):
        i = order[place]
        first[i] = i
        if place and digests[order[place - 1]] == digests[i]:
            before = first[order[place - 1]]
            if np.all(rows[before] == rows[i]):  # rows that share a digest by chance stay apart
                first[i] = before
    return first


@compiled
def _root(parent: NDArray[np.int64], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _join(
    rows: NDArray[np.uint32],
    halves: NDArray[np.uint16],
    distinct: NDArray[np.int64],
    bucketed: NDArray[np.uint64],
    word: int,
    least: int,
    parent: NDArray[np.int64],
    links: NDArray[np.int64],
    count: int,
) -> int:
    """Join similar pieces in the buckets of one word, and return the new number of links.

    `bucketed` is sorted by bucket (high half) and holds positions in `distinct` (low half). Links are written to
    `links` from `count` on, joined families to `parent` (union-find).
    """
    low = np.uint64(0xFFFFFFFF)
    n = len(bucketed)
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and (bucketed[end] >> np.uint64(32)) == (bucketed[begin] >> np.uint64(32)):
            end += 1
        if end - begin > WINDOW + 1:
            following = (word + 1) % rows.shape[1]
            for place in range(begin, end):
                position = bucketed[place] & low
                bucketed[place] = (np.uint64(rows[distinct[position], following]) << np.uint64(32)) | position
            bucketed[begin:end] = np.sort(bucketed[begin:end])
        for place in range(begin, end - 1):
            left = distinct[bucketed[place] & low]
            for other in range(place + 1, min(place + 1 + WINDOW, end)):
                right = distinct[bucketed[other] & low]
                here, there = _root(parent, left), _root(parent, right)
                if here == there:
                    continue
                equal = 0
                for value in range(halves.shape[1]):
                    equal += halves[left, value] == halves[right, value]
                if equal >= least:
                    parent[max(here, there)] = min(here, there)
                    links[count, 0], links[count, 1] = left, right
                    count += 1
        begin = end
    return count


@compiled
def _labels(parent: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the root of each piece's family, its smallest member; equal fingerprints follow the first of them."""
    label = np.empty(len(parent), np.int64)
    for i in range(len(parent)):
        label[i] = _root(parent, first[i])
    return label
