"""The rules of the grammar for one piece: which ids may follow a moment, and the moment after them.

`note_may_follow` and `other_may_follow` are the rules of a single plain id, `after_note` and `after_other` its
consequences: functions of numbers alone. The loops over ids and sequences are around them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import DRUM, LENGTH, NOTE, OFF, TEMPO, WAIT, EventTable
from tokenization.vocabulary import PITCHES

ZERO = np.int64(0)
AFTER_SHORT_WAIT, AFTER_WAIT, AT_FIRST = np.int64(-2), np.int64(-1), ZERO
"""Ranks before all notes: nothing has happened at this tick, after a wait that no other may follow or after one of the
greatest length; nothing but a tempo."""
NO_BOUND = np.int64(2**62)
"""Rank behind all events, and tick after all others."""
SILENT = -1
"""In place of the tick at which a note has started."""
NO_VOICE = np.int64(-1)


class Moment(NamedTuple):
    """What the grammar keeps of a piece between two tokens; of a batch, one column per field."""

    now: np.int64
    """Ticks since the start."""
    latest: np.int64
    """Rank of the latest event of this tick; the next one has a higher rank."""
    bound: np.int64
    """Rank of the first overdue note-off of this tick; no event may have a higher rank."""
    silence: np.int64
    """Nanoseconds since anything last sounded."""
    sounding: np.int64
    """Number of notes that sound."""
    oldest: np.int64
    """A tick at or before the start of each note that sounds."""
    tempo: np.int64
    """Bucket of the current tempo."""
    bare_tempo: np.int64
    """1 after a tempo change under which nothing has happened yet."""
    unmeasured: np.int64
    """The voice of a note whose length has to come next; NO_VOICE if there is none."""
    rings: np.int64
    """The tick up to which notes ring by their lengths, where those are written."""
    tick: np.int64
    """Nanoseconds of a tick under the current tempo."""


NOW, SOUNDING, TEMPO_BUCKET = (Moment._fields.index(name) for name in ("now", "sounding", "tempo"))


class Limits(NamedTuple):
    """What holds for all pieces of a batch."""

    longest_note: int
    """Ticks."""
    longest_rest: int
    """Nanoseconds."""
    max_wait: int
    """Ticks."""
    writes_ends: bool
    writes_lengths: bool
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
    until: NDArray[np.int64]
    """The tick at which each voice ends by its length, if it sounds; of the same shape, without columns unless lengths
    are written."""


class Piece(NamedTuple):
    """The arrays of one piece while ids are tried or taken."""

    playable: NDArray[np.bool_]
    since: NDArray[np.int64]
    until: NDArray[np.int64]
    voices: NDArray[np.int64]
    """The voices that sounded at first, then those touched since."""
    before: NDArray[np.int64]
    """The value in `since` that each of the touched voices had before."""
    listed: int
    """Number of voices that sounded at first."""


class LearnedRules(Protocol):
    """The grammar of learned tokens that do not act as the sequence of ids they stand for."""

    def list_allowed(self, state: State, limits: Limits, out: NDArray[np.bool_]) -> None:
        """Set the columns of the learned ids in `out`, shape (batch, ids), for all pieces that are not finished."""

    def advance(self, state: State, tokens: NDArray[np.int64]) -> None:
        """Update the state by those `tokens`, shape (batch,), that are learned ids."""


def first_moment(tick: np.int64) -> Moment:
    """Return the moment at which a piece begins, with a `tick` of so many nanoseconds."""
    return Moment(ZERO, ZERO, NO_BOUND, ZERO, ZERO, NO_BOUND, ZERO, ZERO, NO_VOICE, ZERO, tick)


@compiled
def load_moment(row: NDArray[np.int64]) -> Moment:
    """Return a row of `State.moments` as a Moment."""
    return Moment(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10])


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
def note_may_follow(
    kind: np.uint8, rank: np.int64, sounds: bool, playable: bool, moment: Moment, limits: Limits
) -> bool:
    """Return True if a note-off, note or drum hit may follow, given if its voice `sounds` and is `playable`."""
    fits = sounds and limits.writes_ends if kind == OFF else playable and not sounds
    return bool(fits and moment.latest < rank <= moment.bound and moment.unmeasured == NO_VOICE)


@compiled
def other_may_follow(kind: np.uint8, value: np.int64, moment: Moment, limits: Limits) -> bool:
    """Return True if a length, wait or tempo may follow.

    `end` is decided by `Grammar`; ids that are not music may not follow.
    """
    if kind == LENGTH or moment.unmeasured != NO_VOICE:
        return bool(kind == LENGTH and moment.unmeasured != NO_VOICE and value <= limits.longest_note)
    if kind == WAIT:
        # The encodings write time as waits of the greatest length and one shorter.
        may_go_on = moment.bound == NO_BOUND and moment.latest != AFTER_SHORT_WAIT
        return bool(may_go_on and moment.silence + _quiet(value, moment, limits) <= limits.longest_rest)
    return bool(kind == TEMPO and limits.in_beats and moment.latest <= AFTER_WAIT and value != moment.tempo)


@compiled
def _quiet(wait: np.int64, moment: Moment, limits: Limits) -> np.int64:
    """Return the nanoseconds of a wait in which nothing sounds."""
    ticks = wait
    if limits.writes_lengths:
        ticks = min(max(moment.now + wait - moment.rings, ZERO), wait)
    elif moment.sounding > 0:
        ticks = ZERO
    return ticks * moment.tick


@compiled
def after_note(
    kind: np.uint8, voice: np.int64, last_rank: np.int64, sounds: bool, moment: Moment, limits: Limits
) -> Moment:
    """Return the moment after a note-off, note or drum hit, but for `bound`; `sounds`: its voice sounded before."""
    sounding, oldest, unmeasured = moment.sounding - sounds, moment.oldest, NO_VOICE
    if kind == NOTE and limits.writes_ends:
        sounding += 1
        oldest = min(oldest, moment.now)
    elif kind == NOTE and limits.writes_lengths:
        sounding += 1
        unmeasured = voice
    now, tempo, rings, tick = moment.now, moment.tempo, moment.rings, moment.tick
    return Moment(now, last_rank, NO_BOUND, ZERO, sounding, oldest, tempo, ZERO, unmeasured, rings, tick)


@compiled
def after_other(kind: np.uint8, value: np.int64, tick: np.int64, moment: Moment, limits: Limits) -> Moment:
    """Return the moment after any other id, but for `bound`; `tick`: nanoseconds of a tick under it, if a tempo."""
    now, latest, _, silence, sounding, oldest, tempo, bare_tempo, _, rings, current = moment
    if kind == WAIT:
        silence += _quiet(value, moment, limits)
        now += value
        latest = AFTER_WAIT if value == limits.max_wait else AFTER_SHORT_WAIT
    elif kind == LENGTH:
        rings = max(rings, now + value)
    elif kind == TEMPO:
        # The header's tempo needs no event of its own.
        if limits.in_beats and latest <= AFTER_WAIT:
            bare_tempo = np.int64(1)
        latest = max(latest, AT_FIRST)
        tempo, current = value, tick
    return Moment(now, latest, NO_BOUND, silence, sounding, oldest, tempo, bare_tempo, NO_VOICE, rings, current)


# A call that passes arrays counts their references, which costs more than a rule: in the loops below the arrays stay
# where they are, and only numbers are passed.


@compiled
def list_plain(moment: Moment, piece: Piece, table: EventTable, limits: Limits, may: NDArray[np.bool_]) -> None:
    """Fill `may`, shape (plain ids,), with the ids that may follow."""
    kinds, values, ranks, since, playable = table.kind, table.value, table.rank, piece.since, piece.playable
    for token in range(len(may)):
        kind, value = kinds[token], values[token]
        if OFF <= kind <= DRUM:
            is_playable = playable[value // PITCHES]
            may[token] = note_may_follow(kind, ranks[token], since[value] >= 0, is_playable, moment, limits)
        else:
            may[token] = other_may_follow(kind, value, moment, limits)


@compiled
def sequence_may_follow(
    members: NDArray[np.int64],
    moment: Moment,
    piece: Piece,
    table: EventTable,
    limits: Limits,
    nanoseconds: NDArray[np.int64],
) -> bool:
    """Return True if plain ids may follow one after the other; leaves the piece as it was.

    `nanoseconds`: of a tick under each tempo, shape (tempos,).
    """
    kinds, values, ranks, last_ranks = table.kind, table.value, table.rank, table.last_rank
    playable, since, _, voices, before, listed = piece
    count = listed
    last = len(members) - 1
    fits = False
    for at in range(len(members)):
        token = members[at]
        kind, value = kinds[token], values[token]
        is_note = OFF <= kind <= DRUM
        if is_note:
            is_playable = playable[value // PITCHES]
            fits = note_may_follow(kind, ranks[token], since[value] >= 0, is_playable, moment, limits)
        else:
            fits = other_may_follow(kind, value, moment, limits)
        if at == last or not fits:
            break
        if is_note:
            voices[count], before[count] = value, since[value]
            count += 1
            moment = after_note(kind, value, last_ranks[token], since[value] >= 0, moment, limits)
            since[value] = moment.now if kind == NOTE and limits.writes_ends else SILENT
        else:
            tick = nanoseconds[value] if kind == TEMPO else ZERO
            moment = after_other(kind, value, tick, moment, limits)
        if moment.now - moment.oldest >= limits.longest_note:
            moment = _bounded(moment, voices[:count], since, table.off_rank, limits.longest_note)
    while count > listed:
        count -= 1
        since[voices[count]] = before[count]
    return fits


@compiled
def follow_sequence(
    members: NDArray[np.int64],
    moment: Moment,
    piece: Piece,
    table: EventTable,
    limits: Limits,
    nanoseconds: NDArray[np.int64],
) -> Moment:
    """Return the moment after plain ids, whether or not they were allowed, and update the voices of the piece.

    `nanoseconds`: of a tick under each tempo, shape (tempos,).
    """
    since, until, voices, count = piece.since, piece.until, piece.voices, piece.listed
    for token in members:
        kind, value = table.kind[token], table.value[token]
        if OFF <= kind <= DRUM:
            voices[count] = value
            count += 1
            moment = after_note(kind, value, table.last_rank[token], since[value] >= 0, moment, limits)
            holds = kind == NOTE and (limits.writes_ends or limits.writes_lengths)
            since[value] = moment.now if holds else SILENT
            if holds and limits.writes_lengths:
                until[value] = moment.now + 1  # as a note without a length is read
        else:
            if kind == LENGTH and moment.unmeasured != NO_VOICE:
                until[moment.unmeasured] = moment.now + value
            tick = nanoseconds[value] if kind == TEMPO else ZERO
            moment = after_other(kind, value, tick, moment, limits)
            if kind == WAIT and limits.writes_lengths:
                moment = _ended(moment, voices[:count], since, until)
        # Mostly no note is old enough, and not every voice has to be looked at.
        if moment.now - moment.oldest >= limits.longest_note:
            moment = _bounded(moment, voices[:count], since, table.off_rank, limits.longest_note)
    return moment


@compiled
def _ended(moment: Moment, voices: NDArray[np.int64], since: NDArray[np.int64], until: NDArray[np.int64]) -> Moment:
    """Return the moment without the notes whose lengths are over; `voices` are all that may sound."""
    now, latest, bound, silence, sounding, oldest, tempo, bare_tempo, unmeasured, rings, tick = moment
    for voice in voices:
        if since[voice] >= 0 and until[voice] <= now:
            since[voice] = SILENT
            sounding -= 1
    return Moment(now, latest, bound, silence, sounding, oldest, tempo, bare_tempo, unmeasured, rings, tick)


@compiled
def _bounded(
    moment: Moment,
    voices: NDArray[np.int64],
    since: NDArray[np.int64],
    off_rank: NDArray[np.int64],
    longest_note: int,
) -> Moment:
    """Return the moment with its `bound` and the exact `oldest`; `voices` are all that may sound."""
    now, latest, _, silence, sounding, _, tempo, bare_tempo, unmeasured, rings, tick = moment
    bound = oldest = NO_BOUND
    for voice in voices:
        if since[voice] >= 0:
            oldest = min(oldest, since[voice])
            if now - since[voice] >= longest_note and off_rank[voice] > latest:
                bound = min(bound, off_rank[voice])
    return Moment(now, latest, bound, silence, sounding, oldest, tempo, bare_tempo, unmeasured, rings, tick)
