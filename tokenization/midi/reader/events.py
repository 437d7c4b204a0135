"""The events that matter to notes, as columns of integers in the order of the file.

An event is packed as `tick << 32 | status << 24 | value`. Decoding the bytes of the tracks fills two columns, one of
what makes notes and one of what changes them; notes, pedals and tempos are then resolved, each in a pass of its own
over one column. What needs another kind of event (a port, a bank) adds it here and in `decoding.py`, and reads it in
its own pass.

    status     value
    0x80–0xEF  a channel message: first data byte << 8 | second data byte (the first again if there is only one)
    TEMPO      microseconds per quarter note
    TRACK_END  0; the tick is the last one of the track; in both columns
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.standard import DRUM_CHANNEL

Numbers = NDArray[np.int64]

LAST_TICK = 2**31 - 1
"""A track is read up to here: 26 days at 480 ticks a beat and 120 beats a minute."""
TICK_SHIFT, STATUS_SHIFT = 32, 24
TRACK_END, TEMPO = 0x2F, 0x51
"""Statuses of events that are no channel messages: their meta event types."""

NOTE_OFF, NOTE_ON, CONTROLLER, PROGRAM = 0x8, 0x9, 0xB, 0xC
"""Kinds of channel messages: the upper half of the status byte."""
PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS, LOCAL_CONTROL = 64, 120, 121, 122
"""Controllers; all above the last one are kinds of All Notes Off."""


class Events(NamedTuple):
    """The events of a file, packed; or columns that are longer than what they hold so far."""

    notes: Numbers
    """Note-ons and note-offs, programs, All Notes Off and its relatives."""
    controls: Numbers
    """Pedals and what lets them go, and tempos."""


@compiled
def packed(tick: int, status: int, value: int) -> int:
    """Return an event of a column."""
    return tick << TICK_SHIFT | status << STATUS_SHIFT | value


@compiled
def is_all_notes_off(controller: int) -> bool:
    """Return True for the controllers that end the notes of a channel."""
    return controller >= ALL_SOUND_OFF and controller != RESET_CONTROLLERS and controller != LOCAL_CONTROL


@compiled
def makes_notes(status: int, data_byte: int) -> bool:
    """Return True for a channel message that starts or ends notes, or says how they sound."""
    return status < 0xA0 or status >> 4 == PROGRAM or (status >> 4 == CONTROLLER and is_all_notes_off(data_byte))


@compiled
def changes_pedal(status: int, data_byte: int) -> bool:
    """Return True for a channel message that does something to the pedal of its channel; drums have none."""
    is_pedal = data_byte in (PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS)
    return status >> 4 == CONTROLLER and is_pedal and status & 15 != DRUM_CHANNEL
