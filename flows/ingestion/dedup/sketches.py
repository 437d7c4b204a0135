"""The sketches of many pieces as columns, and an index of their features.

The index holds, for each entry whose hash another voice has, the voices that have it. A feature's weight is 1 if no
other piece has it and falls with the logarithm of the number of pieces that do (inverse document frequency), so scales,
templates and drum loops weigh little.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tokenization.compiled import compiled

PRIOR = 1000
"""Pieces that are imagined beside those at hand, so that few files do not make every common feature worthless."""
ALONE = 0xFFFFFFFF
"""Place of an entry whose hash no other voice has."""
RUN = 0x80000000
"""Bit of a posting that begins another hash."""
FEWEST = 32
"""Entries of a voice that are always kept."""
MOST = 0xFFFF
"""The greatest number of entries that a fingerprint's format allows a voice."""
ROWS = 100_000
"""Fingerprints that are converted at a time."""
MOST_ENTRIES = 80 << 20
"""Entries of all sketches together that deduplication uses, which bounds its memory and time: of more than half a
million pieces each is known by fewer features."""
COMMON = 1024
"""Voices with a feature from which it is a very common one."""
SLICE = 1 << 24
"""Entries that are sorted at a time: what is needed besides the index stays small."""
SAMPLE = 1 << 16
"""Entries by which the slices are bounded."""
STRIDE = 256
"""Words to an entry of the table by which the voice of a word is found."""


class Sketches(NamedTuple):
    """The v voices of n pieces. Columns of voices have shape (v,)."""

    words: NDArray[np.uint64]
    """Entries of the voices one after the other (see `tokenization.fingerprint.sketch`); shape (w,)."""
    start: NDArray[np.int64]
    """First entry of each voice."""
    end: NDArray[np.int64]
    piece: NDArray[np.int64]
    """Ascending."""
    notes: NDArray[np.int64]
    drums: NDArray[np.bool_]
    """True for pieces of drums only. Their loops make no relation, however much they have in common."""
    complete: NDArray[np.bool_]
    unit: NDArray[np.float64]
    """Seconds of a unit of begins."""
    first_voice: NDArray[np.int64]
    """First voice of each piece, and v; shape (n + 1,)."""
    total: NDArray[np.int64]
    """Notes of each piece, drums left out unless there is nothing else; shape (n,)."""

    @classmethod
    def of(cls, fingerprints: pl.Series, most: int | None = None) -> Sketches:
        """Read fingerprints, a binary column without nulls.

        `most`: entries that are kept in all, of each voice those with the smallest hashes, but FEWEST at least.
        """
        parts = [fingerprints.slice(first, ROWS) for first in range(0, max(len(fingerprints), 1), ROWS)]
        counts = [_counts(*_words(part)) for part in parts]
        voices, entries = (int(sum(column)) for column in zip(*counts, strict=True))
        limit = MOST if most is None or entries <= most else max(most // voices, FEWEST)
        columns = zip(*(_voices(*_words(part), limit) for part in parts), strict=True)
        words, sizes, notes, drums, complete, unit, per_piece, total = (np.concatenate(column) for column in columns)
        end = np.cumsum(sizes)
        piece = np.repeat(np.arange(len(per_piece)), per_piece)
        first_voice = np.concatenate([[0], np.cumsum(per_piece)])
        return cls(words, end - sizes, end, piece, notes, drums, complete, unit, first_voice, total)

    def take(self, pieces: NDArray[np.int64]) -> Sketches:
        """Refer to the voices of some pieces, given in ascending order; they are numbered anew."""
        if len(pieces) == len(self.first_voice) - 1:
            return self
        chosen = np.zeros(len(self.first_voice) - 1, np.bool_)
        chosen[pieces] = True
        voices = np.flatnonzero(chosen[self.piece])
        return Sketches(
            self.words,
            self.start[voices],
            self.end[voices],
            (np.cumsum(chosen) - 1)[self.piece[voices]],
            self.notes[voices],
            self.drums[voices],
            self.complete[voices],
            self.unit[voices],
            np.concatenate([[0], np.cumsum(np.diff(self.first_voice)[pieces])]),
            self.total[pieces],
        )


class Index(NamedTuple):
    """The features that several voices have; p postings."""

    posting: NDArray[np.uint32]
    """Voices by hash, the first of each hash with the bit RUN; shape (p,).

    Those of one hash are in random order, in another one for each hash. If there are more than COMMON, voices with the
    same smallest hash stand together, in the same order for each hash: so do the versions of what very many have.
    """
    place: NDArray[np.uint32]
    """The place in `posting` of each word, or ALONE; shape (w,)."""
    weight: NDArray[np.uint8]
    """Weight of each word, in 255ths; shape (w,)."""


def build_index(sketches: Sketches) -> Index:
    """Index the features of all voices. Needs up to 9 bytes an entry, and 8 for each of SLICE entries on the way."""
    words, pieces = len(sketches.words), len(sketches.first_voice) - 1
    place = np.full(words, ALONE, np.uint32)
    weight = np.full(words, 255, np.uint8)
    nearest = np.searchsorted(sketches.end, np.arange(0, words + 1, STRIDE), side="right")
    postings = [np.zeros(0, np.uint32)]
    before = 0
    for low, high in pairwise(_bounds(sketches)):
        keys = np.sort(_keys(sketches, low, high))
        postings.append(_postings(keys, sketches, nearest, before, pieces + PRIOR, place, weight))
        before += len(postings[-1])
    return Index(np.concatenate(postings), place, weight)


def _bounds(sketches: Sketches) -> NDArray[np.uint64]:
    """Return hashes that bound slices of about SLICE entries, 0 the first and 2³² the last."""
    entries = int((sketches.end - sketches.start).sum())
    parts = max(-(-entries // SLICE), 1)
    sample = sketches.words[:: max(len(sketches.words) // SAMPLE, 1)] >> np.uint64(32)
    inner = np.quantile(sample, np.arange(1, parts) / parts) if parts > 1 else np.zeros(0)
    return np.concatenate([[0], inner, [2**32]]).astype(np.uint64)


def _words(fingerprints: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return fingerprints as one array, and the words before each of them and in all."""
    array = fingerprints.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_binary())
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(array.buffers()[2] or b"", np.uint64), offsets // 8


@compiled
def _counts(words: NDArray[np.uint64], offsets: NDArray[np.int64]) -> tuple[np.int64, np.int64]:
    """Return the numbers of voices and entries."""
    voices, entries = np.int64(0), np.int64(0)
    for i in range(len(offsets) - 1):
        count = np.int64(words[offsets[i]] & np.uint64(0xFFFFFFFF))
        voices += count
        entries += offsets[i + 1] - offsets[i] - 1 - count
    return voices, entries


@compiled
def _voices(
    words: NDArray[np.uint64], offsets: NDArray[np.int64], limit: int
) -> tuple[
    NDArray[np.uint64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.bool_],
    NDArray[np.bool_],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    """Return entries, sizes, notes, drums, complete and unit of voices; of pieces the numbers of voices and notes."""
    n = len(offsets) - 1
    voices, size = _counts(words, offsets)
    entries, sizes = np.empty(min(size, voices * limit), np.uint64), np.empty(voices, np.int64)
    notes, units = np.empty(voices, np.int64), np.empty(voices, np.uint32)
    drums, complete = np.empty(voices, np.bool_), np.empty(voices, np.bool_)
    per_piece, total = np.empty(n, np.int64), np.empty(n, np.int64)
    voice = used = np.int64(0)
    for i in range(n):
        per_piece[i] = words[offsets[i]] & np.uint64(0xFFFFFFFF)
        total[i] = words[offsets[i]] >> np.uint64(32)
        source = offsets[i] + 1 + per_piece[i]
        for head in words[offsets[i] + 1 : source]:
            size = np.int64(head & np.uint64(0xFFFF))
            sizes[voice] = size if size < limit else limit
            notes[voice] = (head >> np.uint64(16)) & np.uint64(0x3FFF)
            drums[voice] = (head >> np.uint64(30)) & np.uint64(1)
            complete[voice] = (head >> np.uint64(31)) & np.uint64(1) and size <= limit
            units[voice] = head >> np.uint64(32)
            for entry in words[source : source + sizes[voice]]:
                entries[used] = entry
                used += 1
            source += size
            voice += 1
    return entries[:used], sizes, notes, drums, complete, units.view(np.float32).astype(np.float64), per_piece, total


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
    nearest: NDArray[np.int64],
    before: int,
    pieces: int,
    place: NDArray[np.uint32],
    weight: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the postings of sorted keys, and set `place` and `weight` of their words.

    `nearest`: the first voice that ends behind every STRIDE-th word. `before`: postings so far.
    """
    several = 0
    for k in range(len(keys)):
        own = keys[k] >> np.uint64(32)
        several += (k > 0 and own == keys[k - 1] >> np.uint64(32)) or (
            k + 1 < len(keys) and own == keys[k + 1] >> np.uint64(32)
        )
    found = np.empty(several, np.uint32)
    members = np.empty(len(keys), np.int64)
    count = 0
    begin = 0
    while begin < len(keys):
        end = begin + 1
        while end < len(keys) and keys[end] >> np.uint64(32) == keys[begin] >> np.uint64(32):
            end += 1
        if end - begin > 1:
            frequency, last = np.int64(0), np.int64(-1)
            state = keys[begin]
            for k in range(begin, end):
                word = np.int64(keys[k] & np.uint64(0xFFFFFFFF))
                voice = nearest[word // STRIDE]
                while sketches.end[voice] <= word:
                    voice += 1
                frequency += sketches.piece[voice] != last
                last = sketches.piece[voice]
                # Shuffled, in another way for each hash (inside-out, by a linear congruential generator)
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                other = np.int64((state >> np.uint64(33)) % np.uint64(k - begin + 1))
                found[count + k - begin] = found[count + other]
                members[k - begin] = members[other]
                found[count + other] = np.uint32(voice)
                members[other] = word
            if end - begin > COMMON:
                order = keys[begin:end]  # not needed any more
                for k in range(end - begin):
                    first = sketches.words[sketches.start[found[count + k]]] >> np.uint64(32)
                    order[k] = first << np.uint64(32) | np.uint64(members[k])
                _heap_sort(order)
                for k in range(end - begin):
                    members[k] = np.int64(order[k] & np.uint64(0xFFFFFFFF))
                    voice = nearest[members[k] // STRIDE]
                    while sketches.end[voice] <= members[k]:
                        voice += 1
                    found[count + k] = np.uint32(voice)
            for k in range(end - begin):
                place[members[k]] = before + count + k
            found[count] |= np.uint32(RUN)
            count += end - begin
            share = np.uint8(255.0 * np.log(pieces / frequency) / np.log(pieces) + 0.5)
            for k in range(end - begin):
                weight[members[k]] = share
        begin = end
    return found


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
