"""The end of a piece in the grammar: when `end` may follow, and what may still begin before it.

A piece of `latest` tokens has to end its notes and itself in the tokens that are left. Ending n notes takes n
note-offs, a wait if some of them come before the tick's latest event in the tick's order, and `end`: n + 2 tokens, and
one where encodings have no note-offs. An id may follow while at least as many are left behind it. A note that is
written with its length takes one token more at once, and `end` may follow while it rings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import LENGTH, OFF, OTHER, TEMPO, EventTable
from tokenization.encodings.rules import AFTER_WAIT, NO_BOUND, NO_VOICE, ZERO, Limits, Moment, State, load_moment

ONE = np.int64(1)
NOTE_AND_END = np.int64(2)
"""Tokens, besides those kept, of a note that has to follow a rest or a tempo."""


class Ending(NamedTuple):
    """Where each piece of a batch ends; arrays of shape (batch,)."""

    earliest: NDArray[np.int64]
    """Tokens from which on `end` may follow."""
    latest: NDArray[np.int64]
    """Tokens that the piece has at most, its `end` included."""
    last_onset: NDArray[np.int64]
    """The tick from which on no note starts, and `end` may follow."""
    last_sound: NDArray[np.int64]
    """The tick at which all notes have ended, later than `last_onset`."""

    @classmethod
    def within(cls, earliest: NDArray[np.int64], latest: NDArray[np.int64]) -> Ending:
        """Bound the number of tokens alone."""
        bounds = (np.array(bound, np.int64) for bound in (earliest, latest))
        return cls(*bounds, *(np.full(len(latest), NO_BOUND, np.int64) for _ in range(2)))

    @classmethod
    def open(cls, batch: int) -> Ending:
        """Let `end` follow whenever nothing sounds."""
        return cls.within(np.zeros(batch, np.int64), np.full(batch, NO_BOUND, np.int64))


@compiled
def list_ending(
    state: State,
    ending: Ending,
    taken: int,
    limits: Limits,
    table: EventTable,
    onsets: NDArray[np.int64],
    most_onsets: int,
    ticks: NDArray[np.int64],
    most_ticks: int,
    end: int,
    out: NDArray[np.bool_],
) -> None:
    """Set column `end` of `out`, shape (batch, ids), and take out what would leave too few tokens for the ending.

    `taken`: tokens so far. `onsets`: notes that start in each id, shape (ids,); `most_onsets`: their maximum.
    `ticks`: ticks that pass with each id; `most_ticks`: their maximum.
    """
    for index in range(len(out)):
        if state.finished[index]:
            continue
        moment, may = load_moment(state.moments[index]), out[index]
        until = ending.last_sound[index] - moment.now
        if moment.unmeasured != NO_VOICE:
            _ring_within(max(until, ONE), table, may)
            continue
        is_over = moment.now >= ending.last_onset[index]
        kept = moment.sounding + 2 if limits.writes_ends else np.int64(1)
        room = ending.latest[index] - taken - 1 - kept
        is_near = is_over or room < most_onsets + NOTE_AND_END
        if is_near:
            _leave_room(moment, room, is_over, limits, table, onsets, may)
        if until < most_ticks and (moment.sounding > 0 or not is_over):
            _ring_out(until, table, ticks, may)
        may_end = is_over or taken >= ending.earliest[index]
        rings_alone = moment.sounding == 0 or not limits.writes_ends
        is_idle = rings_alone and (is_over or moment.bare_tempo == 0)
        # A wait leads to something, unless nothing may come any more.
        may[end] = is_idle and ((may_end and moment.latest > AFTER_WAIT) or (is_near and not may.any()))


@compiled
def _leave_room(
    moment: Moment,
    room: np.int64,
    is_over: bool,
    limits: Limits,
    table: EventTable,
    onsets: NDArray[np.int64],
    may: NDArray[np.bool_],
) -> None:
    """Take ids out of `may`, shape (ids,), that leave too few tokens.

    `room`: tokens left behind the next id that are not needed to end the notes that sound now.
    """
    is_silent = moment.sounding == 0 or not limits.writes_ends
    first_off = np.int64(-1)
    for token in range(len(may)):
        if not may[token]:
            continue
        kind = table.kind[token]
        needed = onsets[token] if limits.writes_ends or limits.writes_lengths else ZERO
        if kind == TEMPO or (kind == OTHER and limits.in_beats):  # a learned id may end with a tempo
            needed += NOTE_AND_END
        elif onsets[token] == 0:
            # A rest leads to a note. Else a note ends, or behind a wait all notes can end without another one.
            needed = NOTE_AND_END if is_silent else min(room, -ONE)
        may[token] = needed <= room and not (is_over and (is_silent or onsets[token] > 0 or kind == TEMPO))
        if kind == OFF and (first_off < 0 or table.rank[token] < table.rank[first_off]):
            first_off = np.int64(token)
    if room < -1 and first_off >= 0:
        # Ended in order, they need no wait.
        may[:] = False
        may[first_off] = True


@compiled
def _ring_within(most: np.int64, table: EventTable, may: NDArray[np.bool_]) -> None:
    """Take lengths of more than `most` ticks out of `may`, shape (ids,)."""
    for token in range(len(may)):
        if table.kind[token] == LENGTH and table.value[token] > most:
            may[token] = False


@compiled
def _ring_out(left: np.int64, table: EventTable, ticks: NDArray[np.int64], may: NDArray[np.bool_]) -> None:
    """Take waits out of `may`, shape (ids,), that go beyond the last sound, `left` ticks from now.

    At the last sound notes end in order; a wait of one tick is left where some of them have missed their turn.
    """
    first_off = np.int64(-1)
    for token in range(len(may)):
        if may[token] and table.kind[token] == OFF and (first_off < 0 or table.rank[token] < table.rank[first_off]):
            first_off = np.int64(token)
    most = left if left > 0 else ZERO if first_off >= 0 else ONE
    for token in range(len(may)):
        if ticks[token] > most or (left <= 0 and first_off >= 0 and token != first_off):
            may[token] = False
