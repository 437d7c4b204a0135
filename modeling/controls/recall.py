"""The recall of a section by a later one, as compiled code.

At each tick of a section that recalls another one, what was struck as long after the other's beginning becomes
likelier: its notes and, when they are struck, the wait to its next onset. The network stays free to go on otherwise.
Sections are counted in bars, so that what comes back is on the same beats: of four quarter notes, or of three where the
first beats repeat themselves more by three.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.controls.form import NEW
from tokenization.compiled import compiled

REMEMBERED = 4096
"""Notes of a piece that can be recalled; of a longer one the latest."""
TRIPLE, QUADRUPLE = 3, 4
"""Quarter notes of a bar."""
METRE_BEATS = 16
"""Beats by which the metre is told, before which nothing is recalled."""
LOW = 72
"""Pitch from which on lower notes weigh more in telling the metre, by one for each octave: basses mark the bars."""
OCTAVE = 12
OVERLAP = 4
"""Beats that are compared with later ones at least."""
MARGIN = 0.12
"""Correlation by which a triple metre has to be the likelier: of 1,107 real pieces 9 % in duple time are taken for
triple then, and 69 % in triple time are told (`tests/benchmarks/metre.py`)."""


class Score(NamedTuple):
    """The notes of each piece as they were struck, drum hits included: rings, shape (batch, REMEMBERED)."""

    tick: NDArray[np.int64]
    instrument: NDArray[np.int16]
    pitch: NDArray[np.int16]
    notes: NDArray[np.int64]
    """Notes so far, shape (batch,)."""
    weight: NDArray[np.float64]
    """Weight of the notes on each of the first beats, shape (batch, METRE_BEATS)."""
    bar: NDArray[np.int64]
    """Beats of a bar, shape (batch,); 0 until METRE_BEATS have passed."""


def empty_score(batch: int) -> Score:
    """Return the score of pieces that have not begun."""
    ring, piece = (batch, REMEMBERED), (batch,)
    return Score(
        np.zeros(ring, np.int64),
        np.zeros(ring, np.int16),
        np.zeros(ring, np.int16),
        np.zeros(piece, np.int64),
        np.zeros((batch, METRE_BEATS)),
        np.zeros(piece, np.int64),
    )


@compiled
def note_down(score: Score, row: int, tick: int, beat: int, instrument: int, pitch: int) -> None:
    """Write down a note that is struck; `beat`: ticks of a beat."""
    place = score.notes[row] % REMEMBERED
    score.tick[row, place], score.instrument[row, place], score.pitch[row, place] = tick, instrument, pitch
    score.notes[row] += 1
    if tick % beat == 0 and tick < METRE_BEATS * beat:
        score.weight[row, tick // beat] += 1.0 + max(LOW - pitch, 0) / OCTAVE


@compiled
def tell_metre(score: Score, row: int) -> None:
    """Decide how many beats the bars of a piece have."""
    score.bar[row] = TRIPLE if likeness_of_triple(score, row) > MARGIN else QUADRUPLE


@compiled
def likeness_of_triple(score: Score, row: int) -> float:
    """Return by how much the first beats' weights repeat themselves more by three beats than by four: the difference
    of their mean autocorrelations."""
    weight = score.weight[row] - score.weight[row].mean()
    return _likeness(weight, TRIPLE) - _likeness(weight, QUADRUPLE)


@compiled
def _likeness(weight: NDArray[np.float64], bar: int) -> float:
    """Return the mean correlation of the weights with those one bar later, two, and so on."""
    total, count = 0.0, 0
    for lag in range(bar, len(weight) - OVERLAP + 1, bar):
        early, late = weight[: len(weight) - lag], weight[lag:]
        power = np.sqrt((early * early).sum() * (late * late).sum())
        if power > 0:
            total += (early * late).sum() / power
        count += 1
    return total / count


@compiled
def recall(
    score: Score,
    row: int,
    now: int,
    plan: NDArray[np.int64],
    section: int,
    nats: float,
    by_pitch: NDArray[np.float64],
) -> int:
    """Add `nats` to the notes that the section recalled has here and that are not struck yet, in `by_pitch`, shape
    (instruments, pitches), and return 0; if all are struck, return the ticks to its next onset, at most to its end.

    `plan`: the section that each one recalls; `section`: ticks of a section. Returns 0 where nothing is recalled.
    """
    number = now // section
    if number >= len(plan) or plan[number] == NEW:
        return 0
    then = now - (number - plan[number]) * section
    first, end = max(score.notes[row] - REMEMBERED, 0), score.notes[row]
    if first > 0 and score.tick[row, first % REMEMBERED] >= then:
        return 0
    place = _first_at(score, row, then, first, end)
    is_left = False
    while place < end and score.tick[row, place % REMEMBERED] == then:
        instrument, pitch = score.instrument[row, place % REMEMBERED], score.pitch[row, place % REMEMBERED]
        if not _is_struck(score, row, now, instrument, pitch, first, end):
            by_pitch[instrument, pitch] += nats
            is_left = True
        place += 1
    if is_left or place == end:
        return 0
    return int(min(score.tick[row, place % REMEMBERED] - then, section - then % section))


@compiled
def _first_at(score: Score, row: int, tick: int, first: int, end: int) -> int:
    """Return the number of the first note at a tick or later, of those from `first` to before `end`."""
    while first < end:
        middle = (first + end) // 2
        if score.tick[row, middle % REMEMBERED] < tick:
            first = middle + 1
        else:
            end = middle
    return first


@compiled
def _is_struck(score: Score, row: int, now: int, instrument: int, pitch: int, first: int, end: int) -> bool:
    """Return True if a note has been struck at this tick."""
    place = end - 1
    while place >= first and score.tick[row, place % REMEMBERED] == now:
        at = place % REMEMBERED
        if score.instrument[row, at] == instrument and score.pitch[row, at] == pitch:
            return True
        place -= 1
    return False
