"""The hash of a piece's notes: equal for the same music in another file."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import Notes

HASH_STEP = 1e-3
"""Seconds; differences much smaller than this do not change the hash."""
HASH_OFFSET = (3 - 5**0.5) / 2
"""The place of a step's boundary within it. Times in files are fractions of a beat, which this is farthest from."""


def note_hash(notes: Notes) -> str:
    """Return the SHA-256, in hexadecimal digits, of the music of a piece.

    It is equal for the same onsets (from the first one), durations, pitches, velocities and instruments in any order
    of tracks. Times are compared in steps of HASH_STEP.
    """
    keys, durations, is_sorted = _canonical(
        notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum
    )
    if not is_sorted:
        order = np.lexsort((durations, keys))
        keys, durations = keys[order], durations[order]
    digest = hashlib.sha256(keys.astype("<u8", copy=False).tobytes())
    digest.update(durations.astype("<u4", copy=False).tobytes())
    return digest.hexdigest()


@compiled
def _canonical(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    velocity: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], bool]:
    """Return each note as a number that sorts by time, its duration in steps, and True if they are sorted."""
    n = len(onset)
    keys = np.empty(n, np.uint64)
    durations = np.empty(n, np.uint32)
    for i in range(n):
        step = np.uint64(np.floor((onset[i] - onset[0]) / HASH_STEP + HASH_OFFSET))
        instrument = np.uint64(128) if drum[i] else np.uint64(program[i])
        key = (
            (step << np.uint64(22))
            | (np.uint64(pitch[i]) << np.uint64(15))
            | (instrument << np.uint64(7))
            | np.uint64(velocity[i])
        )
        keys[i] = key
        durations[i] = np.uint32(min(np.floor(duration[i] / HASH_STEP + HASH_OFFSET), 4294967295.0))
    # Nearly sorted: each note moves back a few places. If it would be many, sorting is left to the caller.
    moves = 8 * n
    for i in range(1, n):
        key, length = keys[i], durations[i]
        place = i
        while place and moves and (key < keys[place - 1] or (key == keys[place - 1] and length < durations[place - 1])):
            keys[place], durations[place] = keys[place - 1], durations[place - 1]
            place -= 1
            moves -= 1
        keys[place], durations[place] = key, length
    return keys, durations, moves > 0
