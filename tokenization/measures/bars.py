"""Likeness of the bars of a passage, all taken to have four beats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.definitions import BEATS_PER_BAR, LAGS, TONES
from tokenization.measures.passage import PITCHES, Passage

SIXTEENTHS = 4 * BEATS_PER_BAR
NEAR = ((0, 1.0), (1, 0.5), (2, 0.3), (-1, 0.5), (-2, 0.3))
"""Semitones from a note, and its weight there: bars that move on by steps are near each other, too."""
MOST_BARS = 1024
"""Bars that are compared; of a longer passage the first."""


class BarMeasures(NamedTuple):
    """Measures of a passage's bars; NaN where it has too few."""

    self_similarity: NDArray[np.float64]
    """Mean cosine of bars 1 to LAGS bars apart, shape (LAGS,)."""
    order: float
    """Mean cosine by pitch of neighbours less that of all pairs."""
    recurrence: float
    """Mean of each bar's greatest cosine with one before it."""
    groove_consistency: float
    """1 less the share of sixteenths in which neighbouring bars differ."""


def bar_measures(passage: Passage) -> BarMeasures:
    """Compare the bars of a passage: by onsets of pitch classes, by pitches for their order, by onsets for the groove.

    Bars without a pitched note are left out of the cosines.
    """
    bars = min(passage.bars, MOST_BARS)
    profile, nothing = np.full(LAGS, np.nan), float("nan")
    if bars < 2:
        return BarMeasures(profile, nothing, nothing, nothing)
    place = np.rint(passage.beats * 4).astype(np.int64) - passage.first_bar * SIXTEENTHS
    inside = place < bars * SIXTEENTHS
    hits = np.zeros((bars, SIXTEENTHS), np.bool_)
    hits.reshape(-1)[place[inside]] = True
    consistency = 1.0 - float((hits[1:] != hits[:-1]).mean())

    cells = np.zeros((bars * SIXTEENTHS, TONES), np.float32)
    chosen = passage.pitched[inside[passage.onset_of[passage.pitched]]]
    cells[place[passage.onset_of[chosen]], passage.notes.pitch[chosen] % TONES] = 1.0
    cosine, full = _cosines(cells.reshape(bars, -1))
    valid = full[:, None] & full[None, :]
    for lag in range(1, min(LAGS, bars - 1) + 1):
        both = valid.diagonal(lag)
        if both.any():
            profile[lag - 1] = cosine.diagonal(lag)[both].mean()
    before = np.tril(valid, -1)
    if not before.any():
        return BarMeasures(profile, nothing, nothing, consistency)
    later = before.any(axis=1)
    recurrence = float(np.where(before, cosine, 0.0).max(axis=1)[later].mean())
    near = np.zeros((bars, PITCHES + 4), np.float32)
    for away, weight in NEAR:
        keys = passage.notes.pitch[chosen].astype(np.int64) + 2 + away
        np.add.at(near, (place[passage.onset_of[chosen]] // SIXTEENTHS, keys), weight)
    by_pitch, _ = _cosines(near)
    neighbours = valid.diagonal(1)
    order = by_pitch.diagonal(1)[neighbours].mean() - by_pitch[before].mean() if neighbours.any() else nothing
    return BarMeasures(profile, float(order), recurrence, consistency)


def _cosines(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the cosine of every pair of rows, and True for the rows that are not empty."""
    length = np.linalg.norm(rows, axis=1)
    full: NDArray[np.bool_] = length > 0
    unit = rows / np.where(full, length, 1.0)[:, None]
    return (unit @ unit.T).astype(np.float64), full
