"""The search of a sample's grams in one file of an index, and the spans around those that are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.originality.alignment import extend
from tokenization.originality.grams import NOTES
from tokenization.originality.index_file import HASH_BITS, LOW_BITS, IndexFile
from tokenization.originality.sample_lines import SampleLines
from tokenization.originality.words import PITCH_SHIFT

RECENT = 16
"""Spans before in which a gram is looked for, so that a span is found once."""
LOW_MASK = np.uint64(2**LOW_BITS - 1)


class Spans(NamedTuple):
    """Spans of a sample that stand in one file, shape (spans,): ends are exclusive."""

    line: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    source_line: NDArray[np.int64]
    source_begin: NDArray[np.int64]
    source_end: NDArray[np.int64]
    transposition: NDArray[np.int64]
    """Semitones from the file to the sample."""


def find_spans(sample: SampleLines, file: IndexFile) -> Spans:
    """Return the spans of at least NOTES notes in common, by their place in the file."""
    pairs = _look_up(sample.hashes, file.bucket, file.low, file.bits)
    pairs = pairs[np.argsort(file.place[pairs[:, 1]], kind="stable")]
    lines = sample.lines
    spans = _extended(
        pairs,
        sample.gram_at,
        sample.gram_line,
        lines.pitch,
        lines.onset,
        lines.first,
        file.place,
        file.line_note,
        file.word,
    )
    return Spans(*spans.T)


@compiled
def _look_up(
    hashes: NDArray[np.uint64], bucket: NDArray[np.uint32], low: NDArray[np.uint16], bits: int
) -> NDArray[np.int64]:
    """Return the pairs of a hash's index and a gram of the file with this hash, shape (pairs, 2)."""
    pairs = np.empty((1024, 2), np.int64)
    count = 0
    for i in range(len(hashes)):
        first = np.int64(hashes[i] >> np.uint64(HASH_BITS - bits))
        wanted = hashes[i] >> np.uint64(HASH_BITS - LOW_BITS - bits) & LOW_MASK
        for gram in range(np.int64(bucket[first]), np.int64(bucket[first + 1])):
            if low[gram] > wanted:
                break
            if low[gram] == wanted:
                if count == len(pairs):
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                pairs[count, 0], pairs[count, 1] = i, gram
                count += 1
    return pairs[:count].copy()


@compiled
def _extended(
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
    """Return the spans around pairs of grams that are sorted by place, the fields of `Spans` as columns."""
    spans = np.empty((256, 7), np.int64)
    count = 0
    source_line = 0
    for k in range(len(pairs)):
        at, line = gram_at[pairs[k, 0]], gram_line[pairs[k, 0]]
        source = int(place[pairs[k, 1]])
        known = False
        for other in range(max(0, count - RECENT), count):
            inside = spans[other, 1] <= at and at + NOTES <= spans[other, 2]
            known |= inside and spans[other, 4] <= source and source + NOTES <= spans[other, 5]
        if known:
            continue
        if line_note[source_line + 1] <= source:
            source_line = int(np.searchsorted(line_note, np.uint32(source), side="right")) - 1
        begin, end, source_begin, source_end = extend(
            pitch,
            onset,
            first[line],
            first[line + 1],
            at,
            words,
            int(line_note[source_line]),
            int(line_note[source_line + 1]),
            source,
        )
        if end - begin < NOTES:
            continue
        if count == len(spans):
            spans = np.concatenate((spans, np.empty_like(spans)))
        spans[count, 0], spans[count, 1], spans[count, 2] = line, begin, end
        spans[count, 3], spans[count, 4], spans[count, 5] = source_line, source_begin, source_end
        spans[count, 6] = np.int64(pitch[at]) - np.int64(words[source] >> PITCH_SHIFT)
        count += 1
    return spans[:count].copy()
