"""The keys that the index is sorted by: hash and voice of entries, of all or of those that new voices have, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import Sketches
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
    sketches: Sketches, low: np.uint64, high: np.uint64, wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return hash (high half) and voice (low half) of the entries with a hash in [low, high) that is `wanted`.

    Returns also the first word of each voice with a hash from `low` on.
    """
    words, mask = sketches.words, np.uint64(len(wanted) - 1)
    firsts = np.empty(len(sketches.start), np.int64)
    keys, count = np.empty(len(words), np.uint64), 0  # what is not written to takes no memory
    for voice in range(len(sketches.start)):
        first, end = sketches.start[voice], sketches.end[voice]
        while first < end and words[first] >> np.uint64(32) < low:
            first += 1
        firsts[voice] = first
        for word in range(first, end):
            hash_ = words[word] >> np.uint64(32)
            if hash_ >= high:
                break
            if wanted[hash_ & mask]:
                keys[count] = hash_ << np.uint64(32) | np.uint64(voice)
                count += 1
    return keys[:count], firsts
