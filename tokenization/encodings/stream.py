"""The inner loops of the plain encodings: a grid to its tokens and back, compiled.

No pass goes over time, so memory follows the notes and the tokens, however long the piece: a radix sort orders the
note-offs, and a merge of offs and notes writes the waits between. What the ids do is read from the `EventTable`.

While sorting, an event is one integer whose order is the order of the tokens: tick, then rank, then the number of its
length (from 1; 0 where none is written).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, put
from tokenization.encodings.effects import DRUM, END, LENGTH, NO_OFF, NOTE, OFF, TEMPO, WAIT, EventTable
from tokenization.encodings.grid import DRUM_TICKS

HEADER = 4
"""Tokens before the music: style, instrumentation, `start`, tempo."""
LENGTH_BITS, LENGTH_MASK = 12, 2**12 - 1
RANK_MASK = 2**17 - 1
TICK_SHIFT = 17 + LENGTH_BITS
PITCH_BITS, PITCH_MASK = 7, 127
DIGIT_BITS = 11
"""One pass of the radix sort: its counters fit the first cache, and two passes sort twelve hours."""
NEVER = np.iinfo(np.int64).max


@compiled
def write_tokens(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    row: NDArray[np.uint8],
    pitch: NDArray[np.uint8],
    tempo_ticks: NDArray[np.int64],
    tempo: NDArray[np.int64],
    with_offs: bool,
    lengths: NDArray[np.int64],
    table: EventTable,
    group_bit: NDArray[np.int64],
    wait_base: int,
    max_wait: int,
    tempo_base: int,
    header: tuple[int, int, int],
    end_id: int,
) -> NDArray[np.uint16]:
    """Return all tokens of a grid of n ≥ 1 notes, shape (tokens,), with or without the note-offs.

    `lengths`: ticks of the length tokens, the last of all ids, one of which is written behind each note; may be empty.
    `group_bit` is the bit of each instrument's group; the instrumentation in `header` is that of no group. No tempo
    begins behind the last event.
    """
    n, changes = len(start), len(tempo_ticks) - 1
    ons = np.empty(n + 1, np.int64)
    offs = np.empty((n if with_offs else 0) + changes + 1, np.int64)
    others = 0  # note-offs and tempos
    groups = np.int64(0)
    final = start[n - 1]
    for i in range(n):
        note = np.int64(row[i]) << PITCH_BITS | np.int64(pitch[i])
        groups |= group_bit[table.value[note] >> PITCH_BITS]
        ons[i] = start[i] << TICK_SHIFT | table.rank[note] << LENGTH_BITS
        if len(lengths) and table.kind[note] == NOTE:
            ons[i] |= np.searchsorted(lengths, end[i] - start[i]) + 1
        off = table.off[note]
        if with_offs and off != NO_OFF:
            offs[others] = end[i] << TICK_SHIFT | table.rank[off] << LENGTH_BITS
            final = max(final, end[i])
            others += 1
    for k in range(1, changes + 1):
        offs[others] = tempo_ticks[k] << TICK_SHIFT | table.rank[tempo_base + tempo[k]] << LENGTH_BITS
        others += 1
    _sort_by_tick(offs[:others], final)
    _sort_within_ticks(offs[:others])
    _sort_within_ticks(ons[:n])
    offs[others] = ons[n] = NEVER

    # Room for one wait before and one length behind every event, and for the longest waits that the piece can hold.
    tokens = np.empty(HEADER + 3 * n + 2 * others + final // max_wait + 1, np.uint16)
    tokens[0], tokens[1], tokens[2], tokens[3] = header[0], header[1] + groups, header[2], tempo_base + tempo[0]
    first_length = len(table.kind) - len(lengths)
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
        tokens[at] = table.order[event >> LENGTH_BITS & RANK_MASK]
        at += 1
        if event & LENGTH_MASK:
            tokens[at] = first_length + (event & LENGTH_MASK) - 1
            at += 1
    tokens[at] = end_id
    return tokens[: at + 1].copy()


@compiled
def read_tokens(
    tokens: NDArray[np.uint16],
    with_offs: bool,
    with_lengths: bool,
    is_stacked: bool,
    table: EventTable,
    voices: int,
    default_tempo: int,
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]
]:
    """Return start, end, row and pitch of the notes of any tokens, and the tempo changes as ticks and buckets.

    A note-off without its note is ignored; a note without a note-off ends when its pitch starts anew, at the latest
    with the sequence. If `is_stacked`, the notes of a pitch sound together instead, and a note-off ends the oldest of
    them. A note that then lasts no time is left out. In an encoding without offs, those in the tokens are
    ignored, and the ends are meaningless, unless it is one `with_lengths`: there a note without one lasts a tick. Ids
    that are not music are ignored, and all from `end` on. `voices` is the number of voices, `default_tempo` the bucket
    of a sequence that begins without one.
    """
    n = len(tokens)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    row, pitch = np.empty(n, np.uint8), np.empty(n, np.uint8)
    tempo_ticks, tempo = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    tempo_ticks[0], tempo[0] = 0, default_tempo
    changes = 1
    sounding, newest = np.full(voices, -1, np.int64), np.full(voices, -1, np.int64)
    following = np.full(n, -1, np.int64)  # behind each note, in the queue of those that sound
    known = len(table.kind)
    found = 0
    is_open = False  # directly behind a note
    now = np.int64(0)
    for token in tokens:
        if token >= known:
            continue
        kind, value = table.kind[token], table.value[token]
        if OFF <= kind <= DRUM:
            before = sounding[value]
            stays = is_stacked and kind != OFF
            if before >= 0 and not stays:
                if with_offs or start[before] == now:
                    end[before] = now
                elif with_lengths and kind != OFF:
                    end[before] = min(end[before], now)
                sounding[value] = following[before] if is_stacked else -1
            if kind != OFF:
                start[found], end[found] = now, now + (1 if kind == NOTE else DRUM_TICKS)
                row[found], pitch[found] = token >> PITCH_BITS, token & PITCH_MASK
                if kind == NOTE:
                    if sounding[value] >= 0:
                        following[newest[value]] = found
                    else:
                        sounding[value] = found
                    newest[value] = found
                found += 1
        elif kind == LENGTH:
            if is_open:
                end[found - 1] = now + value
        elif kind == WAIT:
            now += value
        elif kind == TEMPO:
            if tempo_ticks[changes - 1] == now:
                changes -= 1
            if changes == 0 or tempo[changes - 1] != value:
                tempo_ticks[changes], tempo[changes] = now, value
                changes += 1
        elif kind == END:
            break
        is_open = kind == NOTE
    if with_offs:
        for oldest in sounding:
            still = oldest
            while still >= 0:
                end[still] = now
                still = following[still]
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
    """Sort in place and stably by tick alone (radix sort)."""
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
        put(source, target, 0)


@compiled
def _sort_within_ticks(events: NDArray[np.int64]) -> None:
    """Sort events that are in the order of their ticks (insertion sort): each moves within one tick at most."""
    for i in range(1, len(events)):
        event = events[i]
        j = i
        while j > 0 and events[j - 1] > event:
            events[j] = events[j - 1]
            j -= 1
        events[j] = event
