"""The sketch of one voice: the features with the smallest hashes, and where each begins.

An entry is one uint64, so that a sketch is sorted by hash and needs no other column:

    bits 32–63  hash of the feature
    bits 16–31  begin, in units of the sketch (the last onset of the piece / 65,535)
    bits 7–15   duration from the first to the last note, log2 of seconds in sixteenths of an octave
    bits 0–6    pitch of the first note
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, constant

BEGINS = 65535
"""The greatest begin."""
OCTAVE = 16.0
"""Steps of a duration to its double."""
SHORTEST = 1 / 128
"""Seconds of the shortest duration, step 0."""
GAP = constant(2)
"""Places of the voice that a feature moves on from one note to the next: 1, or 2 to leave a note out."""
GUESS = 2.0
"""Occurrences that are looked at first for each feature that is wanted."""
FACTORS = np.frombuffer(b"".join(hashlib.sha256(f"feature {i}".encode()).digest()[:4] for i in range(7)), "<u4").astype(
    np.uint32
) | np.uint32(1)
FACTORS[0] = FACTORS[5] = 0
"""Of the hash of a feature: 1–4 of its intervals, 6 of the kind of voice; from SHA-256, the same on any machine."""


@compiled
def sketch(
    onset: NDArray[np.float64], pitch: NDArray[np.uint8], size: int, kind: int, unit: float
) -> tuple[NDArray[np.uint64], bool]:
    """Return the entries of a voice, at most `size`, and True if these are all of its features.

    `onset`, `pitch`: the voice, onsets in seconds. `kind`: a number; features of different kinds are never equal.
    `unit`: seconds of a unit of begins.
    """
    # A limit on hashes that lets only GUESS times as many occurrences pass as are wanted spares sorting the others; it
    # is raised for voices that repeat themselves so much that too few different features are left.
    share = GUESS * size / max(float(GAP**4) * len(pitch), 1.0)
    while True:
        keys, used = _occurrences(pitch, kind, min(share, 1.0))
        count = _smallest(keys, used, size + 1)
        if count > size or share >= 1.0:
            break
        share *= GUESS * GUESS
    kept = min(count, size)
    entries = np.empty(kept, np.uint64)
    for i in range(kept):
        first = np.int64((keys[i] >> np.uint64(4)) & np.uint64(0xFFFFFFF))
        last = first + np.int64(keys[i] & np.uint64(15))
        begin, end = onset[first], onset[last]
        steps = np.log2(max(end - begin, SHORTEST) / SHORTEST) * OCTAVE
        entries[i] = (
            (keys[i] >> np.uint64(32)) << np.uint64(32)
            | np.uint64(min(begin / unit + 0.5, float(BEGINS))) << np.uint64(16)
            | np.uint64(min(steps + 0.5, 511.0)) << np.uint64(7)
            | np.uint64(pitch[first] & 127)
        )
    return entries, count <= size


@compiled
def _occurrences(pitch: NDArray[np.uint8], kind: int, share: float) -> tuple[NDArray[np.uint64], int]:
    """Return the hashes of the features, as far as they are in the lowest `share` of all, and their number.

    Each with the place of its first note in the line from bit 4, and of the last one, relative to it, below.

    The hash is a sum of intervals times factors, mixed. Rearranged, it is a sum of pitches times differences of
    factors, which are computed once for each note, so that the loop over features is a few vector instructions.
    """
    m = len(pitch)
    terms = np.empty((5, m), np.uint32)
    for i in range(m):
        value = np.uint32(pitch[i])
        for place in range(5):
            terms[place, i] = value * (FACTORS[place] - FACTORS[place + 1])
    start = np.uint32(kind) * FACTORS[6]
    keys = np.empty(int(2.0 * share * GAP**4 * m) + 1024, np.uint64)
    hashes = np.empty(m, np.uint32)
    used = 0
    limit = np.uint32(share * 4294967295.0)
    for one in range(1, 1 + GAP):
        for two in range(one + 1, one + 1 + GAP):
            for three in range(two + 1, two + 1 + GAP):
                for four in range(three + 1, three + 1 + GAP):
                    count = max(m - four, 0)
                    if used + count > len(keys):
                        longer = np.empty(2 * len(keys) + count, np.uint64)
                        for i in range(used):
                            longer[i] = keys[i]
                        keys = longer
                    first, second, third = terms[0, :count], terms[1, one : one + count], terms[2, two : two + count]
                    fourth, last = terms[3, three : three + count], terms[4, four : four + count]
                    for i in range(count):
                        hashes[i] = mixed(start + first[i] + second[i] + third[i] + fourth[i] + last[i])
                    for i in range(count):
                        if hashes[i] <= limit:
                            keys[used] = np.uint64(hashes[i]) << np.uint64(32) | np.uint64(i << 4) | np.uint64(four)
                            used += 1
    return keys, used


@compiled
def mixed(x: np.uint32) -> np.uint32:
    """Return a bijective mix of all bits (the finaliser of MurmurHash3, A. Appleby)."""
    x = np.uint32(x)
    x ^= x >> np.uint32(16)
    x = np.uint32(x * np.uint32(0x85EBCA6B))
    x ^= x >> np.uint32(13)
    x = np.uint32(x * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))


@compiled
def _smallest(keys: NDArray[np.uint64], used: int, most: int) -> int:
    """Sort the first `used` keys by hash, keep one of each hash and at most `most`, and return their number.

    Of equal hashes the key of the first place is kept. Radix sort: half the time of a comparison sort at these sizes,
    and a fraction of its machine code.
    """
    other = np.empty(used, np.uint64)
    source = keys
    for shift in (32, 40, 48, 56):
        counts = np.zeros(257, np.int64)
        for i in range(used):
            counts[np.int64((source[i] >> np.uint64(shift)) & np.uint64(255)) + 1] += 1
        for digit in range(256):
            counts[digit + 1] += counts[digit]
        target = other if shift in (32, 48) else keys
        for i in range(used):
            place = np.int64((source[i] >> np.uint64(shift)) & np.uint64(255))
            target[counts[place]] = source[i]
            counts[place] += 1
        source = target
    count = 0
    for i in range(used):
        if count and keys[i] >> np.uint64(32) == keys[count - 1] >> np.uint64(32):
            keys[count - 1] = min(keys[count - 1], keys[i])
        elif count == most:
            break
        else:
            keys[count] = keys[i]
            count += 1
    return count
