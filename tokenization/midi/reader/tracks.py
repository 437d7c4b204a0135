"""The tracks of a file, in one pass: the state machine of the reader."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.reader.chunks import (
    Bytes,
    byte_at,
    chunk_or_end,
    is_nearly_track,
    is_track,
    next_track,
    quantity,
    size_of,
)
from tokenization.midi.reader.columns import (
    DRUM_SHIFT,
    LAST_TICK,
    PITCH_SHIFT,
    PROGRAM_SHIFT,
    TICK_SHIFT,
    Numbers,
    cap,
    sort,
    tempo_map,
)
from tokenization.midi.reader.pedal import (
    ACTS,
    ALL_SOUND_OFF,
    DOWN,
    LOCAL_CONTROL,
    PEDAL,
    PEDAL_DOWN,
    RESET_CONTROLLERS,
    SILENCE,
    UP,
    VOICE_SHIFT,
    pedallings,
    sustained,
)
from tokenization.midi.reader.recovery import (
    AFRESH,
    BARE,
    BARE_LENIENT,
    BARE_LONG,
    BARE_PAIR,
    CLIPPED,
    LENIENT,
    LONGEST_REST,
    LONGEST_TEXT,
    NO_STATUS,
    SANE_REST,
    is_own,
    stretch,
    way_on,
)
from tokenization.midi.score import Repair

DRUM_CHANNEL = 9
DEFAULT_BEAT = 500_000
"""Microseconds per quarter note where no tempo is stated."""
HANGING_BEATS = 1

TRACK_LENGTH = Repair.TRACK_LENGTH.bit
TRUNCATED = Repair.TRUNCATED.bit
NO_END_OF_TRACK = Repair.NO_END_OF_TRACK.bit
AFTER_END = Repair.AFTER_END.bit
UNKNOWN_CHUNK = Repair.UNKNOWN_CHUNK.bit
CLIPPED_BYTE = Repair.CLIPPED_BYTE.bit
SKIPPED_BYTES = Repair.SKIPPED_BYTES.bit
SYSTEM_MESSAGE = Repair.SYSTEM_MESSAGE.bit
BAD_TEMPO = Repair.BAD_TEMPO.bit
HANGING_NOTE = Repair.HANGING_NOTE.bit
LONG_NOTE = Repair.LONG_NOTE.bit
TOO_LATE = Repair.TOO_LATE.bit
CHUNK_NAME = Repair.CHUNK_NAME.bit

Columns = tuple[
    Numbers,
    Numbers,
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.bool_],
    Numbers,
    NDArray[np.float64],
    int,
    int,
    int,
    int,
    Numbers,
]


@compiled
def read_tracks(data: Bytes, at: int, count: int, ticks_per_beat: int, successive: bool, fixed_beat: float) -> Columns:
    """All notes and tempo changes of the chunks from `at` on.

    `count`: the tracks that the header speaks of. `successive`: the tracks are sequences of their own (type 2), played
    one after another. `fixed_beat`: microseconds per beat of a file in seconds (SMPTE), whose tempo events mean
    nothing; 0 for a file in beats.

    Returns start, length, pitch, velocity, program, drum of the notes, shape (n,), in the order of Score; ticks and
    microseconds per beat of the tempo map; the repairs' bits; the number of tracks; bytes of tracks read, and
    skipped; the notes' lengths with the sustain pedal, empty if it changes none.
    """
    size = len(data)
    # A note and a controller take three bytes, but at a fault BACK of them may be read again, once in STRETCH events.
    room = size // 2 + 1
    keys, lengths = np.empty(room, np.int64), np.empty(room, np.int64)
    following, voices = np.empty(room, np.int32), np.empty(room, np.int32)
    oldest = np.empty(2048, np.int32)  # by channel and pitch: the sounding note that began first, -1 for none,
    newest = np.empty(2048, np.int32)  # and the one that began last
    oldest[:] = -1
    sounding, programs = np.empty(16, np.int64), np.empty(16, np.int64)
    sounding[:] = 0
    tempo_room = size // 7 + 2  # a tempo event takes seven bytes, a track eight
    tempo_ticks, tempo_beats = np.empty(tempo_room, np.int64), np.empty(tempo_room, np.int64)
    notes, tempos, tracks, repairs = 0, 1, 0, 0
    tempo_ticks[0], tempo_beats[0] = 0, DEFAULT_BEAT
    read, skipped = 0, 0
    offset = 0
    tempo_end = -1  # where the last tempo event ends
    pedals, downs = 0, 0  # events of the pedals lie in the same columns as notes, from the end on
    longest, sane, endless = LONGEST_REST * ticks_per_beat, SANE_REST * ticks_per_beat, LAST_TICK * ticks_per_beat

    while at + 8 <= size:
        if is_track(data, at):
            pass
        elif is_nearly_track(data, at):
            repairs |= CHUNK_NAME
        else:
            if tracks >= count and not chunk_or_end(data, at):
                break
            if chunk_or_end(data, at):
                repairs |= UNKNOWN_CHUNK
                at += 8 + size_of(data, at)
            else:
                at = next_track(data, at + 1)
                if at < size:
                    repairs |= UNKNOWN_CHUNK
            continue
        tracks += 1
        first = at + 8
        claimed = first + size_of(data, at)
        believed = claimed <= size and chunk_or_end(data, claimed)
        end = claimed if believed else next_track(data, first)
        at = first
        first_note = notes
        event = first
        tick = offset
        programs[:] = 0
        sequence = tracks - 1 if successive else 0
        status = NO_STATUS
        bare = ended = cut = damaged = ran = False
        if successive and tracks > 1:
            tempo_ticks[tempos], tempo_beats[tempos] = offset, DEFAULT_BEAT
            tempos += 1

        while at < end:
            event = at
            fault = clip = False
            delta = 0
            if bare:
                bare = False
            else:
                delta = byte_at(data, at)
                at += 1
                if delta >= 0x80:
                    delta, at = quantity(data, event, end)
                    if damaged and delta > sane:
                        if delta > longest or stretch(data, at, end, status, sane, BARE_LONG) < 0:
                            delta = -1
                    elif delta > longest and stretch(data, at, end, status, endless, BARE_LENIENT) < 0:
                        delta = -1
                    if delta < 0:
                        fault = True
                        if end - event < 4:
                            cut = True
                            break
            if not fault:
                if at >= end:
                    cut = True
                    break
                byte = byte_at(data, at)
                if byte >= 0xF0:
                    if byte == 0xFF and at + 1 < end and data[at + 1] == 0x2F:
                        ended = True
                        tick += delta
                        at = min(at + 3, end)
                        break
                    if byte == 0xFF or byte == 0xF0 or byte == 0xF7:
                        kind = -1
                        body = at + 1
                        if byte == 0xFF:
                            kind = byte_at(data, min(at + 1, end - 1))
                            body = at + 2
                        length, body = quantity(data, body, end)
                        if kind > 0x7F or (damaged and length > LONGEST_TEXT):
                            fault = True
                        elif length < 0 or body + length > end:
                            # A system exclusive message may have swallowed the file's rest, a text has hardly.
                            if end == size and not damaged and (kind < 0 or at + 6 > end):
                                cut = True
                                break
                            fault = True
                        else:
                            at = body + length
                            tick += delta
                            if kind == 0x51 and fixed_beat == 0:
                                tempo = 0
                                if length == 3:
                                    for index in range(body, at):
                                        tempo = tempo << 8 | byte_at(data, index)
                                if tempo > 0 and tick <= LAST_TICK:
                                    tempo_ticks[tempos], tempo_beats[tempos] = tick, tempo
                                    tempo_end = at
                                    tempos += 1
                                elif tempo == 0:
                                    repairs |= BAD_TEMPO
                    else:
                        # What belongs on a wire only; song position and its like have data bytes.
                        at += 1
                        for _ in range(2 if byte == 0xF2 else 1 if byte == 0xF1 or byte == 0xF3 else 0):
                            if at < end and data[at] < 0x80:
                                at += 1
                        undefined = byte == 0xF4 or byte == 0xF5 or byte == 0xF9 or byte == 0xFD
                        if undefined or stretch(data, at, end, status, sane, LENIENT) < 0:
                            fault = True
                        else:
                            repairs |= SYSTEM_MESSAGE
                            tick += delta
                else:
                    if byte >= 0x80:
                        status = byte
                        at += 1
                    elif not believed and not ran and at == event + 2 and is_own(data[event], status):
                        # No event was without a status so far. This one has none because its delta time is lost.
                        fault = stretch(data, event, end, status, sane, BARE_PAIR) >= 0
                    else:
                        ran = True
                    if status == 0:
                        fault = True
                    elif not fault:
                        two = 1 if status >> 5 != 6 else 0
                        if at + 1 + two > end:
                            cut = True
                            break
                        one, other = byte_at(data, at), byte_at(data, at + two)
                        at += 1 + two
                        if (one | other) > 0x7F:
                            fault = clip = True
                        else:
                            tick += delta
            if fault:
                if claimed <= event:
                    end = event
                    cut = True
                    break
                clipped = -1
                if clip:
                    clipped = stretch(data, at, end, status, longest, LENIENT)
                    if clipped >= 0:
                        clipped += delta
                to, way = way_on(data, first, event, at, claimed, end, status, clipped, ticks_per_beat)
                if way == CLIPPED:
                    repairs |= CLIPPED_BYTE
                    tick += delta
                    if one > 0x7F and status < 0xA0:
                        continue  # a note of no pitch
                    one, other = min(one, 127), min(other, 127)
                elif to == end and claimed > size and end - event <= LONGEST_TEXT and not damaged:
                    cut = True  # in the midst of an event
                    break
                else:
                    repairs |= SKIPPED_BYTES
                    skipped += max(to - event, 0)
                    if to < event and event == tempo_end:
                        tempos -= 1  # it has lost a byte
                    at = to
                    damaged = True
                    bare = way == BARE
                    if way == AFRESH:
                        status = NO_STATUS
                    continue
            elif byte >= 0xF0:
                continue
            if tick > LAST_TICK:
                repairs |= TOO_LATE
                break

            kind = status >> 4
            channel = status & 15
            if kind == 8 or kind == 9:
                slot = channel << 7 | one
                if kind == 9 and other > 0:
                    drum = int(channel == DRUM_CHANNEL)
                    keys[notes] = (
                        tick << TICK_SHIFT
                        | one << PITCH_SHIFT
                        | drum << DRUM_SHIFT
                        | programs[channel] << PROGRAM_SHIFT
                        | other
                    )
                    lengths[notes] = -1
                    following[notes] = -1
                    voices[notes] = sequence << 4 | channel
                    if oldest[slot] < 0:
                        oldest[slot] = notes
                    else:
                        following[newest[slot]] = notes
                    newest[slot] = notes
                    sounding[channel] += 1
                    notes += 1
                else:
                    note = oldest[slot]
                    if note >= 0:
                        lengths[note] = tick - (keys[note] >> TICK_SHIFT)
                        oldest[slot] = following[note]
                        sounding[channel] -= 1
            elif kind == 12:
                programs[channel] = one
            elif kind == 11 and (one == PEDAL or one >= ALL_SOUND_OFF):
                if one <= RESET_CONTROLLERS and channel != DRUM_CHANNEL:
                    act = SILENCE if one == ALL_SOUND_OFF else UP
                    if one == PEDAL and other >= PEDAL_DOWN:
                        act = DOWN
                        downs += 1
                    pedals += 1
                    keys[room - pedals] = (sequence << 4 | channel) << VOICE_SHIFT | tick
                    lengths[room - pedals] = pedals << ACTS | act
                if one >= ALL_SOUND_OFF and one != RESET_CONTROLLERS and one != LOCAL_CONTROL and sounding[channel] > 0:
                    for slot in range(channel << 7, (channel + 1) << 7):
                        note = oldest[slot]
                        while note >= 0 and keys[note] >> TICK_SHIFT < tick:
                            lengths[note] = tick - (keys[note] >> TICK_SHIFT)
                            note = following[note]
                            sounding[channel] -= 1
                        oldest[slot] = note

        if tick > LAST_TICK:
            tick = LAST_TICK
            repairs |= TOO_LATE
        hanging = 0
        for channel in range(16):
            hanging += sounding[channel]
        if hanging > 0:
            repairs |= HANGING_NOTE
            for note in range(first_note, notes):
                if lengths[note] < 0:
                    drum = keys[note] >> DRUM_SHIFT & 1
                    left = tick - (keys[note] >> TICK_SHIFT)
                    lengths[note] = 0 if drum else min(left, HANGING_BEATS * ticks_per_beat)
            oldest[:] = -1
            sounding[:] = 0
        read += at - first
        if not ended:
            skipped += end - event if cut and damaged else 0
            at = end
            repairs |= TRUNCATED if end == size and (cut or claimed > size) else NO_END_OF_TRACK
        if believed and not (ended and at < end and is_track(data, at)):
            if ended and at < end:
                repairs |= AFTER_END
            at = claimed
        elif at != claimed:
            repairs |= TRACK_LENGTH
        if successive:
            offset = tick

    map_ticks, map_beats = tempo_map(tempo_ticks, tempo_beats, tempos)
    if fixed_beat > 0:
        map_ticks, map_beats = map_ticks[:1], map_beats[:1]
        map_beats[0] = fixed_beat
    if cap(keys, lengths, notes, map_ticks, map_beats, ticks_per_beat):
        repairs |= LONG_NOTE
    held = np.empty(0, np.int64)
    if downs > 0:
        spans = pedallings(keys, lengths, pedals)
        held = sustained(keys, lengths, voices, notes, spans, (map_ticks, map_beats), ticks_per_beat)
    else:
        sort(keys, lengths, notes)
    starts = np.empty(notes, np.int64)
    pitch, velocity = np.empty(notes, np.uint8), np.empty(notes, np.uint8)
    program, drums = np.empty(notes, np.uint8), np.empty(notes, np.bool_)
    for i in range(notes):
        key = keys[i]
        starts[i] = key >> TICK_SHIFT
        pitch[i] = key >> PITCH_SHIFT & 0x7F
        drums[i] = (key >> DRUM_SHIFT & 1) == 1
        program[i] = key >> PROGRAM_SHIFT & 0x7F
        velocity[i] = key & 0x7F
    return (
        starts,
        lengths[:notes].copy(),
        pitch,
        velocity,
        program,
        drums,
        map_ticks,
        map_beats,
        repairs,
        tracks,
        read,
        skipped,
        held,
    )
