"""The tracks of a file as one set of columns: find, decode, pair, time and sort."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, find_track, open_track
from tokenization.midi.reader.decoding import decode_track
from tokenization.midi.reader.events import LAST_TICK, TEMPO, Events, Numbers, packed, voice_bits_of
from tokenization.midi.reader.note_columns import DRUM_SHIFT, PITCH_SHIFT, PROGRAM_SHIFT, TICK_SHIFT
from tokenization.midi.reader.pairing import pair_notes
from tokenization.midi.reader.pedal import pedallings, sustain
from tokenization.midi.reader.recovery import LONGEST_REST, PLAUSIBLE_SPAN, Limits
from tokenization.midi.reader.tempo import cap_lengths, tempo_map
from tokenization.midi.repairs import Repair
from tokenization.midi.standard import DEFAULT_BEAT

HANGING_NOTE = Repair.HANGING_NOTE.bit
LONG_NOTE = Repair.LONG_NOTE.bit
FIRST_TICK = constant(0)
WHOLE_DEFAULT_BEAT = constant(int(DEFAULT_BEAT))


class Tracks(NamedTuple):
    """The music of all tracks: note columns of shape (n,) in the order of `Score`, a tempo map of shape (m,)."""

    start: Numbers
    """Ticks."""
    length: Numbers
    """Ticks."""
    pitch: NDArray[np.uint8]
    velocity: NDArray[np.uint8]
    program: NDArray[np.uint8]
    drum: NDArray[np.bool_]
    tempo_ticks: Numbers
    tempo_beats: NDArray[np.float64]
    """Microseconds per quarter note."""
    sustained: Numbers
    """Ticks with the sustain pedal, shape (n,); empty if it changes no length."""
    repairs: int
    """Bits of `Repair`."""
    tracks: int
    """Number of tracks."""
    read: int
    """Bytes of the tracks."""
    skipped: int
    """Bytes of the tracks that make no sense."""


class _Decoded(NamedTuple):
    """The events of all tracks, and the sums over the tracks."""

    events: Events
    repairs: int
    tracks: int
    read: int
    skipped: int
    highest_port: int


@compiled
def read_tracks(
    data: Bytes, at: int, count: int, ticks_per_beat: int, is_successive: bool, fixed_beat: float
) -> Tracks:
    """Read the notes and tempos of the chunks from byte `at` on.

    `count`: the number of tracks by the header. `is_successive`: the tracks are sequences of their own (type 2), played
    one after another. `fixed_beat`: microseconds per beat of a file in seconds (SMPTE), whose tempo events mean
    nothing; 0 for a file in beats.
    """
    decoded = _decode(data, at, count, ticks_per_beat, is_successive, fixed_beat == 0)
    events, repairs = decoded.events, decoded.repairs
    voice_bits = voice_bits_of(decoded.highest_port)
    notes, has_hanging = pair_notes(events.notes, voice_bits, ticks_per_beat, is_successive)
    tempos = tempo_map(events.controls, fixed_beat)
    is_capped = cap_lengths(notes.keys, notes.lengths, tempos, ticks_per_beat)
    sustained = sustain(
        notes, pedallings(events.controls, voice_bits, is_successive), voice_bits, tempos, ticks_per_beat
    )
    repairs |= HANGING_NOTE if has_hanging else 0
    repairs |= LONG_NOTE if is_capped else 0
    start, pitch, velocity, program, drum = _unpacked(notes.keys)
    return Tracks(
        start,
        notes.lengths.copy(),
        pitch,
        velocity,
        program,
        drum,
        tempos.ticks,
        tempos.beats,
        sustained,
        repairs,
        decoded.tracks,
        decoded.read,
        decoded.skipped,
    )


@compiled
def _decode(data: Bytes, at: int, stated: int, ticks_per_beat: int, is_successive: bool, has_tempos: bool) -> _Decoded:
    """Decode the tracks of the chunks from `at` on into columns of events."""
    limits = Limits(
        ticks_per_beat, LONGEST_REST * ticks_per_beat, PLAUSIBLE_SPAN * ticks_per_beat, LAST_TICK * ticks_per_beat
    )
    # An event takes two bytes at least, but at a fault BACK of them may be read again, once in PROBED_EVENTS events.
    events = Events(np.empty(len(data), np.int64), np.empty(len(data), np.int64))
    n = m = tracks = repairs = read = skipped = highest_port = 0
    begin = FIRST_TICK
    while True:
        at, found = find_track(data, at, tracks >= stated)
        repairs |= found
        if at >= len(data):
            columns = Events(events.notes[:n], events.controls[:m])
            return _Decoded(columns, repairs, tracks, read, skipped, highest_port)
        if is_successive and has_tempos and tracks > 0:
            events.controls[m] = packed(begin, TEMPO, WHOLE_DEFAULT_BEAT)
            m += 1
        track = decode_track(data, open_track(data, at), begin, limits, has_tempos, stated != 1, events, n, m)
        at, n, m = track.next_chunk, track.notes, track.controls
        repairs |= track.repairs
        read += track.read
        skipped += track.skipped
        highest_port = max(highest_port, track.highest_port)
        tracks += 1
        if is_successive:
            begin = track.tick


@compiled
def _unpacked(
    keys: Numbers,
) -> tuple[Numbers, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the start, pitch, velocity, program and drum of notes from their keys."""
    n = len(keys)
    start, drum = np.empty(n, np.int64), np.empty(n, np.bool_)
    pitch, velocity, program = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8)
    for i in range(n):
        key = keys[i]
        start[i] = key >> TICK_SHIFT
        pitch[i] = key >> PITCH_SHIFT & 0x7F
        drum[i] = (key >> DRUM_SHIFT & 1) == 1
        program[i] = key >> PROGRAM_SHIFT & 0x7F
        velocity[i] = key & 0x7F
    return start, pitch, velocity, program, drum
