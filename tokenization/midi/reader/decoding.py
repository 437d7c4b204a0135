"""The bytes of a track → events: the state machine of Standard MIDI Files, with recovery at faults."""

from __future__ import annotations

from typing import NamedTuple

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, Track, byte_at, quantity
from tokenization.midi.reader.events import (
    LAST_TICK,
    PORT_SHIFT,
    STATUS_SHIFT,
    TEMPO,
    TRACK_END,
    Events,
    changes_pedal,
    has_note_on,
    makes_notes,
    move_to_port,
    packed,
)
from tokenization.midi.reader.recovery import (
    AT_STATUS,
    CLIP,
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
from tokenization.midi.reader.system_events import (
    CUT,
    END,
    FAULTY,
    IGNORED,
    MESSAGE,
    NOTHING,
    OVER,
    SET_CHANNEL,
    SET_PORT,
    SET_TEMPO,
    SYSTEM,
    UNCLIPPED,
    WIRE,
    system_event,
)
from tokenization.midi.reader.track_end import after_track, reads_on
from tokenization.midi.repairs import Repair

CLIPPED_BYTE = Repair.CLIPPED_BYTE.bit
SKIPPED_BYTES = Repair.SKIPPED_BYTES.bit
SYSTEM_MESSAGE = Repair.SYSTEM_MESSAGE.bit
BAD_TEMPO = Repair.BAD_TEMPO.bit
TOO_LATE = Repair.TOO_LATE.bit
EARLY_END = Repair.EARLY_END.bit

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
    port: int
    """The port of the next channel messages, as in an event."""
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
    highest_port: int


@compiled
def decode_track(
    data: Bytes,
    track: Track,
    tick: int,
    limits: Limits,
    has_tempos: bool,
    takes_port: bool,
    events: Events,
    notes: int,
    controls: int,
) -> DecodedTrack:
    """Append the events of a track that begins at `tick` to the first `notes` and `controls` of the columns.

    `has_tempos`: tempo events have a meaning in this file. `takes_port`: the track's first port holds for the events
    before it, too, if none of them is a note.
    """
    end = track.end
    repairs = skipped = 0
    tempo_end = -1
    highest_port = NOTHING
    first_note, first_control, searched = notes, controls, notes
    has_notes = False
    state = _State(track.first, tick, NO_STATUS, False, track.is_trusted, False, NOTHING, notes, controls)
    while True:
        kind, begin, delta, value, state = _read_messages(data, end, limits, events, state)
        at, tick, status, _, may_run, is_damaged, port, notes, controls = state
        if kind == SYSTEM:
            kind, at, value = system_event(data, at, end, status, limits, is_damaged)
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
                state = _State(to, tick, status, mode == NO_DELTA, may_run, True, port, notes, controls)
                continue
            repairs |= CLIPPED_BYTE
            kind = IGNORED if status < 0xA0 and value >> 8 > 0x7F else MESSAGE  # a note of no pitch is left out
            value = min(value >> 8, 0x7F) << 8 | min(value & 0xFF, 0x7F)
        tick += delta
        if kind == END:
            has_notes = has_notes or has_note_on(events.notes, searched, notes)
            searched = notes
            if reads_on(data, track, at, status, limits, has_notes):
                kind = IGNORED
                repairs |= EARLY_END
        if kind > MESSAGE or (kind == MESSAGE and tick > LAST_TICK):
            break
        if kind == MESSAGE:
            notes, controls = _append(events, notes, controls, tick, status, port | value)
        elif kind == WIRE:
            repairs |= SYSTEM_MESSAGE
        elif kind == SET_TEMPO and has_tempos and value == 0:
            repairs |= BAD_TEMPO
        elif kind == SET_TEMPO and has_tempos and tick <= LAST_TICK:
            events.controls[controls] = packed(tick, TEMPO, value)
            controls += 1
            tempo_end = at
        elif kind == SET_PORT:
            port = value << PORT_SHIFT
            highest_port = max(highest_port, value)
            has_notes = has_notes or has_note_on(events.notes, searched, notes)
            searched = notes
            if takes_port and not has_notes:
                move_to_port(events.notes[first_note:notes], port)
                move_to_port(events.controls[first_control:controls], port)
            takes_port = False
        elif kind == SET_CHANNEL and tick <= LAST_TICK:
            value += port
            highest_port = max(highest_port, value >> PORT_SHIFT & 0x7F)
            events.notes[notes] = packed(tick, value >> STATUS_SHIFT, value & 0xFFFFFF)
            notes += 1
        state = _State(at, tick, status, False, may_run, is_damaged, port, notes, controls)
    if tick > LAST_TICK:
        tick = LAST_TICK
        repairs |= TOO_LATE
    events.notes[notes] = events.controls[controls] = packed(tick, TRACK_END, 0)
    if kind >= CUT and is_damaged:
        skipped += end - begin
    next_chunk, found = after_track(data, track, at, end, kind == END, kind >= CUT)
    return DecodedTrack(
        notes + 1, controls + 1, next_chunk, tick, repairs | found, at - track.first, skipped, highest_port
    )


@compiled
def _read_messages(data: Bytes, end: int, limits: Limits, events: Events, state: _State) -> _Pause:
    """Append channel messages to the columns until something else comes."""
    at, tick, status, lacks_delta, may_run, is_damaged, port, notes, controls = state
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
        note_events[notes] = control_events[controls] = packed(tick, status, port | value)
        notes += makes_notes(status, value >> 8)
        controls += changes_pedal(status, value >> 8)
        kind, delta = OVER, NOTHING
    state = _State(at, tick, status, False, may_run, is_damaged, port, notes, controls)
    return _Pause(kind, begin, delta, value, state)


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
