"""Notes as columns of integers, and the queues of those that sound, while note-ons and note-offs are paired."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.reader.events import Numbers

TICK_SHIFT, PITCH_SHIFT, DRUM_SHIFT, PROGRAM_SHIFT = 22, 15, 14, 7
"""A note's key is one integer that sorts as notes are ordered: tick, pitch, drum, program, velocity."""


class NoteColumns(NamedTuple):
    """Notes as columns of shape (n,)."""

    keys: Numbers
    """Tick, pitch, drum, program and velocity in one number."""
    lengths: Numbers
    """Ticks that the key is down."""
    voices: NDArray[np.int32]
    """The voice, with its sequence before it."""


class Sounding(NamedTuple):
    """The notes whose note-off is yet to come: for each voice and pitch, its slot, a queue or a stack."""

    first: NDArray[np.int32]
    """By `voice << 7 | pitch`: the note that is next to end, -1 for none."""
    last: NDArray[np.int32]
    """The note at the other end of a queue."""
    following: NDArray[np.int32]
    """By note: the one behind it, -1 for none."""
    by_voice: Numbers
    """Notes that sound of a voice."""


@compiled
def nothing_sounding(notes: int, voice_bits: int) -> Sounding:
    """Return the queues before the first of a number of notes."""
    slots = 128 << voice_bits
    return Sounding(
        np.full(slots, -1, np.int32),
        np.full(slots, -1, np.int32),
        np.empty(notes, np.int32),
        np.zeros(1 << voice_bits, np.int64),
    )


@compiled
def silence(notes: NoteColumns, begin: int, end: int, sounding: Sounding, voice_bits: int) -> None:
    """Empty the queues that hold any of the notes from `begin` to `end`."""
    for note in range(begin, end):
        voice = notes.voices[note] & ((1 << voice_bits) - 1)
        slot = voice << 7 | (notes.keys[note] >> PITCH_SHIFT & 0x7F)
        sounding.first[slot] = sounding.last[slot] = -1
        sounding.by_voice[voice] = 0
