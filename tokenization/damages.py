"""Damages: changes to notes that a listener hears, and some that leave music what it is.

Every damage is a function of notes and a generator of random numbers. The measures of music are tested by them
(`tests/benchmarks/measures.py`), and the inner critic learns from them what real music is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tokenization.midi.notes import Notes

LONG = 8.0
"""Seconds of the notes of `notes_to_cap`: the longest note of generation by default."""
DISPLACED = 3.5
"""Seconds by which a bass comes late."""
SPARSE = 24
"""Notes of which `mostly_silent` leaves one."""
MELODIC_PROGRAMS = 112
"""General MIDI programs from 0 on that play notes rather than effects."""
Random = np.random.Generator
Damage = Callable[[Notes, Random], Notes]


def pitches_permuted(notes: Notes, random: Random) -> Notes:
    """Give the pitched notes each other's pitches."""
    pitch = notes.pitch.copy()
    pitched = np.flatnonzero(~notes.drum)
    pitch[pitched] = random.permutation(pitch[pitched])
    return replace(notes, pitch=pitch)


def wrong_notes(notes: Notes, random: Random) -> Notes:
    """Move three notes in ten by one to six semitones, all other than drums."""
    shift = random.integers(1, 7, len(notes)) * random.choice([-1, 1], len(notes))
    wrong = (random.random(len(notes)) < 0.3) & ~notes.drum
    return replace(notes, pitch=np.clip(notes.pitch + shift * wrong, 0, 127).astype(np.uint8))


def one_pitch(notes: Notes, random: Random) -> Notes:
    """Leave one note of each onset, and give all the median pitch."""
    pitched = ~notes.drum
    middle = int(np.median(notes.pitch[pitched])) if pitched.any() else 60
    first = np.diff(notes.onset, prepend=-1.0) > 0.03
    kept = np.flatnonzero(first | notes.drum)
    left = notes.taken(kept)
    return replace(left, pitch=np.where(left.drum, left.pitch, middle).astype(np.uint8))


def one_chord(notes: Notes, random: Random) -> Notes:
    """Move the pitches of the second third to the nearest of C, E and G."""
    begin, end = np.quantile(notes.onset, (1 / 3, 2 / 3)) if len(notes) else (0.0, 0.0)
    chord = np.flatnonzero(np.isin(np.arange(128) % 12, (0, 4, 7)))
    nearest = chord[np.abs(chord - notes.pitch.astype(np.int64)[:, None]).argmin(axis=1)]
    inside = (notes.onset >= begin) & (notes.onset < end) & ~notes.drum
    return replace(notes, pitch=np.where(inside, nearest, notes.pitch).astype(np.uint8))


def notes_to_cap(notes: Notes, random: Random) -> Notes:
    """Hold every note for LONG seconds."""
    return replace(notes, duration=np.full(len(notes), LONG))


def onsets_jittered(notes: Notes, random: Random) -> Notes:
    """Displace onsets by 60 ms in the mean square."""
    return replace(notes, onset=np.maximum(notes.onset + random.normal(0, 0.06, len(notes)), 0.0))


def durations_permuted(notes: Notes, random: Random) -> Notes:
    """Give the notes each other's durations."""
    return replace(notes, duration=random.permutation(notes.duration))


def bars_shuffled(notes: Notes, random: Random) -> Notes:
    """Put bars of four beats into another order."""
    seconds = 240 / notes.tempo
    bar = (notes.onset // seconds).astype(np.int64)
    order = random.permutation(int(bar.max()) + 1)
    return replace(notes, onset=notes.onset + (order[bar] - bar) * seconds)


def bars_reversed(notes: Notes, random: Random) -> Notes:
    """Put bars of four beats into the reverse order."""
    seconds = 240 / notes.tempo
    bar = (notes.onset // seconds).astype(np.int64)
    return replace(notes, onset=notes.onset + (int(bar.max()) - 2 * bar) * seconds)


def bass_displaced(notes: Notes, random: Random) -> Notes:
    """Let what is below middle C come DISPLACED seconds late."""
    low = (notes.pitch < 60) & ~notes.drum
    return replace(notes, onset=notes.onset + low * DISPLACED)


def silence_inside(notes: Notes, random: Random) -> Notes:
    """Part the piece by six seconds of silence at its middle note."""
    middle = float(np.median(notes.onset))
    duration = np.where(notes.onset < middle, np.minimum(notes.duration, middle - notes.onset), notes.duration)
    return replace(notes, onset=notes.onset + (notes.onset >= middle) * 6.0, duration=np.maximum(duration, 0.02))


def top_line(notes: Notes, random: Random) -> Notes:
    """Leave the highest note of each onset alone."""
    order = np.lexsort((notes.pitch, notes.onset))
    last = np.append(np.diff(notes.onset[order]) > 0.03, True)
    return notes.taken(np.sort(order[last | notes.drum[order]]))


def twice_as_fast(notes: Notes, random: Random) -> Notes:
    """Halve all times."""
    return replace(notes, onset=notes.onset / 2, duration=notes.duration / 2)


def transposed(notes: Notes, random: Random) -> Notes:
    """Move all pitched notes by the same five semitones down to six up."""
    shift = int(random.integers(-5, 7))
    moved = np.clip(notes.pitch.astype(np.int64) + shift, 0, 127)
    return replace(notes, pitch=np.where(notes.drum, notes.pitch, moved).astype(np.uint8))


def keys_of_halves_apart(notes: Notes, random: Random) -> Notes:
    """Move the second half of the piece up by a semitone."""
    late = (notes.onset >= np.median(notes.onset)) & ~notes.drum
    return replace(notes, pitch=np.clip(notes.pitch + late * np.uint8(1), 0, 127).astype(np.uint8))


def instrument_swapped(notes: Notes, random: Random) -> Notes:
    """Let another program, of another family of General MIDI, play the notes of one that the piece has."""
    pitched = notes.program[~notes.drum]
    if not len(pitched):
        return notes
    chosen = int(random.choice(np.unique(pitched)))
    other = (chosen + 8 * int(random.integers(1, MELODIC_PROGRAMS // 8))) % MELODIC_PROGRAMS
    moved = (notes.program == chosen) & ~notes.drum
    return replace(notes, program=np.where(moved, other, notes.program).astype(np.uint8))


def mostly_silent(notes: Notes, random: Random) -> Notes:
    """Leave one note of SPARSE."""
    return notes.taken(np.arange(int(random.integers(min(SPARSE, max(len(notes), 1)))), len(notes), SPARSE))
