"""The best pairing of note-ons and note-offs where some are lost.

Of one voice and pitch in a track, as many note-offs as possible are paired, each with a note-on before it; of all such
pairings the notes take the least time together. That leaves the notes without a note-off that are early: after a lost
note-off the next notes keep their lengths, where pairing each note-off with the oldest note would stretch all of them
to the next onset. Of notes that begin together the last ones are paired. Among the notes that are paired the oldest
ends first, as everywhere.

All Notes Off ends what is left there, but not a note that is longer than a beat by then and whose pitch was struck and
ended after it: that one has lost its note-off, and hangs.

The notes of such a pairing are those of brackets: if every note-off took the newest note, the ones that stay open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.events import BANK, CONTROLLER, NOTE_OFF, NOTE_ON, STATUS_SHIFT, Numbers, voice_of
from tokenization.midi.reader.events import TICK_SHIFT as EVENT_TICK_SHIFT
from tokenization.midi.reader.note_columns import TICK_SHIFT, NoteColumns, Sounding, silence

UNENDED = constant(-1)
"""The length of a note without a note-off."""
PAIRED = constant(-2)
"""The length of a note whose note-off is not chosen yet."""


@compiled
def pair_best(
    events: Numbers,
    notes: NoteColumns,
    begin: int,
    end: int,
    longest_hanging: int,
    sounding: Sounding,
    voice_bits: int,
) -> None:
    """Set the lengths of the notes from `begin` to `end` anew: those that the events of a track start.

    Notes without a note-off become UNENDED. The queues are empty afterwards.
    """
    silence(notes, begin, end, sounding, voice_bits)
    _choose(events, notes, begin, longest_hanging, sounding)
    silence(notes, begin, end, sounding, voice_bits)
    _pair(events, notes, begin, sounding)
    silence(notes, begin, end, sounding, voice_bits)


@compiled
def _choose(events: Numbers, notes: NoteColumns, begin: int, longest_hanging: int, sounding: Sounding) -> None:
    """Find the notes that have a note-off, by stacks, and set their lengths to PAIRED."""
    newest, paired, following, _ = sounding
    cleared = np.full(len(sounding.by_voice), -1)  # the tick of the last All Notes Off of each voice
    note = begin
    for event in events:
        kind, slot = event >> STATUS_SHIFT >> 4 & 15, voice_of(event) << 7 | (event >> 8 & 0x7F)
        if kind == NOTE_ON and event & 0x7F > 0:
            notes.lengths[note] = UNENDED
            following[note] = newest[slot]
            newest[slot] = note
            note += 1
        elif kind in (NOTE_ON, NOTE_OFF):
            ended = newest[slot]
            if ended >= 0:
                notes.lengths[ended] = PAIRED
                paired[slot] = max(paired[slot], ended)
                newest[slot] = following[ended]
        elif kind == CONTROLLER and event >> 8 & 0x7F != BANK:
            tick, voice = event >> EVENT_TICK_SHIFT, voice_of(event)
            if cleared[voice] < tick:  # at one tick there is nothing older to end a second time
                cleared[voice] = tick
                for other in range(voice << 7, (voice + 1) << 7):
                    newest[other] = _cut(notes, following, newest[other], tick, paired[other], longest_hanging)


@compiled
def _cut(
    notes: NoteColumns, following: NDArray[np.int32], newest: int, tick: int, paired: int, longest_hanging: int
) -> int:
    """End the notes of a stack that began before a tick; return the newest one that is left.

    Notes older than `paired`, the last one with a note-off, stay UNENDED if they would be longer than a hanging note.
    """
    left, note = -1, newest
    while note >= 0 and notes.keys[note] >> TICK_SHIFT == tick:
        left, note = note, following[note]
    if left >= 0:
        following[left] = -1
    while note >= 0:
        length = tick - (notes.keys[note] >> TICK_SHIFT)
        if note > paired or length <= longest_hanging:
            notes.lengths[note] = length
        note = following[note]
    return newest if left >= 0 else -1


@compiled
def _pair(events: Numbers, notes: NoteColumns, begin: int, sounding: Sounding) -> None:
    """Pair note-offs with the notes that are PAIRED, the oldest first."""
    oldest, newest, following, _ = sounding
    note = begin
    for event in events:
        kind, slot = event >> STATUS_SHIFT >> 4 & 15, voice_of(event) << 7 | (event >> 8 & 0x7F)
        if kind == NOTE_ON and event & 0x7F > 0:
            if notes.lengths[note] == PAIRED:
                following[note] = -1
                if oldest[slot] < 0:
                    oldest[slot] = note
                else:
                    following[newest[slot]] = note
                newest[slot] = note
            note += 1
        elif kind in (NOTE_ON, NOTE_OFF) and oldest[slot] >= 0:
            ended = oldest[slot]
            notes.lengths[ended] = (event >> EVENT_TICK_SHIFT) - (notes.keys[ended] >> TICK_SHIFT)
            oldest[slot] = following[ended]
