"""Variations of pieces, and pieces that share a pattern only: what the search for related music is measured on.

An edit leaves the music as it is; a second transcription, an excerpt and a melody alone are related to it. Pieces of
one template have a pattern in common, but no music.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

Edit = Callable[[Notes, np.random.Generator], Notes]

LOST, GHOSTS, JITTER = 0.1, 0.08, 0.01
"""Of a transcription: share of the notes that it lacks, notes too many as a share, deviation of onsets in seconds."""
BASSES = range(32, 40)


def rebuilt(
    notes: Notes,
    onset: NDArray[np.float64] | None = None,
    duration: NDArray[np.float64] | None = None,
    pitch: NDArray[np.int64] | None = None,
    velocity: NDArray[np.int64] | None = None,
    tempo: float | None = None,
) -> Notes:
    """The piece with other columns, sorted again."""
    return Notes.from_columns(
        notes.onset if onset is None else onset,
        notes.duration if duration is None else duration,
        notes.pitch if pitch is None else pitch,
        notes.velocity if velocity is None else velocity,
        notes.program,
        notes.drum,
        notes.tempo if tempo is None else tempo,
    )


def chosen(notes: Notes, which: NDArray[np.bool_] | NDArray[np.int64]) -> Notes:
    """Some notes, or all in another order."""
    return Notes(
        notes.onset[which],
        notes.duration[which],
        notes.pitch[which],
        notes.velocity[which],
        notes.program[which],
        notes.drum[which],
        notes.tempo,
    )


def transposed(notes: Notes, generator: np.random.Generator) -> Notes:
    """Up to 6 semitones up or down, as far as the keyboard allows; drums stay."""
    pitch = notes.pitch.astype(np.int64)
    pitched = pitch[~notes.drum]
    if len(pitched) == 0:
        return notes
    shifts = [shift for shift in range(-6, 7) if shift and -pitched.min() <= shift <= 127 - pitched.max()]
    return rebuilt(notes, pitch=np.where(notes.drum, pitch, pitch + generator.choice(shifts)))


def retimed(notes: Notes, generator: np.random.Generator) -> Notes:
    """Up to 15 % faster or slower."""
    stretch = generator.uniform(0.85, 1.15)
    return rebuilt(notes, notes.onset * stretch, notes.duration * stretch, tempo=notes.tempo / stretch)


def revoiced(notes: Notes, generator: np.random.Generator) -> Notes:
    """Every velocity up to 20 louder or softer."""
    changed = notes.velocity.astype(np.int64) + generator.integers(-20, 21, len(notes))
    return rebuilt(notes, velocity=np.clip(changed, 1, 127))


def split(notes: Notes, generator: np.random.Generator) -> Notes:
    """Each instrument's notes dealt out to two, instruments renumbered: written to a file of other tracks in another
    order, and read again."""
    program = (generator.permutation(128)[notes.program] + generator.integers(0, 2, len(notes))) % 128
    dealt = replace(notes, program=np.where(notes.drum, 0, program).astype(np.uint8))
    return read_midi(write_midi(dealt))


def shuffled(notes: Notes, generator: np.random.Generator) -> Notes:
    """Tracks in another order: notes of one onset and pitch change places."""
    return rebuilt(chosen(notes, generator.permutation(len(notes))))


def quantised(notes: Notes, generator: np.random.Generator) -> Notes:
    """Starts and ends on sixteenths of the file's stated tempo, whether or not it was played to it."""
    grid = 15 / notes.tempo
    onset = np.rint(notes.onset / grid) * grid
    end = np.maximum(np.rint((notes.onset + notes.duration) / grid) * grid, onset + grid)
    return rebuilt(notes, onset, end - onset)


def cut(notes: Notes, at_start: bool) -> Notes:
    """Without the tenth of its time at one end."""
    first, last = notes.onset[0], notes.onset[-1]
    tenth = (last - first) / 10
    left = chosen(notes, notes.onset >= first + tenth if at_start else notes.onset <= last - tenth)
    return rebuilt(left, left.onset - left.onset[0])


def thinned(notes: Notes, generator: np.random.Generator) -> Notes:
    """Without one note in twenty."""
    kept = generator.random(len(notes)) >= 0.05
    return chosen(notes, kept) if kept.any() else notes


def in_turn(*edits: Edit) -> Edit:
    def edited(notes: Notes, generator: np.random.Generator) -> Notes:
        for edit in edits:
            notes = edit(notes, generator)
        return notes

    return edited


def transcribed(notes: Notes, generator: np.random.Generator) -> Notes:
    """Return a transcription of a recording: notes lost, ghosts, onsets and lengths inexact."""
    heard = chosen(notes, generator.random(len(notes)) >= LOST)
    ghosts = int(len(heard) * GHOSTS)
    onset = np.concatenate([heard.onset, generator.uniform(notes.onset[0], notes.onset[-1], ghosts)])
    length = np.concatenate([heard.duration, generator.uniform(0.1, 0.5, ghosts)])
    return Notes.from_columns(
        np.maximum(onset + generator.normal(0, JITTER, len(onset)), 0),
        length * generator.uniform(0.6, 1.4, len(length)),
        np.concatenate([heard.pitch, generator.integers(30, 90, ghosts)]),
        np.concatenate([heard.velocity, np.full(ghosts, 30)]),
        np.concatenate([heard.program, np.zeros(ghosts, np.uint8)]),
        np.concatenate([heard.drum, np.zeros(ghosts, np.bool_)]),
        notes.tempo,
    )


def excerpt(notes: Notes, generator: np.random.Generator, share: float = 0.2) -> Notes:
    """Return a share of the piece's time, from anywhere in it."""
    first, last = notes.onset[0], notes.onset[-1]
    begin = first + generator.random() * (1 - share) * (last - first)
    part = chosen(notes, (notes.onset >= begin) & (notes.onset <= begin + share * (last - first)))
    return rebuilt(part, part.onset - part.onset[0])


def melody(notes: Notes) -> Notes | None:
    """Return the part of the instrument with the highest notes on average; None if there is one instrument only."""
    pitched = chosen(notes, ~notes.drum)
    programs, counts = np.unique(pitched.program, return_counts=True)
    programs = programs[counts > 60]
    if len(programs) < 2:
        return None
    highest = max(programs, key=lambda program: pitched.pitch[pitched.program == program].mean())
    return chosen(pitched, pitched.program == highest)


def with_bass_of(notes: Notes, other: Notes) -> Notes:
    """Return a piece with the bass part of another in place of its own."""
    own = chosen(notes, notes.drum | ~np.isin(notes.program, BASSES))
    bass = chosen(other, ~other.drum & np.isin(other.program, BASSES))
    names = ("onset", "duration", "pitch", "velocity", "program", "drum")
    columns = [np.concatenate([getattr(own, name), getattr(bass, name)]) for name in names]
    return Notes.from_columns(*columns, notes.tempo)


def chord_progressions(count: int, generator: np.random.Generator) -> list[Notes]:
    """Return accompaniments by one template, of 16 chords each: same rhythm and voicing, other chords."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 17, 19, 21])
    pieces = []
    for _ in range(count):
        degrees = np.repeat(generator.integers(0, 7, 16), 4)
        pitch = 48 + generator.integers(0, 12) + scale[degrees[:, None] + np.array([0, 2, 4])]
        onset = np.repeat(np.arange(64) / 2, 3)
        pieces.append(_plain(onset, pitch.ravel()))
    return pieces


def scales(count: int, generator: np.random.Generator) -> list[Notes]:
    """Return tunes that wander, with a scale up and down in another key after every phrase."""
    major = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    run = np.concatenate([major, major[-2::-1]])
    pieces = []
    for _ in range(count):
        tune = [60 + np.cumsum(generator.integers(-5, 6, 16)) for _ in range(12)]
        keys = 48 + generator.permutation(12)
        pitch = np.concatenate([part for own, key in zip(tune, keys, strict=True) for part in (own, key + run)])
        pitch = np.clip(pitch, 24, 108)
        pieces.append(_plain(np.arange(len(pitch)) / 4, pitch))
    return pieces


def drum_loops(count: int, generator: np.random.Generator) -> list[Notes]:
    """Return drums alone: one of three bars, the same for all pieces, 32 times in any order."""
    bars = [generator.choice([36, 38, 42, 46], 16) for _ in range(3)]
    pieces = []
    for _ in range(count):
        keys = np.concatenate([bars[bar] for bar in generator.integers(0, 3, 32)])
        pieces.append(_plain(np.arange(len(keys)) / 8, keys, drums=True))
    return pieces


def _plain(onset: NDArray[np.float64], pitch: NDArray[np.int64], drums: bool = False) -> Notes:
    n = len(onset)
    return Notes.from_columns(onset, np.full(n, 0.2), pitch, np.full(n, 90), np.zeros(n), np.full(n, drums))
