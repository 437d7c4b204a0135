"""Note-ons and note-offs → notes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.compiled import compiled
from tokenization.midi.reader.events import (
    BANK,
    CONTROLLER,
    NOTE_OFF,
    NOTE_ON,
    STATUS_SHIFT,
    TRACK_END,
    Numbers,
    in_sequence,
    voice_of,
)
from tokenization.midi.reader.events import TICK_SHIFT as EVENT_TICK_SHIFT
from tokenization.midi.reader.matching import UNENDED, pair_best
from tokenization.midi.reader.note_columns import (
    DRUM_SHIFT,
    PITCH_SHIFT,
    PROGRAM_SHIFT,
    TICK_SHIFT,
    NoteColumns,
    Sounding,
    nothing_sounding,
    silence,
)
from tokenization.midi.reader.sounds import Changes, sound_at, sound_changes

HANGING_BEATS = 1
"""The length at most of a pitched note that is never ended."""


class _Paired(NamedTuple):
    """The state after the tracks of one sequence."""

    notes: int
    """Length of the columns so far."""
    has_hanging: bool
    """True if a note was never ended."""


@compiled
def pair_notes(events: Numbers, voice_bits: int, ticks_per_beat: int, is_successive: bool) -> tuple[NoteColumns, bool]:
    """Return the notes of `Events.notes` in the order of their note-ons, and whether one was never ended.

    A note-off ends the oldest note of its voice and pitch in the track; where notes are left over, `matching` says
    which they are.
    `is_successive`: each track is a sequence of its own.
    """
    most = len(events)
    notes = NoteColumns(np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32))
    sounding = nothing_sounding(most, voice_bits)
    paired = _Paired(0, False)
    begin = sequence = 0
    while begin < most:
        end = _end_of_track(events, begin) if is_successive else most
        changes = sound_changes(events[begin:end], 1 << voice_bits)
        first = in_sequence(0, sequence, voice_bits)
        paired = _pair_sequence(
            events[begin:end], changes, first, voice_bits, HANGING_BEATS * ticks_per_beat, notes, sounding, paired
        )
        begin = end
        sequence += 1
    n, has_hanging = paired
    return NoteColumns(notes.keys[:n], notes.lengths[:n], notes.voices[:n]), has_hanging


@compiled
def _end_of_track(events: Numbers, begin: int) -> int:
    """Return the place behind the track that begins at a place."""
    at = begin
    while at < len(events) and events[at] >> STATUS_SHIFT & 0xFF != TRACK_END:
        at += 1
    return at + 1


@compiled
def _pair_sequence(
    events: Numbers,
    changes: Changes,
    first_voice: int,
    voice_bits: int,
    longest_hanging: int,
    notes: NoteColumns,
    sounding: Sounding,
    paired: _Paired,
) -> _Paired:
    """Append the notes of one sequence to the columns; `first_voice` is voice 0 of the sequence."""
    keys, lengths, voices = notes
    oldest, newest, following, by_voice = sounding
    sounds, until = np.zeros(len(by_voice), np.int64), np.zeros(len(by_voice), np.int64)
    n, has_hanging = paired
    first_note, first_event, track = n, 0, 0
    is_stacked = is_left = False
    for i in range(len(events)):
        event = events[i]
        status, one, other = event >> STATUS_SHIFT & 0xFF, event >> 8 & 0x7F, event & 0x7F
        kind = status >> 4
        if kind == NOTE_ON and other > 0:
            tick, voice = event >> EVENT_TICK_SHIFT, voice_of(event)
            if tick >= until[voice]:
                sounds[voice], until[voice] = sound_at(changes, voice, tick, i, track)
            keys[n] = tick << TICK_SHIFT | one << PITCH_SHIFT | sounds[voice] << PROGRAM_SHIFT | other
            lengths[n] = UNENDED
            voices[n] = first_voice | voice
            following[n] = -1
            slot = voice << 7 | one
            if oldest[slot] < 0:
                oldest[slot] = n
            else:
                following[newest[slot]] = n
            newest[slot] = n
            by_voice[voice] += 1
            n += 1
        elif kind in (NOTE_ON, NOTE_OFF):
            voice = voice_of(event)
            slot = voice << 7 | one
            note = oldest[slot]
            if note >= 0:
                lengths[note] = (event >> EVENT_TICK_SHIFT) - (keys[note] >> TICK_SHIFT)
                oldest[slot] = following[note]
                by_voice[voice] -= 1
                is_stacked |= following[note] >= 0
        elif kind == CONTROLLER and one != BANK:
            voice = voice_of(event)
            if by_voice[voice] > 0:
                is_left |= _end_voice(notes, sounding, voice, event >> EVENT_TICK_SHIFT)
        elif status == TRACK_END:
            is_left |= _has_unended(lengths[first_note:n])
            if is_stacked and is_left:
                pair_best(events[first_event:i], notes, first_note, n, longest_hanging, sounding, voice_bits)
            elif is_left:
                silence(notes, first_note, n, sounding, voice_bits)
            has_hanging |= _end_hanging(
                keys[first_note:n], lengths[first_note:n], event >> EVENT_TICK_SHIFT, longest_hanging
            )
            until[:] = 0
            first_note, first_event = n, i + 1
            track += 1
            is_stacked = is_left = False
    return _Paired(n, has_hanging)


@compiled
def _end_voice(notes: NoteColumns, sounding: Sounding, voice: int, tick: int) -> bool:
    """End all notes of a voice that began before a tick; return True if there was one."""
    found = False
    for slot in range(voice << 7, (voice + 1) << 7):
        note = sounding.first[slot]
        while note >= 0 and notes.keys[note] >> TICK_SHIFT < tick:
            notes.lengths[note] = tick - (notes.keys[note] >> TICK_SHIFT)
            note = sounding.following[note]
            sounding.by_voice[voice] -= 1
            found = True
        sounding.first[slot] = note
    return found


@compiled
def _has_unended(lengths: Numbers) -> bool:
    """Return True if a note has no end yet."""
    for length in lengths:  # noqa: SIM110  numba compiles no generators
        if length == UNENDED:
            return True
    return False


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
