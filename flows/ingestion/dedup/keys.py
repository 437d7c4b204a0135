"""The keys that the index is sorted by: hash and place of entries, of all or of those that new voices have, too.

The high half of a key is the hash. The low half is the voice and where in the voice the entry is, so that keys of one
hash are in the order of voices, and to find the word of a key is no search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import Sketches, signed
from tokenization.compiled import compiled

SLICE = 1 << 24
"""Entries that are sorted at a time: what is needed besides the index stays small."""
SAMPLE = 1 << 16
"""Entries by which the slices are bounded."""
SPARSE = 16
"""Slots of the table of new hashes to an entry, at least."""
MOST_SLOTS = 1 << 24
EVERYTHING = np.ones(1, np.bool_)
"""The table in which every hash is."""
LOW = 32
"""Bits of the low half."""


class Packing(NamedTuple):
    """How a voice and a place in it make the low half of a key."""

    bits: int
    """Of the place."""
    coarse: int
    """Bits of the place that are left out, of so many voices that there is no room: the word is then looked for."""


def packing_of(sketches: Sketches) -> Packing:
    """Return how the entries of a collection are packed."""
    longest = int((sketches.end - sketches.start).max(initial=1))
    wanted, room = (longest - 1).bit_length(), LOW - max(len(sketches.start) - 1, 0).bit_length()
    return Packing(min(wanted, room), max(wanted - room, 0))


def bounds(sketches: Sketches) -> NDArray[np.uint64]:
    """Return hashes that bound slices of about SLICE entries, 0 the first and 2³² the last."""
    entries = int((sketches.end - sketches.start).sum())
    parts = max(-(-entries // SLICE), 1)
    sample = sketches.words[:: max(len(sketches.words) // SAMPLE, 1)] >> np.uint64(32)
    inner = np.quantile(sample, np.arange(1, parts) / parts) if parts > 1 else np.zeros(0)
    return np.concatenate([[0], inner, [2**32]]).astype(np.uint64)


def hashes_of_new(sketches: Sketches, is_known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a table of the hashes of new voices by their low bits, in which some others seem to be, too.

    Its length is a power of two.
    """
    is_new = ~is_known[sketches.piece]
    entries = int((sketches.end - sketches.start)[is_new].sum())
    wanted = np.zeros(min(1 << (SPARSE * entries).bit_length(), MOST_SLOTS), np.bool_)
    _mark(sketches, is_new, wanted)
    return wanted


@compiled
def _mark(sketches: Sketches, is_new: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> None:
    mask = np.uint64(len(wanted) - 1)
    for voice in range(len(is_new)):
        if is_new[voice]:
            for word in range(sketches.start[voice], sketches.end[voice]):
                wanted[(sketches.words[word] >> np.uint64(32)) & mask] = True


@compiled
def keys_between(
    sketches: Sketches, low: np.uint64, high: np.uint64, wanted: NDArray[np.bool_], packing: Packing
) -> NDArray[np.uint64]:
    """Return the keys of the entries with a hash in [low, high) that is `wanted`."""
    words, mask = sketches.words, np.uint64(len(wanted) - 1)
    bits, coarse = np.uint64(packing.bits), np.uint64(packing.coarse)
    keys, count = np.empty(len(words), np.uint64), 0  # what is not written to takes no memory
    for voice in range(len(sketches.start)):
        start, end = sketches.start[voice], sketches.end[voice]
        first = start
        while first < end and words[first] >> np.uint64(32) < low:
            first += 1
        for word in range(first, end):
            hash_ = words[word] >> np.uint64(32)
            if hash_ >= high:
                break
            if wanted[hash_ & mask]:
                keys[count] = hash_ << np.uint64(32) | np.uint64(voice) << bits | np.uint64(word - start) >> coarse
                count += 1
    return keys[:count]


@compiled
def voice_of(key: np.uint64, bits: np.uint64) -> int:
    """Return the voice of a key. `bits`: of `Packing`."""
    return signed((key & np.uint64(0xFFFFFFFF)) >> bits)


@compiled
def word_of(
    key: np.uint64, words: NDArray[np.uint64], start: NDArray[np.int64], bits: np.uint64, coarse: np.uint64
) -> int:
    """Return the word of a key. `words`, `start`: of `Sketches`. `bits`, `coarse`: of `Packing`."""
    place = (key & ((np.uint64(1) << bits) - np.uint64(1))) << coarse
    word = start[voice_of(key, bits)] + signed(place)
    while coarse and words[word] >> np.uint64(32) != key >> np.uint64(32):
        word += 1
    return signed(word)
