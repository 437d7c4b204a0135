"""The rules of the grammar for one piece: which plain id may follow a moment, and the moment after it.

Both are pure in the scalars of a `Moment`; the notes that sound are updated in place, with a log by which a sequence
that was only tried is undone.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import DRUM, NOTE, OFF, TEMPO, WAIT, EventTable
from tokenization.vocabulary import PITCHES

ZERO = np.int64(0)
AFTER_WAIT, AT_FIRST = np.int64(-1), ZERO
"""Ranks before all notes: nothing has happened at this tick; nothing but a tempo."""
NO_BOUND = np.int64(2**62)
"""Rank behind all events, and tick after all others."""
SILENT = -1
"""In place of the tick at which a note has started."""


class Moment(NamedTuple):
    """What the grammar keeps of a piece between two tokens; of a batch, one column per field."""

    now: np.int64
    """Ticks since the start."""
    latest: np.int64
    """Rank of the latest event of this tick; the next one has a higher rank."""
    bound: np.int64
    """Rank of the first overdue note-off of this tick; no event may have a higher rank."""
    silence: np.int64
    """Ticks since anything last sounded."""
    sounding: np.int64
    """Number of notes that sound."""
    oldest: np.int64
    """A tick at or before the start of each note that sounds."""
    tempo: np.int64
    """Bucket of the current tempo."""
    bare_tempo: np.int64
    """1 after a tempo change under which nothing has happened yet."""


BARE_TEMPO = Moment._fields.index("bare_tempo")
FIRST_MOMENT = Moment(ZERO, ZERO, NO_BOUND, ZERO, ZERO, NO_BOUND, ZERO, ZERO)


class Limits(NamedTuple):
    """What holds for all pieces of a batch; lengths in ticks."""

    longest_note: int
    longest_rest: int
    writes_ends: bool
    in_beats: bool


class State(NamedTuple):
    """A batch of pieces."""

    playable: NDArray[np.bool_]
    """The instruments that each piece may use, shape (batch, instruments)."""
    finished: NDArray[np.bool_]
    """True for pieces behind their end, shape (batch,)."""
    moments: NDArray[np.int64]
    """Shape (batch, fields of Moment)."""
    since: NDArray[np.int64]
    """The tick at which each voice has started, or SILENT; shape (batch, voices)."""


class Piece(NamedTuple):
    """The arrays of one piece while ids are tried or taken."""

    playable: NDArray[np.bool_]
    since: NDArray[np.int64]
    voices: NDArray[np.int64]
    """The voices that sounded at first, then those touched since."""
    before: NDArray[np.int64]
    """What `since` held of each voice in `voices` when it was touched."""
    listed: NDArray[np.int64]
    """Number of `voices`, shape (1,)."""


class LearnedRules(Protocol):
    """The grammar of learned tokens that do not act as the sequence of ids they stand for."""

    def list_allowed(self, state: State, limits: Limits, out: NDArray[np.bool_]) -> None:
        """Set the columns of the learned ids in `out`, shape (batch, ids), for all pieces that are not finished."""

    def advance(self, state: State, tokens: NDArray[np.int64]) -> None:
        """Update the state by those `tokens`, shape (batch,), that are learned ids."""


@compiled
def load_moment(row: NDArray[np.int64]) -> Moment:
    """Return a row of `State.moments` as a Moment."""
    return Moment(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])


@compiled
def store_moment(moment: Moment, row: NDArray[np.int64]) -> None:
    """Write a Moment to a row of `State.moments`."""
    for field, value in enumerate(moment):
        row[field] = value


@compiled
def list_sounding(since: NDArray[np.int64], voices: NDArray[np.int64]) -> int:
    """Write the voices that sound to `voices` and return their number."""
    count = 0
    for voice in range(len(since)):
        if since[voice] >= 0:
            voices[count] = voice
            count += 1
    return count


@compiled
def note_may_follow(kind: np.uint8, rank: np.int64, sounds: bool, playable: bool, moment: Moment) -> bool:
    """Return True if a note-off, note or drum hit may follow, given if its voice `sounds` and is `playable`."""
    fits = sounds if kind == OFF else playable and not sounds
    return bool(fits and moment.latest < rank <= moment.bound)


@compiled
def other_may_follow(kind: np.uint8, value: np.int64, moment: Moment, limits: Limits) -> bool:
    """Return True if a wait or tempo may follow. `end` is decided by `Grammar`; ids that are not music may not."""
    if kind == WAIT:
        return bool(moment.bound == NO_BOUND and moment.silence < limits.longest_rest)
    return bool(kind == TEMPO and limits.in_beats and moment.latest == AFTER_WAIT and value != moment.tempo)


@compiled
def list_plain(moment: Moment, piece: Piece, table: EventTable, limits: Limits, may: NDArray[np.bool_]) -> None:
    """Fill `may`, shape (plain ids,), with the ids that may follow."""
    # A call that passes arrays counts their references, which costs more than the rule: they stay in this loop.
    kinds, values, ranks, since, playable = table.kind, table.value, table.rank, piece.since, piece.playable
    for token in range(len(may)):
        kind, value = kinds[token], values[token]
        if OFF <= kind <= DRUM:
            may[token] = note_may_follow(kind, ranks[token], since[value] >= 0, playable[value // PITCHES], moment)
        else:
            may[token] = other_may_follow(kind, value, moment, limits)


@compiled
def may_follow(token: int, moment: Moment, piece: Piece, table: EventTable, limits: Limits) -> bool:
    """Return True if a plain id may follow."""
    kind, value = table.kind[token], table.value[token]
    if OFF <= kind <= DRUM:
        sounds, playable = piece.since[value] >= 0, piece.playable[value // PITCHES]
        return note_may_follow(kind, table.rank[token], sounds, playable, moment)
    return other_may_follow(kind, value, moment, limits)


@compiled
def follow(token: int, moment: Moment, piece: Piece, table: EventTable, limits: Limits) -> Moment:
    """Return the moment after a plain id, whether or not it was allowed, and update the voices of the piece."""
    now, latest, _, silence, sounding, oldest, tempo, bare_tempo = moment
    kind, value = table.kind[token], table.value[token]
    if OFF <= kind <= DRUM:
        listed = piece.listed[0]
        piece.voices[listed], piece.before[listed] = value, piece.since[value]
        piece.listed[0] = listed + 1
        sounding -= piece.since[value] >= 0
        piece.since[value] = SILENT
        if kind == NOTE and limits.writes_ends:
            piece.since[value] = now
            sounding += 1
            oldest = min(oldest, now)
        latest = table.last_rank[token]
        silence = bare_tempo = ZERO
    elif kind == WAIT:
        now += value
        latest = AFTER_WAIT
        if sounding == 0:
            silence += value
    elif kind == TEMPO:
        # The header's tempo needs no event of its own.
        if limits.in_beats and latest == AFTER_WAIT:
            bare_tempo = np.int64(1)
        latest = max(latest, AT_FIRST)
        tempo = value
    bound = NO_BOUND
    # Mostly no note is old enough, and not every voice has to be looked at.
    if now - oldest >= limits.longest_note:
        bound, oldest = _overdue(now, latest, piece, table, limits.longest_note)
    return Moment(now, latest, bound, silence, sounding, oldest, tempo, bare_tempo)


@compiled
def undo(piece: Piece, listed: int) -> None:
    """Take back the changes to voices that were logged behind the first `listed`."""
    for at in range(piece.listed[0] - 1, listed - 1, -1):
        piece.since[piece.voices[at]] = piece.before[at]
    piece.listed[0] = listed


@compiled
def _overdue(
    now: np.int64, latest: np.int64, piece: Piece, table: EventTable, longest_note: int
) -> tuple[np.int64, np.int64]:
    """Return `bound` and `oldest` of the moment."""
    bound = oldest = NO_BOUND
    for voice in piece.voices[: piece.listed[0]]:
        start = piece.since[voice]
        if start >= 0:
            oldest = min(oldest, start)
            rank = table.off_rank[voice]
            if now - start >= longest_note and rank > latest:
                bound = min(bound, rank)
    return bound, oldest
