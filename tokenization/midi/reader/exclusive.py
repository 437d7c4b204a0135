"""System exclusive messages that say how channels sound: resets, and the switch between melody and drums.

Sources: MIDI Manufacturers Association, General MIDI System Level 1 and 2; Roland, SC-88 Pro owner's manual, MIDI
implementation; Yamaha, MU50 and MU80 owner's manuals, MIDI data format.
"""

from __future__ import annotations

import numpy as np

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, byte_at
from tokenization.midi.reader.events import (
    GENERAL_MIDI,
    GENERAL_MIDI_2,
    GS,
    NO_SYSTEM,
    PORT_SHIFT,
    RESET,
    RHYTHM,
    STATUS_SHIFT,
    XG,
)

NO_SETTING = constant(0)
UNIVERSAL, ROLAND, YAMAHA = 0x7E, 0x41, 0x43
"""First bytes of messages: the manufacturer, or none in particular."""
GS_MODEL, XG_MODEL, DATA_SET = 0x42, 0x4C, 0x12
GS_PART_MODE, XG_PART_MODE = 0x15, 0x07
"""Last bytes of the addresses that hold the switch."""
LONGEST = 16
"""Bytes of the longest of these messages, with some to spare."""


@compiled
def channel_setting(data: Bytes, begin: int, end: int) -> int:
    """Return what the system exclusive message between two bytes sets, as `status << 24 | value` of an event.

    NO_SETTING for all others. `begin`: behind the length. Device numbers and checksums may be any.
    """
    if begin < end and data[begin] == 0xF0:  # behind the escape F7
        begin += 1
    size = end - begin
    if size < 4 or size > LONGEST:
        return NO_SETTING
    maker = data[begin]
    if maker == UNIVERSAL and data[begin + 2] == 0x09:
        return _general_midi(data[begin + 3])
    if maker == ROLAND and size >= 8 and data[begin + 2] == GS_MODEL and data[begin + 3] == DATA_SET:
        return _gs(data, begin + 4)
    if maker == YAMAHA and size >= 7 and data[begin + 1] >> 4 == 1 and data[begin + 2] == XG_MODEL:
        return _xg(data, begin + 3)
    return NO_SETTING


@compiled
def _general_midi(message: int) -> int:
    """Return the setting of a General MIDI message: System On, System Off, GM2 System On."""
    if message == 1:
        return _reset(GENERAL_MIDI)
    if message == 2:
        return _reset(NO_SYSTEM)
    if message == 3:
        return _reset(GENERAL_MIDI_2)
    return NO_SETTING


@compiled
def _gs(data: Bytes, at: int) -> int:
    """Return the setting of a GS message whose address, of three bytes, is at `at`."""
    high, middle, low, value = data[at], data[at + 1], data[at + 2], byte_at(data, at + 3)
    if low == 0x7F and middle == 0 and (high == 0x40 or high == 0x00):  # GS Reset, System Mode Set
        return _reset(GS)
    if high == 0x40 and middle >> 4 == 1 and low == GS_PART_MODE:
        # Part 10 has number 0, parts 1 to 9 have theirs, parts 11 to 16 have 10 to 15.
        part = byte_at(data, at + 1) & 15
        channel = 9 if part == 0 else part - 1 if part < 10 else part
        return (RHYTHM << 4 | channel) << STATUS_SHIFT | value
    return NO_SETTING


@compiled
def _xg(data: Bytes, at: int) -> int:
    """Return the setting of an XG message whose address, of three bytes, is at `at`."""
    high, middle, low, value = data[at], data[at + 1], data[at + 2], byte_at(data, at + 3)
    if high == 0 and middle == 0 and (low == 0x7E or low == 0x7F):  # XG System On, All Parameter Reset
        return _reset(XG)
    if high == 0x08 and low == XG_PART_MODE and middle < 0x80:
        part = byte_at(data, at + 1)  # those from 16 on belong to the next port
        return (RHYTHM << 4 | (part & 15)) << STATUS_SHIFT | part >> 4 << PORT_SHIFT | value
    return NO_SETTING


@compiled
def _reset(system: int) -> int:
    """Return the setting of a reset."""
    return np.int64(RESET) << STATUS_SHIFT | system  # type: ignore[return-value]
