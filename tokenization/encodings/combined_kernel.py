"""The combined encoding's inner loop: the sorted notes of a piece to its tokens, compiled.

None of its passes goes over time, so memory follows the notes and the tokens, however long the piece: a sweep
leaves one sounding note per instrument and pitch, a radix sort puts the note-offs in order, and a merge of offs and
notes writes the waits between.

An event is one integer whose order is the order of the tokens:

    tick · 2^17 + kind · 2^15 + pitch · 2^8 + (255 − row)      kind: 0 note-off, 1 note, 2 note that has no note-off
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

HEADER = 4
"""Tokens before the music: style, instrumentation, `start`, tempo."""
TICK_SHIFT, KIND_SHIFT, PITCH_SHIFT = 17, 15, 8
PITCH_BITS = 7
PITCH_MASK, ROW_MASK = 127, 255
DIGIT_BITS = 11
"""One pass of the radix sort: its counters fit the first cache, and two passes sort twelve hours."""
NEVER = np.iinfo(np.int64).max


@compiled
def piece_tokens(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    velocity: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
    ticks_per_second: float,
    program_instrument: NDArray[np.uint8],
    drum_instrument: int,
    on_row: NDArray[np.uint8],
    off_row: NDArray[np.int16],
    group_bit: NDArray[np.int64],
    wait_base: int,
    max_wait: int,
    header: tuple[int, int, int, int],
    end_id: int,
) -> NDArray[np.uint16]:
    """All tokens of a piece, shape (tokens,), from notes sorted by onset; `Combined.encode` says which.

    The columns of notes have shape (n,), n at least 1. The tables are the vocabulary's, with a line per instrument;
    `group_bit` is the bit of its group. In `header` the instrumentation is still that of no group. The result is
    empty when a pitch, velocity or program is above 127.
    """
    # Notes on the grid, in the order of their starts, and the latest of each instrument and pitch among them.
    start = np.empty(len(onset), np.int64)
    end = np.empty(len(onset), np.int64)
    voice = np.empty(len(onset), np.int64)
    loudest = np.empty(len(onset), np.uint8)
    latest = np.full(len(off_row) << PITCH_BITS, -1, np.int64)
    kept = 0
    for i in range(len(onset)):
        if (pitch[i] | velocity[i] | program[i]) > PITCH_MASK:
            return np.empty(0, np.uint16)
        since = onset[i] - onset[0]
        first = np.int64(np.rint(since * ticks_per_second))
        last = max(np.int64(np.rint((since + duration[i]) * ticks_per_second)), first + 1)
        instrument = np.int64(drum_instrument) if drum[i] else np.int64(program_instrument[program[i]])
        key = instrument << PITCH_BITS | np.int64(pitch[i])
        before = latest[key]
        if before >= 0 and start[before] == first:
            end[before] = max(end[before], last)
            loudest[before] = max(loudest[before], velocity[i])
        else:
            if before >= 0:
                end[before] = min(end[before], first)
            latest[key] = kept
            start[kept], end[kept], voice[kept], loudest[kept] = first, last, key, velocity[i]
            kept += 1

    ons = np.empty(kept + 1, np.int64)
    offs = np.empty(kept + 1, np.int64)
    ended = 0
    groups = np.int64(0)
    final = start[kept - 1]
    for i in range(kept):
        instrument, key = voice[i] >> PITCH_BITS, voice[i] & PITCH_MASK
        groups |= group_bit[instrument]
        row, off = np.int64(on_row[instrument, loudest[i]]), np.int64(off_row[instrument])
        kind = 1 if off >= 0 else 2
        ons[i] = start[i] << TICK_SHIFT | kind << KIND_SHIFT | key << PITCH_SHIFT | (ROW_MASK - row)
        if off >= 0:
            offs[ended] = end[i] << TICK_SHIFT | key << PITCH_SHIFT | (ROW_MASK - off)
            final = max(final, end[i])
            ended += 1
    _sort_by_tick(offs[:ended], final)
    _sort_within_ticks(offs[:ended])
    _sort_within_ticks(ons[:kept])
    offs[ended] = ons[kept] = NEVER

    # Room for one wait before every event and for the longest waits that the piece can hold.
    tokens = np.empty(HEADER + 2 * (kept + ended) + final // max_wait + 1, np.uint16)
    tokens[0], tokens[1], tokens[2], tokens[3] = header[0], header[1] + groups, header[2], header[3]
    at = HEADER
    now = np.int64(0)
    i = j = 0
    while i < ended or j < kept:
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
        tokens[at] = (ROW_MASK - (event & ROW_MASK)) << PITCH_BITS | (event >> PITCH_SHIFT & PITCH_MASK)
        at += 1
    tokens[at] = end_id
    return tokens[: at + 1].copy()


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
