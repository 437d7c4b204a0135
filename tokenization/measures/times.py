"""Measures of time. Each returns NaN where a passage has nothing that it could be taken of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.definitions import (
    BEATS_PER_BAR,
    DENSEST,
    LONGEST_TIME,
    MOST_TOGETHER,
    PER_BEAT,
    PER_OCTAVE,
    SHORTEST_TIME,
    TIME_BINS,
)
from tokenization.measures.passage import Passage, beats_of
from tokenization.measures.pitches import shares

WINDOW = 2.0
"""Seconds of a window of density."""
NEAR_CAP = 0.98
"""Share of the cap from which on a note counts as ended by it: ticks round."""


def time_bins(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each time, in quarter octaves from SHORTEST_TIME on."""
    inside = np.clip(seconds, SHORTEST_TIME, LONGEST_TIME)
    bins: NDArray[np.int64] = np.minimum(np.log2(inside / SHORTEST_TIME) * PER_OCTAVE, TIME_BINS - 1).astype(np.int64)
    return bins


def onset_intervals(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of seconds between onsets, shape (40,)."""
    return shares(time_bins(np.diff(passage.onsets)), TIME_BINS)


def durations(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of seconds of pitched notes, shape (40,)."""
    return shares(time_bins(passage.notes.duration[passage.pitched]), TIME_BINS)


def notes_per_onset(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of onsets by the notes that start there, shape (16,): 1 to 16."""
    counts = np.bincount(passage.onset_of)
    return shares(np.minimum(counts, MOST_TOGETHER) - 1, MOST_TOGETHER)


def density(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of windows by notes a second, shape (81,): 0 to 40 by halves.

    The last window, which the piece does not fill, counts only where it is the only one.
    """
    onset = passage.notes.onset
    if not len(onset):
        return np.full(2 * DENSEST + 1, np.nan)
    counts = np.bincount(((onset - onset[0]) / WINDOW).astype(np.int64))
    counts = counts[:-1] if len(counts) > 1 else counts
    return shares(np.minimum(counts, 2 * DENSEST), 2 * DENSEST + 1)


def polyphony(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of time by the pitched notes that sound, shape (17,): 0 to 16."""
    onset, end = passage.notes.onset[passage.pitched], passage.end[passage.pitched]
    times = np.concatenate([onset, end])
    order = np.argsort(times, kind="stable")
    voices = np.cumsum(np.concatenate([np.ones(len(onset), np.int64), np.full(len(end), -1)])[order])
    lasting = np.diff(times[order])
    return shares(np.clip(voices[:-1], 0, MOST_TOGETHER), MOST_TOGETHER + 1, lasting)


def groove(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of onsets by their position in the bar, shape (48,)."""
    positions = BEATS_PER_BAR * PER_BEAT
    return shares(np.rint(passage.beats * PER_BEAT).astype(np.int64) % positions, positions)


def onset_grid(passage: Passage) -> float:
    """Return the mean distance of onsets from the nearest twelfth of a beat, in twelfths: 0–0.5."""
    places = passage.beats * PER_BEAT
    return float(np.abs(places - np.rint(places)).mean()) if len(places) else float("nan")


def longest_silence(passage: Passage) -> float:
    """Return the longest time in seconds, between the first and the last onset, in which nothing sounds."""
    if not len(passage.notes):
        return float("nan")
    until = np.maximum.accumulate(passage.end)
    return float(np.max(passage.notes.onset[1:] - until[:-1], initial=0.0))


def capped(passage: Passage, cap: float, in_beats: bool) -> float:
    """Return the share of pitched notes that last `cap` seconds or longer.

    `in_beats`: the cap counts beats of half a second, as where ticks are parts of a beat.
    """
    notes, chosen = passage.notes, passage.pitched
    if not len(chosen):
        return float("nan")
    lasting = notes.duration[chosen]
    if in_beats:
        lasting = (beats_of(notes, passage.end[chosen]) - beats_of(notes, notes.onset[chosen])) / 2
    return float((lasting >= NEAR_CAP * cap).mean())
