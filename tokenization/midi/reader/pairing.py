"""Note-ons and note-offs → notes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.reader.events import (
    CONTROLLER,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    STATUS_SHIFT,
    TRACK_END,
    Numbers,
)
from tokenization.midi.reader.events import TICK_SHIFT as EVENT_TICK_SHIFT
from tokenization.midi.standard import DRUM_CHANNEL

HANGING_BEATS = 1
"""The length at most of a pitched note that is never ended."""

TICK_SHIFT, PITCH_SHIFT, DRUM_SHIFT, PROGRAM_SHIFT = 22, 15, 14, 7
"""A note's key is one integer that sorts as notes are ordered: tick, pitch, drum, program, velocity."""


class NoteColumns(NamedTuple):
    """Notes as columns of shape (n,)."""

    keys: Numbers
    """Tick, pitch, drum, program and velocity in one number."""
    lengths: Numbers
    """Ticks that the key is down."""
    voices: NDArray[np.int32]
    """The channel + 16 × the sequence."""


class _Sounding(NamedTuple):
    """The notes whose note-off is yet to come: for each channel and pitch a queue in the order of their starts."""

    oldest: NDArray[np.int32]
    """By `channel << 7 | pitch`, shape (2048,): the note that began first, -1 for none."""
    newest: NDArray[np.int32]
    """The note that began last, shape (2048,)."""
    following: NDArray[np.int32]
    """By note: the one behind it in its queue, -1 for none."""
    by_channel: Numbers
    """Notes that sound on a channel, shape (16,)."""


@compiled
def pair_notes(events: Numbers, ticks_per_beat: int, is_successive: bool) -> tuple[NoteColumns, bool]:
    """Return the notes of `Events.notes` in the order of their note-ons, and whether one was never ended.

    A note-off ends the oldest note of its channel and pitch in the track. Programs hold for a channel within a track.
    `is_successive`: each track is a sequence of its own.
    """
    most = len(events)
    notes = NoteColumns(np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32))
    keys, lengths, voices = notes
    sounding = _Sounding(
        np.empty(2048, np.int32), np.empty(2048, np.int32), np.empty(most, np.int32), np.zeros(16, np.int64)
    )
    oldest, newest, following, by_channel = sounding
    oldest[:] = -1
    programs = np.zeros(16, np.int64)
    n = first = sequence = 0
    has_hanging = False
    for event in events:
        status, one, other = event >> STATUS_SHIFT & 0xFF, event >> 8 & 0x7F, event & 0x7F
        kind, channel = status >> 4, status & 15
        if kind == NOTE_ON and other > 0:
            tick, slot = event >> EVENT_TICK_SHIFT, channel << 7 | one
            drum = int(channel == DRUM_CHANNEL)
            keys[n] = (
                tick << TICK_SHIFT
                | one << PITCH_SHIFT
                | drum << DRUM_SHIFT
                | programs[channel] << PROGRAM_SHIFT
                | other
            )
            lengths[n] = -1
            voices[n] = sequence << 4 | channel
            following[n] = -1
            if oldest[slot] < 0:
                oldest[slot] = n
            else:
                following[newest[slot]] = n
            newest[slot] = n
            by_channel[channel] += 1
            n += 1
        elif kind in (NOTE_ON, NOTE_OFF):
            slot = channel << 7 | one
            note = oldest[slot]
            if note >= 0:
                lengths[note] = (event >> EVENT_TICK_SHIFT) - (keys[note] >> TICK_SHIFT)
                oldest[slot] = following[note]
                by_channel[channel] -= 1
        elif kind == PROGRAM:
            programs[channel] = one
        elif kind == CONTROLLER:
            if by_channel[channel] > 0:
                _end_channel(notes, sounding, channel, event >> EVENT_TICK_SHIFT)
        elif status == TRACK_END:
            tick = event >> EVENT_TICK_SHIFT
            has_hanging |= _end_hanging(keys[first:n], lengths[first:n], tick, HANGING_BEATS * ticks_per_beat)
            oldest[:] = -1
            by_channel[:] = 0
            programs[:] = 0
            first = n
            sequence += is_successive
    return NoteColumns(keys[:n], lengths[:n], voices[:n]), has_hanging


@compiled
def _end_channel(notes: NoteColumns, sounding: _Sounding, channel: int, tick: int) -> None:
    """End all notes of a channel that began before a tick."""
    for slot in range(channel << 7, (channel + 1) << 7):
        note = sounding.oldest[slot]
        while note >= 0 and notes.keys[note] >> TICK_SHIFT < tick:
            notes.lengths[note] = tick - (notes.keys[note] >> TICK_SHIFT)
            note = sounding.following[note]
            sounding.by_channel[channel] -= 1
        sounding.oldest[slot] = note


@compiled
def _end_hanging(keys: Numbers, lengths: Numbers, tick: int, most: int) -> bool:
    """End what sounds at the end of its track: a pitched note after `most` ticks at the latest, a drum at once.

    Returns True if there was such a note.
    """
    found = False
    for note in range(len(keys)):
        if lengths[note] < 0:
            drum = keys[note] >> DRUM_SHIFT & 1
            lengths[note] = 0 if drum else min(tick - (keys[note] >> TICK_SHIFT), most)
            found = True
    return found
