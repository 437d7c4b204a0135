"""The lines of a sample, and the grams by which they are looked for."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.originality.grams import COMMON, NOTES, grams
from tokenization.originality.lines import JOINS, Lines, lines_of


class SampleLines(NamedTuple):
    """All lines of a sample, however notes that start nearly together are joined, and their different grams."""

    lines: Lines
    hashes: NDArray[np.uint64]
    """Of the grams, ascending; shape (grams,)."""
    gram_at: NDArray[np.int64]
    """First note of each gram."""
    gram_line: NDArray[np.int64]

    @classmethod
    def of(cls, notes: Notes) -> Self:
        """Return the lines of a sample whose notes are sorted by onset."""
        different: dict[bytes, Lines] = {}
        for join in JOINS:
            lines = lines_of(notes, join, bottom=True)
            for begin, end in zip(lines.first[:-1].tolist(), lines.first[1:].tolist()):
                own = slice(begin, end)
                line = Lines(lines.pitch[own], lines.onset[own], lines.note[own], np.array([0, end - begin]))
                if end - begin >= NOTES:
                    different.setdefault(line.note.tobytes() + line.onset.tobytes(), line)
        found = [*different.values()]
        first = np.cumsum([0, *(len(line.pitch) for line in found)])
        lines = Lines(
            np.concatenate([np.empty(0, np.uint8), *(line.pitch for line in found)]),
            np.concatenate([np.empty(0, np.float64), *(line.onset for line in found)]),
            np.concatenate([np.empty(0, np.int64), *(line.note for line in found)]),
            first,
        )
        hashes = [grams(line.pitch) for line in found]
        counts = [len(each) for each in hashes]
        of_line = np.repeat(np.arange(len(found)), counts)
        flat = np.concatenate([np.empty(0, np.uint64), *hashes])
        at = np.arange(len(flat)) + (first[:-1] - np.cumsum([0, *counts])[:-1])[of_line]
        rare = np.flatnonzero(flat != COMMON)
        keys = flat[rare] << np.uint64(32) | lines.note[at[rare]].astype(np.uint64)
        chosen = rare[np.unique(keys, return_index=True)[1]]  # one of each hash and first note, by hash
        return cls(lines, flat[chosen], at[chosen], of_line[chosen])
