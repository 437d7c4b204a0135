"""Grams: eight notes of a line in order, as a hash of their seven intervals, and which of them an index keeps.

The hash of a gram is the same in every key and at every tempo. An index keeps the smallest hash of every WINDOW
consecutive grams (winnowing; Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document fingerprinting",
2003): a third of all grams, and at least one of any NOTES + WINDOW - 1 = 12 notes that two lines have in common. Grams
that repeat themselves after one, two or three intervals, or have two different intervals only, are never kept: scales,
trills and repeated notes are in all music.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

NOTES = 8
"""Notes of a gram."""
WINDOW = 5
"""Consecutive grams of which at least one is kept."""
LONGEST_PERIOD = 3
"""Intervals after which a gram repeats itself when it is commonplace."""
INTERVALS = 128
"""Above all intervals."""
FACTORS = np.frombuffer(b"".join(hashlib.sha256(f"gram {i}".encode()).digest()[:4] for i in range(NOTES + 1)), "<u4")
FACTORS = FACTORS.astype(np.uint32) | np.uint32(1)
FACTORS[0] = FACTORS[NOTES] = 0
"""Of the hash: one for each interval; from SHA-256, the same on any machine."""
TERMS = (FACTORS[:-1] - FACTORS[1:]).astype(np.uint32)
"""The same for each pitch, since a sum of intervals times factors is one of pitches times differences of factors."""
COMMON = np.uint64(2**32)
"""In place of the hash of a commonplace gram."""


@compiled
def grams(pitch: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the hash of each gram of a line of n notes, below 2^32, or COMMON; shape (n - NOTES + 1,)."""
    count = max(len(pitch) - NOTES + 1, 0)
    sums = np.zeros(count, np.uint32)
    for place in range(NOTES):
        term = TERMS[place]
        for i in range(count):
            sums[i] += np.uint32(pitch[i + place]) * term
    hashes = np.empty(count, np.uint64)
    for i in range(count):
        x = sums[i]
        x ^= x >> np.uint32(16)
        x = np.uint32(x * np.uint32(0x85EBCA6B))
        x ^= x >> np.uint32(13)
        x = np.uint32(x * np.uint32(0xC2B2AE35))
        hashes[i] = np.uint64(np.uint32(x ^ (x >> np.uint32(16))))
    runs = np.zeros(LONGEST_PERIOD + 1, np.int64)  # intervals that equal those one, two, three before
    latest = other = np.int64(INTERVALS)  # the two different intervals that came last
    since = run = 1  # places from where on there were no others, and no other than `latest`
    for last in range(1, len(pitch)):
        interval = np.int64(pitch[last]) - np.int64(pitch[last - 1])
        periodic = False
        for period in range(1, LONGEST_PERIOD + 1):
            before = last - period
            equal = before >= 1 and interval == np.int64(pitch[before]) - np.int64(pitch[before - 1])
            runs[period] = runs[period] + 1 if equal else 0
            periodic |= runs[period] >= NOTES - 1 - period
        if interval != latest:
            if interval != other:
                since = run
            latest, other, run = interval, latest, last
        if last >= NOTES - 1 and (periodic or last - since >= NOTES - 2):
            hashes[last - NOTES + 1] = COMMON
    return hashes


@compiled
def winnowed(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the places of the grams that an index keeps: of each window the last of the smallest hashes."""
    n = len(hashes)
    kept = np.empty(n, np.int64)
    count = 0
    smallest = -1
    for end in range(1, n + 1):
        begin = max(end - WINDOW, 0)
        if smallest < begin:
            smallest = begin
            for i in range(begin, end):
                if hashes[i] <= hashes[smallest]:
                    smallest = i
        elif hashes[end - 1] <= hashes[smallest]:
            smallest = end - 1
        complete = end >= min(WINDOW, n)
        if complete and hashes[smallest] != COMMON and (count == 0 or kept[count - 1] != smallest):
            kept[count] = smallest
            count += 1
    return kept[:count].copy()
