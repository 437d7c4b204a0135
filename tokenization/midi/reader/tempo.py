"""The tempo map of a file, and what needs it: the longest note."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.reader.events import STATUS_SHIFT, TEMPO, TICK_SHIFT, Numbers
from tokenization.midi.reader.note_columns import TICK_SHIFT as NOTE_TICK_SHIFT
from tokenization.midi.reader.sorting import sort_pairs
from tokenization.midi.score import segment
from tokenization.midi.standard import DEFAULT_BEAT

LONGEST_NOTE = 120.0
"""Seconds. A longer note is a forgotten note-off or a broken delta time, and no string sounds longer."""


class TempoColumns(NamedTuple):
    """A tempo map: columns of shape (m,), m at least 1."""

    ticks: Numbers
    """Where each tempo begins: first 0, strictly ascending."""
    beats: NDArray[np.float64]
    """Microseconds per quarter note."""


@compiled
def tempo_map(controls: Numbers, fixed_beat: float) -> TempoColumns:
    """Return the tempos of all tracks in one order, from the events of `Events.controls`.

    Of several at one tick the last in the file holds.
    `fixed_beat`: microseconds per beat of a file in seconds, 0 for a file in beats.
    """
    n = 1
    for event in controls:
        n += event >> STATUS_SHIFT & 0xFF == TEMPO
    ticks, order, tempos = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.float64)
    ticks[0], order[0], tempos[0] = 0, 0, fixed_beat if fixed_beat > 0 else DEFAULT_BEAT
    n = 1
    for event in controls:
        if event >> STATUS_SHIFT & 0xFF == TEMPO:
            ticks[n], order[n], tempos[n] = event >> TICK_SHIFT, n, event & 0xFFFFFF
            n += 1
    sort_pairs(ticks, order)
    at, beats = np.empty(n, np.int64), np.empty(n, np.float64)
    m = 0
    for i in range(n):
        if i + 1 == n or ticks[i + 1] > ticks[i]:
            at[m], beats[m] = ticks[i], tempos[order[i]]
            m += 1
    return TempoColumns(at[:m].copy(), beats[:m].copy())


@compiled
def cap_lengths(keys: Numbers, lengths: Numbers, tempos: TempoColumns, ticks_per_beat: int) -> bool:
    """Shorten notes of more than LONGEST_NOTE seconds to it; return True if there was one."""
    ticks, beats = tempos
    longest = LONGEST_NOTE * 1e6 * ticks_per_beat  # in ticks × microseconds per beat, as all times here
    begins = np.empty(len(ticks))
    begins[0] = 0.0
    slowest = beats[0]
    for i in range(1, len(ticks)):
        begins[i] = begins[i - 1] + (ticks[i] - ticks[i - 1]) * beats[i - 1]
        slowest = max(slowest, beats[i])
    suspect = int(longest / slowest)
    found = False
    for i in range(len(keys)):
        if lengths[i] <= suspect:
            continue
        start = keys[i] >> NOTE_TICK_SHIFT
        at = segment(ticks, start)
        end = begins[at] + (start - ticks[at]) * beats[at] + longest
        until = segment(begins, end)
        most = ticks[until] + int((end - begins[until]) / beats[until]) - start
        if lengths[i] > most:
            lengths[i] = most
            found = True
    return found
