"""The events that matter to notes, as columns of integers in the order of the file.

An event is packed as `tick << 32 | status << 24 | value`. Decoding the bytes of the tracks fills two columns, one of
what makes notes and one of what changes them; programs, notes, pedals and tempos are then resolved, each in a pass of
its own over one column.

    status     value
    0x80–0xEF  a channel message: port << 16 | first data byte << 8 | second data byte (the first if there is only one)
    0x70–0x7F  RHYTHM, the rhythm switch of a channel: port << 16 | 0 for melody, other numbers for drums
    0x60       RESET, all channels as after switching on: the `System` that holds from here on
    TEMPO      microseconds per quarter note
    TRACK_END  0; the tick is the last one of the track; in both columns

A channel of a port is a voice, numbered `port << 4 | channel`: what a program, a pedal and a drum kit hold for. In the
columns of notes and pedals the number of the sequence (0 but in files of type 2) stands before it; how many bits a
voice takes depends on the ports of the file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

Numbers = NDArray[np.int64]

LAST_TICK = 2**31 - 1
"""A track is read up to here: 26 days at 480 ticks a beat and 120 beats a minute."""
TICK_SHIFT, STATUS_SHIFT, PORT_SHIFT = 32, 24, 16
TRACK_END, TEMPO, RESET = 0x2F, 0x51, 0x60
"""Statuses of events that are no channel messages: two are their meta event types."""

RHYTHM, NOTE_OFF, NOTE_ON, CONTROLLER, PROGRAM = 0x7, 0x8, 0x9, 0xB, 0xC
"""Kinds of channel messages: the upper half of the status byte. RHYTHM is a system exclusive message in the file."""
BANK, PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS, LOCAL_CONTROL = 0, 64, 120, 121, 122
"""Controllers; all above the last one are kinds of All Notes Off. BANK is the upper half of a bank's number."""
NO_SYSTEM, GENERAL_MIDI, GENERAL_MIDI_2, GS, XG = range(5)
"""Systems, on which the meaning of banks depends: by GM System Off and On, GM2 System On, GS Reset, XG System On."""


class Events(NamedTuple):
    """The events of a file, packed; or columns that are longer than what they hold so far."""

    notes: Numbers
    """Note-ons and note-offs, All Notes Off and its relatives, programs, banks, rhythm switches, resets."""
    controls: Numbers
    """Pedals and what lets them go, and tempos."""


@compiled
def packed(tick: int, status: int, value: int) -> int:
    """Return an event of a column."""
    return tick << TICK_SHIFT | status << STATUS_SHIFT | value


@compiled
def voice_of(event: int) -> int:
    """Return the voice of a channel message or rhythm switch."""
    return (event >> PORT_SHIFT & 0x7F) << 4 | (event >> STATUS_SHIFT & 15)


@compiled
def in_sequence(voice: int, sequence: int, voice_bits: int) -> int:
    """Return a voice with the number of its sequence before it, or the last number that leaves it in 31 bits."""
    return min(sequence, LAST_TICK >> voice_bits) << voice_bits | voice


@compiled
def voice_bits_of(highest_port: int) -> int:
    """Return the bits of the largest number of a voice."""
    bits = 4
    while highest_port >> (bits - 4) > 0:
        bits += 1
    return bits


@compiled
def is_all_notes_off(controller: int) -> bool:
    """Return True for the controllers that end the notes of a channel."""
    return controller >= ALL_SOUND_OFF and controller != RESET_CONTROLLERS and controller != LOCAL_CONTROL


@compiled
def move_to_port(events: Numbers, port: int) -> None:
    """Set the port of those events that have one; `port` as in an event."""
    for i in range(len(events)):
        status = events[i] >> STATUS_SHIFT & 0xFF
        if status >= RHYTHM << 4:
            events[i] |= port


@compiled
def has_note_on(notes: Numbers, begin: int, end: int) -> bool:
    """Return True if a note begins between two places of `Events.notes`."""
    for i in range(begin, end):  # noqa: SIM110  numba compiles no generators
        if notes[i] >> STATUS_SHIFT >> 4 & 15 == NOTE_ON and notes[i] & 0x7F > 0:
            return True
    return False


@compiled
def makes_notes(status: int, data_byte: int) -> bool:
    """Return True for a channel message that starts or ends notes, or says how they sound."""
    is_controller = status >> 4 == CONTROLLER and (data_byte == BANK or is_all_notes_off(data_byte))
    return status < 0xA0 or status >> 4 == PROGRAM or is_controller


@compiled
def changes_pedal(status: int, data_byte: int) -> bool:
    """Return True for a channel message that does something to the pedal of its channel."""
    return status >> 4 == CONTROLLER and data_byte in (PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS)
