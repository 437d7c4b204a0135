"""The index of a dataset version's training pieces, and the check of a sample against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.originality.background import Background, empty_background, information, learn
from tokenization.originality.grams import NOTES
from tokenization.originality.index_file import IndexFile, IndexFileError
from tokenization.originality.sample_lines import SampleLines
from tokenization.originality.search import Spans, find_spans
from tokenization.originality.words import to_onsets

SUFFIX = ".index"
LEARNED = 2**19
"""Notes of the index that the background is learned from, about."""
MARGIN = 69.0
"""Bits that a copy says beyond the logarithm of the notes of the index: see `tests/benchmarks/originality.py`."""
TRIED = 1000
"""Longest spans of a sample among which the first that is no commonplace is looked for."""
NEAREST = 5
COMPARED = 50
"""Pieces with the most notes in common of which the similarity is computed."""


@dataclass(frozen=True)
class Copy:
    """A span of a sample that stands in a training piece, in any key and at any tempo."""

    notes: int
    """Notes, those that start together counted once."""
    seconds: float
    """From the first onset to the last."""
    at: float
    """Seconds from the start of the sample."""
    piece: str
    """SHA-256 of the training piece's file."""
    piece_at: float
    """Seconds from the start of the training piece, within 1 %."""
    transposition: int
    """Semitones from the training piece to the sample."""
    tempo: float
    """Seconds in the sample for a second of the training piece."""
    bits: float
    """Information of the span: how unlikely it is to be there by chance."""


@dataclass(frozen=True)
class Originality:
    """How much of a sample stands in the training pieces."""

    copy: Copy | None
    """The longest span that is no commonplace; None where all are."""
    commonplace: Copy | None
    """The longest span of all if it is a commonplace: a scale, a broken chord, a figure that is in any music."""
    nearest: tuple[tuple[str, float], ...]
    """SHA-256 of training pieces, and the share of the sample's notes that stands there in spans of at least eight
    notes, 0–1; the greatest first."""

    @property
    def copied_notes(self) -> int:
        """The length of the longest span that is no commonplace, 0 where there is none."""
        return 0 if self.copy is None else self.copy.notes


class OriginalityIndex:
    """The indexes of all shards of a split, mapped into memory."""

    def __init__(self, files: Sequence[IndexFile]) -> None:
        self.files = files
        self.pieces = sum(len(file.piece) for file in files)
        self.notes = sum(len(file.word) for file in files)
        """Notes of all lines."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the indexes in a folder. Raises IndexFileError if there is none, or one that cannot be read."""
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if not paths:
            raise IndexFileError(
                f"{folder} holds no originality index: it was ingested with `--set originality=false`, or by an "
                "earlier release; ingest its collections again without that setting"
            )
        return cls([IndexFile.open(path) for path in paths])

    @cached_property
    def background(self) -> Background:
        """How likely notes follow one another in the pieces of the index."""
        background = empty_background()
        every = max(self.notes // LEARNED, 1)
        for file in self.files:
            learn(background, file.word, file.line_note, every)
        return background

    def check(self, notes: Notes, without: frozenset[str] = frozenset()) -> Originality:
        """Look for a sample in the index.

        `notes`: sorted by onset, as `Encoding.quantised` returns them, which all samples are and the pieces of the
        index were. `without`: SHA-256 that name families whose pieces do not count.
        """
        sample = SampleLines.of(notes)
        found = [self._spans(sample, file, without) for file in self.files]
        common, copy = self._longest(sample, found)
        pitched = int((~notes.drum).sum())
        return Originality(copy, common, self._nearest(sample, found, pitched))

    def _spans(self, sample: SampleLines, file: IndexFile, without: frozenset[str]) -> Spans:
        spans = find_spans(sample, file)
        if without and len(spans.line):
            pieces = file.pieces_of(spans.source_line)
            kept = np.array([file.family_id(piece) not in without for piece in pieces.tolist()], np.bool_)
            spans = Spans(*(column[kept] for column in spans))
        return spans

    def _longest(self, sample: SampleLines, found: Sequence[Spans]) -> tuple[Copy | None, Copy | None]:
        """Return the longest span if it is a commonplace, and the longest that is none."""
        starts = _starts(sample)
        lengths = [starts[spans.end - 1] - starts[spans.begin] + 1 for spans in found]
        owner = np.repeat(np.arange(len(found)), [len(each) for each in lengths])
        number = np.concatenate([np.arange(len(each)) for each in lengths]) if lengths else owner
        length = np.concatenate(lengths) if lengths else owner
        least = MARGIN + np.log2(max(self.notes, 1))
        longest: Copy | None = None
        for place in np.argsort(-length, kind="stable")[:TRIED].tolist():
            if length[place] < NOTES:
                break
            spans, file = found[owner[place]], self.files[owner[place]]
            copy = self._copy(sample, spans, int(number[place]), int(length[place]), file)
            longest = longest or copy
            if copy.bits >= least:
                return (None if longest is copy else longest), copy
        return longest, None

    def _copy(self, sample: SampleLines, spans: Spans, number: int, length: int, file: IndexFile) -> Copy:
        begin, end = int(spans.begin[number]), int(spans.end[number])
        line = int(spans.source_line[number])
        since, until = int(spans.source_begin[number]), int(spans.source_end[number])
        lines = sample.lines
        # The highest notes of those that start together: the order within a chord says nothing.
        onsets = lines.onset[begin:end]
        last = np.append(onsets[1:] > onsets[:-1], True)
        bits = information(self.background, lines.pitch[begin:end][last].copy(), onsets[last].copy())
        first = int(file.line_note[line])
        there = to_onsets(file.word[first:until], float(file.line_start[line]))[since - first :]
        seconds, apart = float(onsets[-1] - onsets[0]), float(there[-1] - there[0])
        piece = int(file.pieces_of(np.array([line]))[0])
        return Copy(
            length,
            round(seconds, 3),
            round(float(onsets[0]), 3),
            file.piece_id(piece),
            round(float(there[0]), 2),
            int(spans.transposition[number]),
            round(seconds / apart, 3) if apart else 1.0,
            round(bits, 1),
        )

    def _nearest(self, sample: SampleLines, found: Sequence[Spans], pitched: int) -> tuple[tuple[str, float], ...]:
        """Return the pieces that share the most notes with the sample, and the shares."""
        totals: list[tuple[int, int, int]] = []
        for owner, (spans, file) in enumerate(zip(found, self.files)):
            if len(spans.line):
                of_piece = np.bincount(file.pieces_of(spans.source_line), spans.end - spans.begin)
                most = np.argsort(-of_piece, kind="stable")[:COMPARED]
                totals += [(int(of_piece[piece]), owner, int(piece)) for piece in most.tolist() if of_piece[piece]]
        shares = []
        for _, owner, piece in sorted(totals, key=lambda total: (-total[0], total[1:]))[:COMPARED]:
            spans, file = found[owner], self.files[owner]
            own = np.flatnonzero(file.pieces_of(spans.source_line) == piece)
            covered = np.unique(_covered(sample, spans.begin[own], spans.end[own]))
            shares.append((file.piece_id(piece), round(min(len(covered) / max(pitched, 1), 1.0), 4)))
        return tuple(sorted(shares, key=lambda share: (-share[1], share[0]))[:NEAREST])


def _starts(sample: SampleLines) -> NDArray[np.int64]:
    """Return for each note of the lines how many different onsets there are up to it."""
    onset = sample.lines.onset
    return np.cumsum(np.append(True, onset[1:] != onset[:-1])[: len(onset)]).astype(np.int64)


def _covered(sample: SampleLines, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the notes of the sample that spans hold."""
    change = np.zeros(len(sample.lines.note) + 1, np.int64)
    np.add.at(change, begins, 1)
    np.add.at(change, ends, -1)
    return sample.lines.note[np.cumsum(change[:-1]) > 0]
