"""The search of a sample's grams in one file of an index, and the spans around those that are found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.originality.alignment import extend
from tokenization.originality.grams import NOTES

RECENT = 16
"""Spans in which a further gram is looked for before it is extended."""
FIELDS = 6


@compiled
def look_up(
    hashes: NDArray[np.uint64], bucket: NDArray[np.uint32], low: NDArray[np.uint16], bits: int
) -> NDArray[np.int64]:
    """Return the pairs of a hash's index and a gram of the file with this hash, shape (pairs, 2).

    `hashes`: ascending. The columns are those of `IndexFile`.
    """
    pairs = np.empty((1024, 2), np.int64)
    count = 0
    for i in range(len(hashes)):
        first = np.int64(hashes[i] >> np.uint64(32 - bits))
        wanted = np.uint16(hashes[i] >> np.uint64(16 - bits) & np.uint64(0xFFFF))
        for gram in range(np.int64(bucket[first]), np.int64(bucket[first + 1])):
            if low[gram] >= wanted:
                if low[gram] > wanted:
                    break
                if count == len(pairs):
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                pairs[count, 0], pairs[count, 1] = i, gram
                count += 1
    return pairs[:count].copy()


@compiled
def find_spans(
    pairs: NDArray[np.int64],
    gram_at: NDArray[np.int64],
    gram_line: NDArray[np.int64],
    pitch: NDArray[np.uint8],
    onset: NDArray[np.float64],
    first: NDArray[np.int64],
    place: NDArray[np.uint32],
    line_note: NDArray[np.uint32],
    words: NDArray[np.uint16],
) -> NDArray[np.int64]:
    """Return the spans around common grams: line, begin, end in the sample, line, begin, end in the file.

    `pairs`: of `look_up`, by gram. `gram_at`, `gram_line`: first note and line of each of the sample's grams.
    """
    spans = np.empty((256, FIELDS), np.int64)
    count = 0
    line = 0
    for k in range(len(pairs)):
        at, own = gram_at[pairs[k, 0]], gram_line[pairs[k, 0]]
        source = np.int64(place[pairs[k, 1]])
        low, high = 0, len(line_note) - 1
        if not (line_note[line] <= source < line_note[line + 1]):
            while high - low > 1:
                middle = (low + high) // 2
                if line_note[middle] <= source:
                    low = middle
                else:
                    high = middle
            line = low
        known = False
        for other in range(max(0, count - RECENT), count):
            inside = spans[other, 1] <= at and at + NOTES <= spans[other, 2]
            known |= inside and spans[other, 4] <= source and source + NOTES <= spans[other, 5]
        if known:
            continue
        begin, end, source_begin, source_end = extend(
            pitch,
            onset,
            first[own],
            first[own + 1],
            at,
            words,
            np.int64(line_note[line]),
            np.int64(line_note[line + 1]),
            source,
        )
        if end - begin < NOTES:
            continue
        if count == len(spans):
            spans = np.concatenate((spans, np.empty_like(spans)))
        spans[count, 0], spans[count, 1], spans[count, 2] = own, begin, end
        spans[count, 3], spans[count, 4], spans[count, 5] = line, source_begin, source_end
        count += 1
    return spans[:count].copy()
