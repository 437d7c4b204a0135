"""The index of the features of many sketches: the voices that have each, and its weight.

A feature's weight is 1 if no other piece has it and falls with the logarithm of the number of pieces that do (inverse
document frequency), so scales, templates and drum loops weigh little.

The voices with a feature stand in groups, within which they are counted as sharing it. There is one group as a rule. Of
a common feature a sample of the pairs is seen: a hash of voice and feature draws the group, so the groups of different
features are independent, do not depend on the order of pieces, and stay as they are when further pieces come.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import Sketches, digests
from tokenization.compiled import compiled

PRIOR = 1000
"""Pieces that are imagined beside those at hand, so that few files do not make every common feature worthless."""
ALONE = 0xFFFFFFFF
"""Place of an entry whose hash no other voice has."""
GROUP = 0x80000000
"""Bit of a posting that begins another group."""
MOST_TOGETHER = 24
"""Voices with a feature up to which all are in one group."""
COMMON = 1024
"""Voices with a feature from which it is a very common one."""
LONGEST = 4 * MOST_TOGETHER
"""The most voices of a group of a very common feature."""
SLICE = 1 << 24
"""Entries that are sorted at a time: what is needed besides the index stays small."""
SAMPLE = 1 << 16
"""Entries by which the slices are bounded."""
STRIDE = 256
"""Words to an entry of the table by which the voice of a word is found."""


class Index(NamedTuple):
    """The features that several voices have; p postings."""

    posting: NDArray[np.uint32]
    """Voices by hash and group, ascending in each, the first of a group with the bit GROUP; shape (p,).

    More than MOST_TOGETHER voices are in random groups of half as many or more on average, in other ones for each hash.
    Of more than COMMON those with the same smallest hash are together, in the same way for each hash: so are the
    versions of what very many have.
    """
    place: NDArray[np.uint32]
    """The place in `posting` of each word, or ALONE; shape (w,)."""
    weight: NDArray[np.uint8]
    """Weight of each word, in 255ths; shape (w,)."""


def build_index(sketches: Sketches) -> Index:
    """Index the features of all voices. Needs up to 9 bytes an entry, and 16 for each of SLICE entries on the way."""
    words, pieces = len(sketches.words), len(sketches.first_voice) - 1
    place = np.full(words, ALONE, np.uint32)
    weight = np.full(words, 255, np.uint8)
    nearest = np.searchsorted(sketches.end, np.arange(0, words + 1, STRIDE), side="right")
    names = _names(sketches, digests(sketches))
    shares = _shares(pieces + PRIOR, pieces)
    postings = [np.zeros(0, np.uint32)]
    before = 0
    for low, high in pairwise(_bounds(sketches)):
        keys = np.sort(_keys(sketches, low, high))
        postings.append(_postings(keys, sketches, names, nearest, before, shares, place, weight))
        before += len(postings[-1])
    return Index(np.concatenate(postings), place, weight)


@compiled
def group_count(voices: float) -> int:
    """Return the number of groups of a feature that many voices have, up to COMMON: a power of two."""
    groups = 1
    while groups * MOST_TOGETHER < voices:
        groups *= 2
    return groups


def _shares(total: int, most: int) -> NDArray[np.uint8]:
    """Return the weight of features by the number of pieces that have them, up to `most`, in 255ths."""
    frequency = np.maximum(np.arange(most + 1), 1)
    shares: NDArray[np.uint8] = (255.0 * np.log(total / frequency) / np.log(total) + 0.5).astype(np.uint8)
    return shares


def _bounds(sketches: Sketches) -> NDArray[np.uint64]:
    """Return hashes that bound slices of about SLICE entries, 0 the first and 2³² the last."""
    entries = int((sketches.end - sketches.start).sum())
    parts = max(-(-entries // SLICE), 1)
    sample = sketches.words[:: max(len(sketches.words) // SAMPLE, 1)] >> np.uint64(32)
    inner = np.quantile(sample, np.arange(1, parts) / parts) if parts > 1 else np.zeros(0)
    return np.concatenate([[0], inner, [2**32]]).astype(np.uint64)


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """Return 64 bits that all depend on all of a number (the finaliser of MurmurHash 3)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@compiled
def _names(sketches: Sketches, pieces: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number of each voice by which groups are drawn; it depends on the content of its piece alone."""
    names = np.empty(len(sketches.piece), np.uint64)
    for voice in range(len(names)):
        number = np.uint64(voice - sketches.first_voice[sketches.piece[voice]])
        names[voice] = _mixed(pieces[sketches.piece[voice]] + number)
    return names


@compiled
def _keys(sketches: Sketches, low: np.uint64, high: np.uint64) -> NDArray[np.uint64]:
    """Return hash (high half) and place among the words (low half) of the entries with a hash in [low, high)."""
    count = 0
    firsts, lasts = np.empty(len(sketches.start), np.int64), np.empty(len(sketches.start), np.int64)
    for voice in range(len(sketches.start)):
        first = sketches.start[voice]
        while first < sketches.end[voice] and sketches.words[first] >> np.uint64(32) < low:
            first += 1
        last = first
        while last < sketches.end[voice] and sketches.words[last] >> np.uint64(32) < high:
            last += 1
        firsts[voice], lasts[voice] = first, last
        count += last - first
    keys = np.empty(count, np.uint64)
    count = 0
    for voice in range(len(sketches.start)):
        for word in range(firsts[voice], lasts[voice]):
            keys[count] = (sketches.words[word] >> np.uint64(32)) << np.uint64(32) | np.uint64(word)
            count += 1
    return keys


@compiled
def _postings(
    keys: NDArray[np.uint64],
    sketches: Sketches,
    names: NDArray[np.uint64],
    nearest: NDArray[np.int64],
    before: int,
    shares: NDArray[np.uint8],
    place: NDArray[np.uint32],
    weight: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the postings of sorted keys, and set `place` and `weight` of their words.

    `nearest`: the first voice that ends behind every STRIDE-th word. `before`: postings so far.
    """
    found = np.empty(len(keys), np.uint32)
    voices, ordered = np.empty(len(keys), np.uint32), np.empty(COMMON, np.uint64)
    count = begin = 0
    while begin < len(keys):
        end = begin + 1
        while end < len(keys) and keys[end] >> np.uint64(32) == keys[begin] >> np.uint64(32):
            end += 1
        size = end - begin
        if size > 1:
            frequency, last = np.int64(0), np.int64(-1)
            for k in range(size):
                word = np.int64(keys[begin + k] & np.uint64(0xFFFFFFFF))
                voice = nearest[word // STRIDE]
                while sketches.end[voice] <= word:
                    voice += 1
                frequency += sketches.piece[voice] != last
                last = sketches.piece[voice]
                voices[k] = voice
            if size > COMMON:
                _by_smallest_hash(keys[begin:end], voices, sketches, found[count:], place, before + count)
            elif size > MOST_TOGETHER:
                _by_lot(keys[begin:end], voices, names, ordered, found[count:], place, before + count)
            else:
                for k in range(size):
                    found[count + k] = voices[k]
                    place[keys[begin + k] & np.uint64(0xFFFFFFFF)] = before + count + k
                found[count] |= np.uint32(GROUP)
            for k in range(begin, end):
                weight[keys[k] & np.uint64(0xFFFFFFFF)] = shares[frequency]
            count += size
        begin = end
    return found[:count].copy()


@compiled
def _by_lot(
    keys: NDArray[np.uint64],
    voices: NDArray[np.uint32],
    names: NDArray[np.uint64],
    ordered: NDArray[np.uint64],
    found: NDArray[np.uint32],
    place: NDArray[np.uint32],
    before: int,
) -> None:
    """Write the voices of one feature to `found` in groups drawn by lot, and set the places of their words.

    `ordered`: room for one number for each.
    """
    size, groups = len(keys), group_count(len(keys))
    starts = np.zeros(groups + 1, np.int64)
    salt = _mixed(keys[0] >> np.uint64(32))
    for k in range(size):
        ordered[k] = ((names[voices[k]] ^ salt) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & (
            np.uint64(groups - 1)
        )
        starts[ordered[k] + np.uint64(1)] += 1
    for group in range(1, len(starts)):
        starts[group] += starts[group - 1]
    previous = starts.copy()
    for k in range(size):
        group = ordered[k]
        at = starts[group]
        starts[group] += 1
        found[at] = voices[k] | np.uint32(GROUP) if at == previous[group] else voices[k]
        place[keys[k] & np.uint64(0xFFFFFFFF)] = before + at


@compiled
def _by_smallest_hash(
    keys: NDArray[np.uint64],
    voices: NDArray[np.uint32],
    sketches: Sketches,
    found: NDArray[np.uint32],
    place: NDArray[np.uint32],
    before: int,
) -> None:
    """Write the voices of a very common feature to `found`, those with the same smallest hash together.

    A group ends where the smallest hash changes, at one change in eight by a hash of it, and after LONGEST.
    """
    size = len(keys)
    order = np.empty(size, np.uint64)
    for k in range(size):
        order[k] = (sketches.words[sketches.start[voices[k]]] >> np.uint64(32)) << np.uint64(32) | np.uint64(k)
    _heap_sort(order)
    first = 0
    for at in range(size):
        own = order[at] >> np.uint64(32)
        k = order[at] & np.uint64(0xFFFFFFFF)
        changes = at > 0 and own != order[at - 1] >> np.uint64(32)
        if at == 0 or at - first == LONGEST or (changes and _mixed(own) % np.uint64(8) == 0):
            first = at
        found[at] = voices[k] | np.uint32(GROUP) if at == first else voices[k]
        place[keys[k] & np.uint64(0xFFFFFFFF)] = before + at


@compiled
def _heap_sort(values: NDArray[np.uint64]) -> None:
    """Sort in place: slower than numpy's sort, of which a compiled function would contain a copy of its own."""
    n = len(values)
    for step in range(n // 2 + n):
        if step < n // 2:
            root, last = n // 2 - 1 - step, n
        else:
            root, last = 0, n - 1 - (step - n // 2)
            values[0], values[last] = values[last], values[0]
        while 2 * root + 1 < last:
            child = 2 * root + 1
            if child + 1 < last and values[child + 1] > values[child]:
                child += 1
            if values[root] >= values[child]:
                break
            values[root], values[child] = values[child], values[root]
            root = child
