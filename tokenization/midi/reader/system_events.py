"""The events of a track that are no channel messages: meta events, system exclusive and wire messages."""

from __future__ import annotations

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, byte_at, quantity
from tokenization.midi.reader.events import TEMPO, TRACK_END
from tokenization.midi.reader.exclusive import channel_setting
from tokenization.midi.reader.recovery import LENIENT, LONGEST_TEXT, Limits, probe

NOTHING = constant(0)
"""The value of an event that has none."""
SYSTEM, IGNORED, SET_TEMPO, SET_PORT, SET_CHANNEL, WIRE, MESSAGE = (constant(kind) for kind in range(7))
END, OVER, CUT, FAULTY, UNCLIPPED = (constant(kind) for kind in range(7, 12))
"""Kinds of events. SYSTEM is more exactly IGNORED (a text or the like), SET_TEMPO, SET_PORT, SET_CHANNEL (a system
exclusive message about the sound of channels), WIRE (a message that belongs on a wire) or END (End of Track).
MESSAGE: a channel message. OVER: none is left, or the next is beyond LAST_TICK. CUT: the end of the track cuts it.
FAULTY: it cannot be read; UNCLIPPED: except for its data bytes, which are above 127."""
PORT = 0x21
"""The meta event type of a port."""


@compiled
def system_event(data: Bytes, at: int, end: int, status: int, limits: Limits, is_damaged: bool) -> tuple[int, int, int]:
    """Read the system event at `at`: kind, where it ends, value."""
    if data[at] == 0xFF or data[at] == 0xF0 or data[at] == 0xF7:
        return _meta_or_exclusive(data, at, end, is_damaged)
    kind, at = _wire_message(data, at, end, status, limits)
    return kind, at, NOTHING


@compiled
def _meta_or_exclusive(data: Bytes, at: int, end: int, is_damaged: bool) -> tuple[int, int, int]:
    """Read the meta event or system exclusive message at `at`: kind, where it ends, value."""
    is_meta = data[at] == 0xFF
    if is_meta and at + 1 < end and data[at + 1] == TRACK_END:
        return END, min(at + 3, end), NOTHING
    meta_type = byte_at(data, min(at + 1, end - 1)) if is_meta else NOTHING
    length, body = quantity(data, at + 2 if is_meta else at + 1, end)
    if meta_type > 0x7F or (is_damaged and length > LONGEST_TEXT):
        return FAULTY, at, NOTHING
    after = body + length
    if length < 0 or after > end:
        # A system exclusive message may have swallowed the file's rest, a text has hardly.
        is_cut = end == len(data) and not is_damaged and (not is_meta or at + 6 > end)
        return CUT if is_cut else FAULTY, at, NOTHING
    if not is_meta:
        setting = channel_setting(data, body, after)
        return SET_CHANNEL if setting > 0 else IGNORED, after, setting
    if meta_type == PORT and length == 1 and data[body] <= 0x7F:
        return SET_PORT, after, byte_at(data, body)
    if meta_type != TEMPO:
        return IGNORED, after, NOTHING
    tempo = NOTHING
    if length == 3:
        for index in range(body, after):
            tempo = tempo << 8 | byte_at(data, index)
    return SET_TEMPO, after, tempo


@compiled
def _wire_message(data: Bytes, at: int, end: int, status: int, limits: Limits) -> tuple[int, int]:
    """Read the system common or real-time message at `at`, which belongs on a wire only: kind, where it ends."""
    byte = data[at]
    at += 1
    for _ in range(2 if byte == 0xF2 else 1 if byte == 0xF1 or byte == 0xF3 else 0):
        if at < end and data[at] < 0x80:
            at += 1
    is_undefined = byte == 0xF4 or byte == 0xF5 or byte == 0xF9 or byte == 0xFD
    if is_undefined or probe(data, at, end, status, limits.plausible, LENIENT) < 0:
        return FAULTY, at
    return WIRE, at
