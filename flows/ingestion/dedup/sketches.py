"""The sketches of many pieces as columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tokenization.compiled import compiled

FEWEST = 24
"""Entries of a voice that are always kept: of more than about two million pieces, all there are of most."""
MOST = 0xFFFF
"""The greatest number of entries that a fingerprint's format allows a voice."""
ROWS = 100_000
"""Fingerprints that are converted at a time."""
MOST_ENTRIES = 80 << 20
"""Entries of all sketches together that deduplication uses, which bounds its memory and time: of more than half a
million pieces each is known by fewer features."""


UNITS_A_SECOND = float(1 << 30)
"""Steps in which the unit of begins is told apart."""


class Sketches(NamedTuple):
    """The v voices of n pieces. Columns of voices have shape (v,)."""

    words: NDArray[np.uint64]
    """The voices' entries (see `tokenization.fingerprint.sketch`), voice by voice, perhaps with other words between
    them; shape (w,)."""
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
    features: NDArray[np.uint64]
    """A hash of the features of each piece; shape (n,)."""
    contents: NDArray[np.uint64]
    """A hash of all that is known of each piece: its features, begins, pitches, notes and units; shape (n,)."""

    @classmethod
    def of(cls, fingerprints: pl.Series, most: int | None = None) -> Sketches:
        """Read fingerprints, a binary column without nulls.

        `most`: entries that are kept in all, of each voice those with the smallest hashes, but FEWEST at least.
        """
        parts = [fingerprints.slice(first, ROWS) for first in range(0, max(len(fingerprints), 1), ROWS)]
        counts = [_counts(*_words(part)) for part in parts] if most is not None or len(parts) > 1 else []
        voices, entries = (int(sum(column)) for column in zip(*counts, strict=True)) if counts else (0, 0)
        limit = MOST if most is None or entries <= most else max(most // voices, FEWEST)
        is_copied = len(parts) > 1 or limit < MOST  # else the words of the fingerprints serve as they are
        copied, used = np.empty(min(entries, voices * limit), np.uint64), 0  # what is not written to takes no memory
        columns: list[tuple[NDArray[Any], ...]] = []
        for part in parts:
            words, offsets = _words(part)
            start, sizes, *others = _voices(words, offsets, limit)
            columns.append((start, sizes, *others))
            if is_copied:
                used = _copy(words, start, sizes, copied, used)
        start, sizes, notes, drums, complete, unit, per_piece, total = (
            column[0] if len(parts) == 1 else np.concatenate(column) for column in zip(*columns, strict=True)
        )
        if is_copied:
            words, start = copied[:used], np.cumsum(sizes) - sizes
        piece = np.repeat(np.arange(len(per_piece)), per_piece)
        first_voice = np.concatenate([[0], np.cumsum(per_piece)])
        end, empty = start + sizes, np.empty(len(per_piece), np.uint64)
        words.setflags(write=False)  # as those of fingerprints are: another type of array would be compiled for
        found = cls(words, start, end, piece, notes, drums, complete, unit, first_voice, total, empty, empty.copy())
        _hash_pieces(found)
        return found

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
            self.features[pieces],
            self.contents[pieces],
        )


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
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.bool_],
    NDArray[np.bool_],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    """Return first entry, size, notes, drums, complete and unit of voices; of pieces the numbers of voices and notes.

    `offsets`: where the words of each fingerprint begin, and the number of words. `limit`: greatest size.
    """
    n = len(offsets) - 1
    voices, _ = _counts(words, offsets)
    starts, sizes = np.empty(voices, np.int64), np.empty(voices, np.int64)
    notes, units = np.empty(voices, np.int64), np.empty(voices, np.uint32)
    drums, complete = np.empty(voices, np.bool_), np.empty(voices, np.bool_)
    per_piece, total = np.empty(n, np.int64), np.empty(n, np.int64)
    voice = np.int64(0)
    for i in range(n):
        per_piece[i] = words[offsets[i]] & np.uint64(0xFFFFFFFF)
        total[i] = words[offsets[i]] >> np.uint64(32)
        source = offsets[i] + 1 + per_piece[i]
        for head in words[offsets[i] + 1 : source]:
            size = np.int64(head & np.uint64(0xFFFF))
            starts[voice] = source
            sizes[voice] = size if size < limit else limit
            notes[voice] = (head >> np.uint64(16)) & np.uint64(0x3FFF)
            drums[voice] = (head >> np.uint64(30)) & np.uint64(1)
            complete[voice] = (head >> np.uint64(31)) & np.uint64(1) and size <= limit
            units[voice] = head >> np.uint64(32)
            source += size
            voice += 1
    return starts, sizes, notes, drums, complete, units.view(np.float32).astype(np.float64), per_piece, total


@compiled
def _copy(
    words: NDArray[np.uint64], start: NDArray[np.int64], sizes: NDArray[np.int64], to: NDArray[np.uint64], used: int
) -> int:
    """Copy the entries of voices behind those in use, one after the other; return how many are in use now."""
    for voice in range(len(start)):
        for word in range(start[voice], start[voice] + sizes[voice]):
            to[used] = words[word]
            used += 1
    return used


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """Return 64 bits that all depend on all of a number (the finaliser of MurmurHash 3)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@compiled
def signed(number: Any) -> int:
    """Return a whole number of any type as a signed one: signed and unsigned numbers together are floats to numba."""
    return np.int64(number)  # type: ignore[return-value]


@compiled
def _hash_pieces(sketches: Sketches) -> None:
    """Set `features` and `contents` of every piece (FNV-1a over the hashes; a multiplicative hash of the entries)."""
    for i in range(len(sketches.features)):
        features = np.uint64(0xCBF29CE484222325)
        content = mixed(np.uint64(sketches.total[i]))
        for voice in range(sketches.first_voice[i], sketches.first_voice[i + 1]):
            size = sketches.end[voice] - sketches.start[voice]
            features = (features ^ np.uint64(size)) * np.uint64(0x100000001B3)
            kind = np.uint64(sketches.drums[voice]) * np.uint64(2) + np.uint64(sketches.complete[voice])
            content = mixed(content ^ (np.uint64(sketches.notes[voice]) << np.uint64(2)) ^ kind)
            content = mixed(content ^ np.uint64(sketches.unit[voice] * UNITS_A_SECOND))
            for entry in sketches.words[sketches.start[voice] : sketches.end[voice]]:
                features = (features ^ (entry >> np.uint64(32))) * np.uint64(0x100000001B3)
                features ^= features >> np.uint64(29)
                content = (content ^ entry) * np.uint64(0x9E3779B97F4A7C15)
                content ^= content >> np.uint64(32)
            content = mixed(content)
        sketches.features[i], sketches.contents[i] = features, content
