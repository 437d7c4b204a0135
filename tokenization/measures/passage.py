"""A passage: the part of a piece that is measured, with what several measures need of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.definitions import BEATS_PER_BAR
from tokenization.midi.notes import Notes

TOGETHER = 0.03
"""Seconds by which a note may follow the one before and still start together with it, as chords of players do."""
RELEASED = 0.05
"""Seconds that a note must sound on beyond an onset to count as sounding there: legato is no chord."""
PITCHES = 128


@dataclass(frozen=True)
class Extract:
    """The part of each piece that is measured: the same of all, so that long pieces compare with short ones."""

    notes: int | None = 256
    """Notes from the first on, with those that start together with the last; None: all."""
    after: float = 0.0
    """Seconds from the first onset that are left out: a prompt."""

    def of(self, notes: Notes) -> Notes:
        """Return the part, its notes sorted by onset."""
        order = np.argsort(notes.onset, kind="stable")
        onset = notes.onset[order]
        begin = int(np.searchsorted(onset, onset[0] + self.after)) if len(order) and self.after else 0
        end = len(order)
        if self.notes is not None and end - begin > self.notes:
            end = int(np.searchsorted(onset, onset[begin + self.notes - 1] + TOGETHER, side="right"))
        return notes.taken(order[begin:end])


@dataclass(frozen=True, eq=False)
class Passage:
    """Notes sorted by onset, with their onsets, beats and sounding pitches. `notes` is an extract, n notes long."""

    notes: Notes

    @cached_property
    def pitched(self) -> NDArray[np.int64]:
        """Indices of the notes that are no drum hits, shape (pitched,)."""
        return np.flatnonzero(~self.notes.drum)

    @cached_property
    def onset_of(self) -> NDArray[np.int64]:
        """The number of the onset with which each note starts, shape (n,): notes TOGETHER share one."""
        return np.cumsum(np.diff(self.notes.onset, prepend=-np.inf) > TOGETHER) - 1

    @cached_property
    def onsets(self) -> NDArray[np.float64]:
        """Seconds of each onset, shape (onsets,)."""
        return self.notes.onset[np.flatnonzero(np.diff(self.onset_of, prepend=-1))]

    @cached_property
    def end(self) -> NDArray[np.float64]:
        """Seconds at which each note ends, shape (n,)."""
        return self.notes.onset + self.notes.duration

    @cached_property
    def beats(self) -> NDArray[np.float64]:
        """Quarter notes from the piece's beginning to each onset, by the tempo map, shape (onsets,)."""
        return beats_of(self.notes, self.onsets)

    @cached_property
    def bars(self) -> int:
        """Bars from the first onset's to the last one's; 0 without notes."""
        return 0 if not len(self.beats) else int(self.beats[-1] // BEATS_PER_BAR - self.first_bar) + 1

    @property
    def first_bar(self) -> int:
        """The bar of the first onset."""
        return int(self.beats[0] // BEATS_PER_BAR)

    @cached_property
    def sounding(self) -> NDArray[np.bool_]:
        """True for the pitches that sound at each onset, drums left out, shape (onsets, 128)."""
        rows = len(self.onsets)
        change = np.zeros((rows + 1, PITCHES), np.int32)
        first = self.onset_of[self.pitched]
        last = np.searchsorted(self.onsets, self.end[self.pitched] - RELEASED, side="left")
        pitch = self.notes.pitch[self.pitched].astype(np.int64)
        np.add.at(change, (first, pitch), 1)
        np.add.at(change, (np.maximum(last, first + 1), pitch), -1)
        return np.cumsum(change[:-1], axis=0) > 0


def beats_of(notes: Notes, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quarter notes from second 0 to each of `seconds`, by the tempo map."""
    tempos = notes.tempos
    rate = tempos.tempo / 60
    begins = tempos.seconds - tempos.seconds[0]
    before = np.concatenate([[0.0], np.cumsum(np.diff(begins) * rate[:-1])])
    at = seconds - tempos.seconds[0]
    part = np.maximum(np.searchsorted(begins, at, side="right") - 1, 0)
    beats: NDArray[np.float64] = before[part] + (at - begins[part]) * rate[part]
    return beats
