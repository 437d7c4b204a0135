"""The lines of a piece: the sequences of notes in which copies are looked for.

A *part* has all notes of one program; drums have none. The *top line* of a part is its skyline: the notes above which
no other note of it starts or sounds. In a sample the *bottom line* counts, too. A voice that is copied is thereby found
as an instrument of its own, above or below an accompaniment, and together with the other notes of its instrument.

Notes that start together are ordered by pitch, and equal ones count once. Notes start together when no gap between
them is longer than a few hundredths of a second, so a strummed or played chord has one order however its times are
rounded. No threshold separates chords from fast notes at every tempo: an index uses JOIN, a search tries all of JOINS.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import Notes

JOIN = 0.025
"""Seconds of the longest gap between notes of an index that start together."""
JOINS = (0.005, 0.0155, 0.026, 0.0365, 0.047)
"""The same in a search. JOIN lies within these when the tempo differs by up to a third in either direction and times
are rounded to 1/96 s; between two of them lies a whole number of such ticks."""
HELD = 0.03
"""Seconds that a higher note must sound on to hide a lower one."""
MOST_HELD = 32
"""Notes of a part that are followed while they sound."""
PROGRAMS = 128


class Lines(NamedTuple):
    """The lines of a piece, one behind the other. Columns of notes have shape (n,)."""

    pitch: NDArray[np.uint8]
    onset: NDArray[np.float64]
    """Seconds; in a part, notes that start together have the onset of the first."""
    note: NDArray[np.int64]
    """Index of the note in the piece."""
    first: NDArray[np.int64]
    """Index of the first note of each line, then n; shape (lines + 1,)."""


def lines_of(notes: Notes, join: float = JOIN, bottom: bool = False) -> Lines:
    """Return the lines of a piece whose notes are sorted by onset.

    `join`: seconds (see JOIN). `bottom`: return bottom lines, too.
    """
    return _lines(notes.onset, notes.duration, notes.pitch, notes.program, notes.drum, join, bottom)


@compiled
def _lines(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
    join: float,
    bottom: bool,
) -> Lines:
    """Return the lines of a piece: of each part all notes, the top line and, if `bottom`, the bottom line."""
    members, begins = _parts(program, drum)
    sides = 2 if bottom else 1
    most = (1 + sides) * len(members)
    pitches, onsets, note = np.empty(most, np.uint8), np.empty(most, np.float64), np.empty(most, np.int64)
    first = np.zeros((1 + sides) * (len(begins) - 1) + 1, np.int64)
    count = lines = 0
    for part in range(len(begins) - 1):
        begin = count
        count = _in_order(members[begins[part] : begins[part + 1]], onset, pitch, join, pitches, onsets, note, begin)
        lines += 1
        first[lines] = end = count
        for side in range(sides):
            count = _outline(begin, end, onset, duration, side == 1, pitches, onsets, note, count)
            if count - first[lines] == end - begin:  # a part of one voice is its own top and bottom line
                count = first[lines]
                break
            lines += 1
            first[lines] = count
    return Lines(pitches[:count].copy(), onsets[:count].copy(), note[:count].copy(), first[: lines + 1].copy())


@compiled
def _parts(program: NDArray[np.uint8], drum: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the notes of each part, one part behind the other, and where each begins."""
    sizes = np.zeros(PROGRAMS, np.int64)
    for i in range(len(program)):
        sizes[program[i]] += not drum[i]
    begins = np.zeros(PROGRAMS + 1, np.int64)
    places = np.zeros(PROGRAMS, np.int64)
    parts = 0
    for number in range(PROGRAMS):
        if sizes[number]:
            places[number] = begins[parts]
            begins[parts + 1] = begins[parts] + sizes[number]
            parts += 1
    members = np.empty(begins[parts], np.int64)
    for i in range(len(program)):
        if not drum[i]:
            members[places[program[i]]] = i
            places[program[i]] += 1
    return members, begins[: parts + 1]


@compiled
def _in_order(
    members: NDArray[np.int64],
    onset: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    join: float,
    pitches: NDArray[np.uint8],
    onsets: NDArray[np.float64],
    note: NDArray[np.int64],
    count: int,
) -> int:
    """Write the notes of a part from `count` on, those that start together by pitch; return the end."""
    begin = count
    for at in range(len(members)):
        i = members[at]
        if at == 0 or onset[i] - onset[members[at - 1]] > join:
            begin, start = count, onset[i]
        place = count
        while place > begin and pitches[place - 1] > pitch[i]:
            place -= 1
        if place > begin and pitches[place - 1] == pitch[i]:
            continue
        for later in range(count, place, -1):
            pitches[later], note[later] = pitches[later - 1], note[later - 1]
        pitches[place], note[place], onsets[count] = pitch[i], i, start
        count += 1
    return count


@compiled
def _outline(
    begin: int,
    end: int,
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    bottom: bool,
    pitches: NDArray[np.uint8],
    onsets: NDArray[np.float64],
    note: NDArray[np.int64],
    count: int,
) -> int:
    """Write the top or bottom line of the notes from `begin` to `end` from `count` on; return its end."""
    heights, ends = np.empty(MOST_HELD, np.int64), np.empty(MOST_HELD, np.float64)  # of the notes that sound
    held = 0
    i = begin
    while i < end:
        until = i + 1
        while until < end and onsets[until] == onsets[i]:
            until += 1
        outer = i if bottom else until - 1
        height = -np.int64(pitches[outer]) if bottom else np.int64(pitches[outer])
        hidden = False
        kept = 0
        for other in range(held):
            if ends[other] > onsets[i] + HELD:
                hidden |= heights[other] > height
                # A note that is neither higher nor longer than the new one hides nothing that it does not hide.
                if heights[other] > height or ends[other] > onsets[i] + duration[note[outer]]:
                    heights[kept], ends[kept] = heights[other], ends[other]
                    kept += 1
        held = kept
        if not hidden:
            pitches[count], onsets[count], note[count] = pitches[outer], onset[note[outer]], note[outer]
            count += 1
        if held < MOST_HELD:
            heights[held], ends[held] = height, onsets[i] + duration[note[outer]]
            held += 1
        i = until
    return count
