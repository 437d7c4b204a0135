"""The inner loops of the plain encodings: a grid to its tokens and back, compiled.

None of the passes goes over time, so memory follows the notes and the tokens, however long the piece: a radix sort
puts the note-offs in order, and a merge of offs and notes writes the waits between.

An event is one integer whose order is the order of the tokens:

    tick · 2^17 + kind · 2^15 + pitch · 2^8 + (255 − row)      kind: 1 note-off, 2 note, 3 drum hit
    tick · 2^17 + bucket                                       a tempo
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.grid import DRUM_TICKS
from tokenization.vocabulary import NO_ROW, PITCHES, Vocabulary

HEADER = 4
"""Tokens before the music: style, instrumentation, `start`, tempo."""
TICK_SHIFT, KIND_SHIFT, PITCH_SHIFT = 17, 15, 8
TEMPO, OFF, NOTE, DRUM = range(4)
PITCH_BITS = 7
PITCH_MASK, ROW_MASK, KIND_MASK, BUCKET_MASK = 127, 255, 3, 2**KIND_SHIFT - 1
DIGIT_BITS = 11
"""One pass of the radix sort: its counters fit the first cache, and two passes sort twelve hours."""
NEVER = np.iinfo(np.int64).max


def note_places(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The place of each note id in the order of events within a tick, kind included, shape (note ids,)."""
    row, pitch = np.divmod(np.arange(vocabulary.note_end), PITCHES)
    is_drum = vocabulary.off_row[vocabulary.row_instrument[row]] == NO_ROW
    kind = np.where(vocabulary.row_velocity[row] == 0, OFF, np.where(is_drum, DRUM, NOTE))
    places: NDArray[np.int64] = kind << KIND_SHIFT | pitch << PITCH_SHIFT | (ROW_MASK - row)
    return places


@compiled
def write_tokens(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    row: NDArray[np.uint8],
    pitch: NDArray[np.uint8],
    tempo_ticks: NDArray[np.int64],
    tempo: NDArray[np.int64],
    with_offs: bool,
    row_instrument: NDArray[np.uint8],
    off_row: NDArray[np.int16],
    group_bit: NDArray[np.int64],
    wait_base: int,
    max_wait: int,
    tempo_base: int,
    header: tuple[int, int, int],
    end_id: int,
) -> NDArray[np.uint16]:
    """All tokens of a grid of n ≥ 1 notes, shape (tokens,), with or without the note-offs.

    The tables are the vocabulary's, with a line per instrument; `group_bit` is the bit of its group. In `header`
    the instrumentation is still that of no group. No tempo begins behind the last event.
    """
    n, changes = len(start), len(tempo_ticks) - 1
    ons = np.empty(n + 1, np.int64)
    offs = np.empty((n if with_offs else 0) + changes + 1, np.int64)
    others = 0  # note-offs and tempos
    groups = np.int64(0)
    final = start[n - 1]
    for i in range(n):
        instrument = row_instrument[row[i]]
        groups |= group_bit[instrument]
        off, key = np.int64(off_row[instrument]), np.int64(pitch[i])
        kind = NOTE if off >= 0 else DRUM
        ons[i] = start[i] << TICK_SHIFT | kind << KIND_SHIFT | key << PITCH_SHIFT | (ROW_MASK - np.int64(row[i]))
        if with_offs and off >= 0:
            offs[others] = end[i] << TICK_SHIFT | OFF << KIND_SHIFT | key << PITCH_SHIFT | (ROW_MASK - off)
            final = max(final, end[i])
            others += 1
    for k in range(1, changes + 1):
        offs[others] = tempo_ticks[k] << TICK_SHIFT | tempo[k]
        others += 1
    _sort_by_tick(offs[:others], final)
    _sort_within_ticks(offs[:others])
    _sort_within_ticks(ons[:n])
    offs[others] = ons[n] = NEVER

    # Room for one wait before every event and for the longest waits that the piece can hold.
    tokens = np.empty(HEADER + 2 * (n + others) + final // max_wait + 1, np.uint16)
    tokens[0], tokens[1], tokens[2], tokens[3] = header[0], header[1] + groups, header[2], tempo_base + tempo[0]
    at = HEADER
    now = np.int64(0)
    i = j = 0
    while i < others or j < n:
        if offs[i] < ons[j]:
            event = offs[i]
            i += 1
        else:
            event = ons[j]
            j += 1
        wait = (event >> TICK_SHIFT) - now
        if wait > 0:
            now += wait
            while wait > max_wait:
                tokens[at] = wait_base + max_wait
                at += 1
                wait -= max_wait
            tokens[at] = wait_base + wait
            at += 1
        if event >> KIND_SHIFT & KIND_MASK == TEMPO:
            tokens[at] = tempo_base + (event & BUCKET_MASK)
        else:
            tokens[at] = (ROW_MASK - (event & ROW_MASK)) << PITCH_BITS | (event >> PITCH_SHIFT & PITCH_MASK)
        at += 1
    tokens[at] = end_id
    return tokens[: at + 1].copy()


@compiled
def read_tokens(
    tokens: NDArray[np.uint16],
    with_offs: bool,
    row_instrument: NDArray[np.uint8],
    row_velocity: NDArray[np.uint8],
    off_row: NDArray[np.int16],
    wait_base: int,
    max_wait: int,
    tempo_base: int,
    tempos: int,
    default_tempo: int,
    end_id: int,
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]
]:
    """Start, end, row and pitch of the notes of any tokens, and the tempo changes: ticks and buckets.

    A note-off without its note is ignored; a note without a note-off ends when its pitch starts anew, at the latest
    with the sequence. A note that then lasts no time is left out. Without offs in the encoding those that there are
    are ignored, and ends mean nothing. Ids that say nothing of music are ignored, and all from `end` on.
    """
    n = len(tokens)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    row, pitch = np.empty(n, np.uint8), np.empty(n, np.uint8)
    tempo_ticks, tempo = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    tempo_ticks[0], tempo[0] = 0, default_tempo
    changes = 1
    sounding = np.full(len(off_row) << PITCH_BITS, -1, np.int64)
    note_end = len(row_instrument) << PITCH_BITS
    found = 0
    now = np.int64(0)
    for token in tokens:
        if token < note_end:
            line, key = token >> PITCH_BITS, token & PITCH_MASK
            instrument = np.int64(row_instrument[line])
            voice = instrument << PITCH_BITS | np.int64(key)
            before = sounding[voice]
            if before >= 0 and (with_offs or start[before] == now):
                end[before] = now
            sounding[voice] = -1
            if row_velocity[line] > 0:
                held = off_row[instrument] >= 0
                start[found], end[found] = now, now + (1 if held else DRUM_TICKS)
                row[found], pitch[found] = line, key
                if held:
                    sounding[voice] = found
                found += 1
        elif wait_base < token <= wait_base + max_wait:
            now += np.int64(token) - wait_base
        elif tempo_base <= token < tempo_base + tempos:
            bucket = np.int64(token) - tempo_base
            if tempo_ticks[changes - 1] == now:
                changes -= 1
            if changes == 0 or tempo[changes - 1] != bucket:
                tempo_ticks[changes], tempo[changes] = now, bucket
                changes += 1
        elif token == end_id or token == end_id + 1:
            break
    if with_offs:
        for still in sounding:
            if still >= 0:
                end[still] = now
    kept = 0
    for i in range(found):
        if end[i] > start[i]:
            start[kept], end[kept], row[kept], pitch[kept] = start[i], end[i], row[i], pitch[i]
            kept += 1
    return (
        start[:kept].copy(),
        end[:kept].copy(),
        row[:kept].copy(),
        pitch[:kept].copy(),
        tempo_ticks[:changes].copy(),
        tempo[:changes].copy(),
    )


@compiled
def _sort_by_tick(events: NDArray[np.int64], last_tick: int) -> None:
    """Stable radix sort in place, by tick alone."""
    source, target = events, np.empty_like(events)
    shift = TICK_SHIFT
    passes = 0
    while last_tick > 0:
        ends = np.zeros((1 << DIGIT_BITS) + 1, np.int64)
        for event in source:
            ends[(event >> shift & (1 << DIGIT_BITS) - 1) + 1] += 1
        for digit in range(1 << DIGIT_BITS):
            ends[digit + 1] += ends[digit]
        for event in source:
            digit = event >> shift & (1 << DIGIT_BITS) - 1
            target[ends[digit]] = event
            ends[digit] += 1
        source, target = target, source
        shift += DIGIT_BITS
        last_tick >>= DIGIT_BITS
        passes += 1
    if passes % 2:
        target[:] = source


@compiled
def _sort_within_ticks(events: NDArray[np.int64]) -> None:
    """Insertion sort in place, for events already sorted by tick: what moves, moves within one chord."""
    for i in range(1, len(events)):
        event = events[i]
        j = i
        while j > 0 and events[j - 1] > event:
            events[j] = events[j - 1]
            j -= 1
        events[j] = event
