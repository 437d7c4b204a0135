"""The rules of a frame for a batch of pieces, compiled: which ids are free, and what comes if none of them does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import DRUM, END, LENGTH, NOTE, OFF, TEMPO, WAIT, EventTable
from tokenization.encodings.rules import NO_BOUND
from tokenization.vocabulary import PITCHES

NONE = np.int64(-1)


class FrameTable(NamedTuple):
    """The events that stay from the span on, and the limits of new notes; times in ticks."""

    ticks: NDArray[np.int64]
    """Of each event that stays, shape (events,)."""
    tokens: NDArray[np.int64]
    onset_first: NDArray[np.int64]
    """The notes that stay of voice v start at `onset_ticks[onset_first[v] : onset_first[v + 1]]`."""
    onset_ticks: NDArray[np.int64]
    off: NDArray[np.int64]
    """The note-off of each voice, -1 for drums."""
    playable: NDArray[np.bool_]
    """Instruments of which notes are new."""
    begin: int
    end: int
    longest_note: int
    wait_base: int
    max_wait: int
    writes_lengths: bool
    """True if the length of a note follows it; then no note-off ends it."""


class Place(NamedTuple):
    """Where each piece of a batch is; arrays of shape (batch,) unless stated."""

    pointer: NDArray[np.int64]
    """The next of the events that stay."""
    deadline: NDArray[np.int64]
    """The tick at which each voice of a new note has to end, NO_BOUND for the others; shape (batch, voices)."""
    left: NDArray[np.int64]
    """New notes that may still start."""
    until: NDArray[np.int64]
    """The tick at which a new note whose length comes next has to end; NO_BOUND where there is none."""


@compiled
def list_free(
    may: NDArray[np.bool_],
    now: NDArray[np.int64],
    place: Place,
    frame: FrameTable,
    table: EventTable,
    free: NDArray[np.bool_],
    forced: NDArray[np.int64],
) -> None:
    """Set `free` for the ids of `may`, both of shape (batch, ids), that may come before the next event that stays, and
    `forced`, shape (batch,), to the id that comes otherwise, NONE where no wait reaches it yet."""
    pointer, deadline, left, until = place
    for row in range(len(may)):
        if until[row] < NO_BOUND:  # the length of a new note
            forced[row] = NONE
            for each in range(len(may[row])):
                fits = table.kind[each] == LENGTH and now[row] + table.value[each] <= until[row]
                free[row, each] = fits and may[row, each]
            continue
        tick, rank, token = _next_event(now[row], pointer[row], deadline[row], frame, table)
        is_due, is_inside = tick <= now[row] and token != NONE, frame.begin <= now[row] < frame.end
        if is_inside:
            for each in range(len(may[row])):
                if may[row, each] and OFF <= table.kind[each] <= DRUM and (not is_due or table.rank[each] < rank):
                    free[row, each] = _is_new(each, now[row], deadline[row], left[row], frame, table)
        if is_due:
            forced[row] = token
            continue
        gap = tick - now[row]
        may_rest = not is_inside or not free[row].any()  # for as long as it takes; else the grammar bounds waits
        is_near = gap <= frame.max_wait and (may_rest or may[row, frame.wait_base + gap])
        forced[row] = frame.wait_base + gap if is_near else NONE
        for wait in range(1, min(gap, frame.max_wait + 1)):
            then = now[row] + wait
            fits = wait == frame.max_wait or (then >= frame.begin and then < frame.end and left[row] > 0)
            free[row, frame.wait_base + wait] = fits and (may_rest or may[row, frame.wait_base + wait])


@compiled
def _next_event(
    now: np.int64, pointer: np.int64, deadline: NDArray[np.int64], frame: FrameTable, table: EventTable
) -> tuple[np.int64, np.int64, np.int64]:
    """Return tick, rank and id of the next event that has to come; without an id, the end of the span."""
    tick, rank, token = np.int64(frame.end), NO_BOUND, NONE
    if pointer < len(frame.ticks) and frame.ticks[pointer] < tick:
        tick, token = frame.ticks[pointer], frame.tokens[pointer]
        rank = table.rank[token]
    for voice in range(len(deadline)):
        if deadline[voice] < NO_BOUND:
            off = frame.off[voice]
            if deadline[voice] < tick or (deadline[voice] == tick and table.rank[off] < rank):
                tick, rank, token = deadline[voice], table.rank[off], off
    return tick, rank, token


@compiled
def _is_new(
    token: int, now: np.int64, deadline: NDArray[np.int64], left: np.int64, frame: FrameTable, table: EventTable
) -> bool:
    """Return True if an event that the grammar allows is the end of a new note, or a new note that has room."""
    voice = table.value[token]
    if table.kind[token] == OFF:
        return bool(deadline[voice] < NO_BOUND)
    if left == 0 or not frame.playable[voice // PITCHES]:
        return False
    at = _first_onset(voice, now, frame)
    return not (at < frame.onset_first[voice + 1] and frame.onset_ticks[at] == now)


@compiled
def _first_onset(voice: np.int64, tick: np.int64, frame: FrameTable) -> int:
    """Return the index of the first note that stays of a voice from a tick on."""
    at, end = frame.onset_first[voice], frame.onset_first[voice + 1]
    while at < end:
        middle = (at + end) // 2
        if frame.onset_ticks[middle] < tick:
            at = middle + 1
        else:
            end = middle
    return int(at)


@compiled
def put_forced(
    logits: NDArray[np.float32],
    may: NDArray[np.bool_],
    now: NDArray[np.int64],
    forced: NDArray[np.int64],
    frame: FrameTable,
    table: EventTable,
    free: NDArray[np.bool_],
    adjusted: NDArray[np.float32],
) -> None:
    """Add the forced id of each piece to `free`; its logit in `adjusted` is the log of the summed exponentials of the
    logits of all that could come at it or behind it. Arrays of shape (batch, ids)."""
    for row in range(len(may)):
        token = forced[row]
        if token == NONE:
            continue
        is_wait = table.kind[token] == WAIT
        rank, gap = (NO_BOUND, table.value[token]) if is_wait else (table.rank[token], np.int64(0))
        total, peak = 0.0, np.float64(logits[row, token])
        for each in range(may.shape[1]):
            kind = table.kind[each]
            if not may[row, each] and each != token:
                continue
            is_event = TEMPO <= kind <= DRUM
            if (is_event and table.rank[each] >= rank) or (kind == WAIT and table.value[each] >= gap) or kind == END:
                value = np.float64(logits[row, each])
                if value > peak:
                    total, peak = total * np.exp(peak - value), value
                total += np.exp(value - peak)
        adjusted[row, token] = peak + np.log(total)
        free[row, token] = True


@compiled
def advance(
    tokens: NDArray[np.int64],
    now: NDArray[np.int64],
    place: Place,
    frame: FrameTable,
    table: EventTable,
) -> None:
    """Update the place of each piece by its next token, shape (batch,)."""
    pointer, deadline, left, until = place
    for row in range(len(tokens)):
        token, tick = tokens[row], now[row]
        kind, voice, at = table.kind[token], table.value[token], pointer[row]
        if at < len(frame.ticks) and frame.ticks[at] == tick and frame.tokens[at] == token:
            pointer[row] += 1
        elif kind == OFF:
            deadline[row, voice] = NO_BOUND
        elif kind == LENGTH:
            until[row] = NO_BOUND
        elif kind in (NOTE, DRUM):
            left[row] -= 1
            if kind == NOTE:
                latest = min(frame.end, tick + frame.longest_note)
                onset = _first_onset(voice, tick + 1, frame)
                if onset < frame.onset_first[voice + 1]:
                    latest = min(latest, frame.onset_ticks[onset])
                if frame.writes_lengths:
                    until[row] = latest
                else:
                    deadline[row, voice] = latest
