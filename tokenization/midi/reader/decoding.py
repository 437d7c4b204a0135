"""The bytes of a track → events: the state machine of Standard MIDI Files, with recovery at faults."""

from __future__ import annotations

from typing import NamedTuple

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, Track, byte_at, is_track, quantity
from tokenization.midi.reader.events import LAST_TICK, TEMPO, TRACK_END, Events, changes_pedal, makes_notes, packed
from tokenization.midi.reader.recovery import (
    AT_STATUS,
    CLIP,
    LENIENT,
    LENIENT_AT_STATUS,
    LONG_AT_STATUS,
    LONGEST_TEXT,
    NO_DELTA,
    NO_STATUS,
    PAIR_AT_STATUS,
    Fault,
    Limits,
    is_note_of_channel,
    probe,
    resync,
)
from tokenization.midi.repairs import Repair

TRACK_LENGTH = Repair.TRACK_LENGTH.bit
TRUNCATED = Repair.TRUNCATED.bit
NO_END_OF_TRACK = Repair.NO_END_OF_TRACK.bit
AFTER_END = Repair.AFTER_END.bit
CLIPPED_BYTE = Repair.CLIPPED_BYTE.bit
SKIPPED_BYTES = Repair.SKIPPED_BYTES.bit
SYSTEM_MESSAGE = Repair.SYSTEM_MESSAGE.bit
BAD_TEMPO = Repair.BAD_TEMPO.bit
TOO_LATE = Repair.TOO_LATE.bit

NOTHING = constant(0)
"""The value of an event that has none."""
SYSTEM, IGNORED, SET_TEMPO, WIRE, MESSAGE, END, OVER, CUT, FAULTY, UNCLIPPED = (constant(kind) for kind in range(10))
"""Kinds of events. SYSTEM is more exactly IGNORED (a text or the like), SET_TEMPO, WIRE (a message that belongs on
a wire) or END (End of Track). MESSAGE: a channel message. OVER: none is left, or the next is beyond LAST_TICK. CUT: the
end of the track cuts it. FAULTY: it cannot be read; UNCLIPPED: except for its data bytes, which are above 127."""
STOP = constant(-1)
"""No way to read on: the track ends here."""


class _State(NamedTuple):
    """The place in a track, and on what the meaning of the next bytes depends."""

    at: int
    """Byte offset."""
    tick: int
    status: int
    """The running status, 0 for none."""
    lacks_delta: bool
    """True if the next event begins with its status byte."""
    may_run: bool
    """False in a track of wrong length whose events so far all have a status: one without has lost its delta time."""
    is_damaged: bool
    """True if the track has had a fault."""
    notes: int
    """Length of `Events.notes` so far."""
    controls: int
    """Length of `Events.controls` so far."""


class _Pause(NamedTuple):
    """The event that ends a run of channel messages."""

    kind: int
    begin: int
    """Byte offset of the event."""
    delta: int
    """Ticks before the event."""
    value: int
    """Data bytes."""
    state: _State
    """At `at`: in a system event behind its delta time; in a faulty one where reading stopped."""


class DecodedTrack(NamedTuple):
    """The outcome of decoding one track."""

    notes: int
    """Length of `Events.notes`, this track's included."""
    controls: int
    """Length of `Events.controls`."""
    next_chunk: int
    """Byte offset."""
    tick: int
    """The last tick."""
    repairs: int
    """Bits."""
    read: int
    """Bytes."""
    skipped: int
    """Bytes that make no sense."""


@compiled
def decode_track(
    data: Bytes, track: Track, tick: int, limits: Limits, has_tempos: bool, events: Events, notes: int, controls: int
) -> DecodedTrack:
    """Append the events of a track that begins at `tick` to the first `notes` and `controls` of the columns.

    `has_tempos`: tempo events have a meaning in this file.
    """
    end = track.end
    repairs = skipped = 0
    tempo_end = -1
    state = _State(track.first, tick, NO_STATUS, False, track.is_trusted, False, notes, controls)
    while True:
        kind, begin, delta, value, state = _read_messages(data, end, limits, events, state)
        at, tick, status, _, may_run, is_damaged, notes, controls = state
        if kind == SYSTEM:
            kind, at, value = _system_event(data, at, end, status, limits, is_damaged)
        if kind >= CUT:
            to, mode = _resume(
                data, track, Fault(begin, at, delta, status, kind == UNCLIPPED), kind, limits, is_damaged
            )
            if mode == STOP:
                end = to
                break
            if mode != CLIP:
                repairs |= SKIPPED_BYTES
                skipped += max(to - begin, 0)
                if to < begin and begin == tempo_end:
                    controls -= 1  # the tempo event has lost a byte
                status = NO_STATUS if mode == AT_STATUS else status
                state = _State(to, tick, status, mode == NO_DELTA, may_run, True, notes, controls)
                continue
            repairs |= CLIPPED_BYTE
            kind = IGNORED if status < 0xA0 and value >> 8 > 0x7F else MESSAGE  # a note of no pitch is left out
            value = min(value >> 8, 0x7F) << 8 | min(value & 0xFF, 0x7F)
        tick += delta
        if kind > MESSAGE or (kind == MESSAGE and tick > LAST_TICK):
            break
        if kind == MESSAGE:
            notes, controls = _append(events, notes, controls, tick, status, value)
        elif kind == WIRE:
            repairs |= SYSTEM_MESSAGE
        elif kind == SET_TEMPO and has_tempos and value == 0:
            repairs |= BAD_TEMPO
        elif kind == SET_TEMPO and has_tempos and tick <= LAST_TICK:
            events.controls[controls] = packed(tick, TEMPO, value)
            controls += 1
            tempo_end = at
        state = _State(at, tick, status, False, may_run, is_damaged, notes, controls)
    if tick > LAST_TICK:
        tick = LAST_TICK
        repairs |= TOO_LATE
    events.notes[notes] = events.controls[controls] = packed(tick, TRACK_END, 0)
    if kind >= CUT and is_damaged:
        skipped += end - begin
    next_chunk, found = _after_track(data, track, at, end, kind == END, kind >= CUT)
    return DecodedTrack(notes + 1, controls + 1, next_chunk, tick, repairs | found, at - track.first, skipped)


@compiled
def _read_messages(data: Bytes, end: int, limits: Limits, events: Events, state: _State) -> _Pause:
    """Append channel messages to the columns until something else comes."""
    at, tick, status, lacks_delta, may_run, is_damaged, notes, controls = state
    note_events, control_events = events
    kind, begin, delta, value = OVER, at, NOTHING, NOTHING
    while at < end:
        begin = at
        if not lacks_delta:
            delta = byte_at(data, at)
            at += 1
            if delta >= 0x80:
                delta, at = quantity(data, begin, end)
                is_long = delta > limits.plausible
                if delta < 0 or (is_long and not _is_rest(data, at, end, delta, status, limits, is_damaged)):
                    kind = CUT if end - begin < 4 else FAULTY
                    break
        lacks_delta = False
        if at >= end:
            kind = CUT
            break
        byte = byte_at(data, at)
        if byte >= 0xF0:
            kind = SYSTEM
            break
        if byte >= 0x80:
            status = byte
            at += 1
        elif may_run or at != begin + 2 or not is_note_of_channel(data[begin], status):
            may_run = True
        elif probe(data, begin, end, status, limits.plausible, PAIR_AT_STATUS) >= 0:
            kind = FAULTY  # its delta time is lost
            break
        if status == 0:
            kind = FAULTY
            break
        two = 1 if status >> 5 != 6 else 0
        if at + 1 + two > end:
            kind = CUT
            break
        value = byte_at(data, at) << 8 | byte_at(data, at + two)
        at += 1 + two
        if value & 0x8080:
            kind = UNCLIPPED
            break
        if tick + delta > LAST_TICK:
            kind = OVER
            break
        tick += delta
        note_events[notes] = control_events[controls] = packed(tick, status, value)
        notes += makes_notes(status, value >> 8)
        controls += changes_pedal(status, value >> 8)
        kind, delta = OVER, NOTHING
    state = _State(at, tick, status, False, may_run, is_damaged, notes, controls)
    return _Pause(kind, begin, delta, value, state)


@compiled
def _after_track(data: Bytes, track: Track, at: int, end: int, has_ended: bool, is_cut: bool) -> tuple[int, int]:
    """Return where the chunk after a track begins, and the bits of repairs of the track's end.

    `at`: where reading stopped. `end`: where the events end at the latest. `has_ended`: by an End of Track.
    """
    repairs = 0
    if not has_ended:
        at = end
        is_truncated = end == len(data) and (is_cut or track.stated_end > len(data))
        repairs |= TRUNCATED if is_truncated else NO_END_OF_TRACK
    if track.is_trusted and not (has_ended and at < end and is_track(data, at)):
        if has_ended and at < end:
            repairs |= AFTER_END
        return track.stated_end, repairs
    return at, repairs | (TRACK_LENGTH if at != track.stated_end else 0)


@compiled
def _append(events: Events, notes: int, controls: int, tick: int, status: int, value: int) -> tuple[int, int]:
    """Append a channel message to the columns that need it; return their lengths."""
    events.notes[notes] = events.controls[controls] = packed(tick, status, value)
    return notes + makes_notes(status, value >> 8), controls + changes_pedal(status, value >> 8)


@compiled
def _resume(data: Bytes, track: Track, fault: Fault, kind: int, limits: Limits, is_damaged: bool) -> tuple[int, int]:
    """Return where to read on after a cut or faulty event, and how: a mode of `resync`, or STOP at the track's end."""
    if kind == CUT:
        return track.end, STOP
    if track.stated_end <= fault.begin:
        return fault.begin, STOP
    to, mode = resync(data, track, fault, limits)
    is_last = to == track.end and track.end - fault.begin <= LONGEST_TEXT
    if mode != CLIP and is_last and track.stated_end > len(data) and not is_damaged:
        return to, STOP  # the file ends in the midst of an event
    return to, mode


@compiled
def _is_rest(data: Bytes, at: int, end: int, delta: int, status: int, limits: Limits, is_damaged: bool) -> bool:
    """Return True if a long delta time, with the event at `at` behind it, is to be believed."""
    if delta <= limits.longest:
        return not is_damaged or probe(data, at, end, status, limits.plausible, LONG_AT_STATUS) >= 0
    return not is_damaged and probe(data, at, end, status, limits.unlimited, LENIENT_AT_STATUS) >= 0


@compiled
def _system_event(
    data: Bytes, at: int, end: int, status: int, limits: Limits, is_damaged: bool
) -> tuple[int, int, int]:
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
