"""Grammar: which tokens may follow, so that every generation is well-formed music.

A piece ends near its planned end, only the asked-for instruments play, a note ends only if it sounds and starts
only if it does not, what happens at one time comes in the encoding's order (tempo, note-offs, notes by pitch, drums),
no note and no rest lasts for ever, and ids that stand in headers never appear in the music.

Where ticks are beats a new tempo may follow a wait; something must happen under it. A merge may follow if what it is
spelled with may, one after the other. A chord says all that sounds from then on, so nothing else happens at its time.
However a piece has gone on by these rules, some id may always follow: music that is legal never gets stuck.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings import Encoding, Time
from tokenization.encodings.stream import DRUM, KIND_SHIFT, NOTE, OFF, PITCH_SHIFT, ROW_MASK, TEMPO
from tokenization.units import UnitKind
from tokenization.vocabulary import NO_ROW, PITCHES

LONGEST_REST = 4.0
"""Seconds of silence after which a wait is no longer allowed."""

WAIT, NO_MUSIC, MERGE, CHORD = range(DRUM + 1, DRUM + 5)
"""Kinds of ids, besides those of the plain encodings' events."""

NOW, LATEST, BOUND, SILENCE, SOUNDING, OLDEST, BUCKET, UNHEARD = range(8)
"""What is known of a piece at a moment:

NOW       ticks since the start
LATEST    the latest event's place in the order of events at one time; the next lies behind it
BOUND     the place of the first note-off that is overdue; no event lies behind it
SILENCE   ticks since anything last sounded
SOUNDING  notes that sound
OLDEST    a tick at or before the start of each note that sounds
BUCKET    the tempo
UNHEARD   1 after a tempo under which nothing has happened yet
"""
MOMENT_FIELDS = 8
AFTER_WAIT, AT_FIRST = -1, 0
"""Places before all notes: nothing has happened at this time; nothing but a tempo."""
BEHIND_ALL = 2**62
SILENT = -1
"""In place of the tick at which a note has started."""


class _Ids(NamedTuple):
    """What the ids mean to the grammar; columns of shape (ids,), as far as they apply."""

    kind: NDArray[np.int64]
    place: NDArray[np.int64]
    """Of a note: its place in the order of events at one time."""
    behind: NDArray[np.int64]
    """Of a note: the last place that its instrument has at that pitch; one time has no two of them."""
    voice: NDArray[np.int64]
    """Of a note: its instrument and pitch as one number."""
    amount: NDArray[np.int64]
    """Ticks of a wait, bucket of a tempo."""
    release: NDArray[np.int64]
    """The place of each voice's note-off, shape (voices,)."""
    spelling: NDArray[np.int64]
    """The ids that each stands for, those of id i from `first[i]` on."""
    first: NDArray[np.int64]
    left: NDArray[np.int64]
    """The first of the two ids that each merge joins, shape (merges,)."""


class _Rules(NamedTuple):
    """What holds for all pieces; lengths in ticks."""

    longest_note: int
    longest_rest: int
    writes_ends: bool
    in_beats: bool
    units: int
    """The first unit's id."""
    longest_unit: int
    """Ids that one is spelled with at most."""
    end: int
    pad: int


class Grammar:
    """The state of a batch of pieces while they are generated."""

    def __init__(
        self,
        encoding: Encoding,
        playable: NDArray[np.bool_],
        earliest_end: NDArray[np.int64],
        longest_note: float,
        longest_rest: float = LONGEST_REST,
    ) -> None:
        """`playable`: which instruments each piece may use, shape (batch, instruments). `earliest_end`: tokens that
        each piece has at least before it may end, shape (batch,). `longest_note`: seconds (in beats: at 120 a minute)
        after which a note has to end before time goes on; `longest_rest`: the same of silence. Raises ValueError
        for a piece that no instrument may play.
        """
        if not playable.any(axis=1).all():
            raise ValueError("a piece that no instrument may play cannot go on")
        vocabulary, batch = encoding.vocabulary, len(playable)
        self.encoding = encoding
        self.playable = np.ascontiguousarray(playable, np.bool_)
        self.earliest_end = np.asarray(earliest_end, np.int64)
        self.taken = 0
        """Tokens so far."""
        self.finished = np.zeros(batch, np.bool_)
        self._ids = _ids(encoding)
        self._rules = _Rules(
            max(round(longest_note * encoding.ticks_per_second), 1),
            max(round(longest_rest * encoding.ticks_per_second), 1),
            encoding.writes_ends,
            encoding.time is Time.BEATS,
            vocabulary.unit_base,
            int(vocabulary.spelling.sizes.max()),
            vocabulary.end,
            vocabulary.pad,
        )
        self._moments = np.zeros((batch, MOMENT_FIELDS), np.int64)
        self._moments[:, [BOUND, OLDEST]] = BEHIND_ALL
        self._since = np.full((batch, len(self._ids.release)), SILENT, np.int64)

    @property
    def sounding(self) -> NDArray[np.bool_]:
        """Which notes sound, shape (batch, instruments, 128)."""
        return self._since.reshape(len(self._since), -1, PITCHES) >= 0

    def allowed(self) -> NDArray[np.bool_]:
        """Which ids may come next, shape (batch, vocabulary). A finished piece allows only padding."""
        out = np.zeros((len(self.finished), self.encoding.vocabulary.size), np.bool_)
        may_end = self.taken >= self.earliest_end
        _list_allowed(
            self._ids, self._rules, self.playable, may_end, self.finished, self._moments, self._since, out
        )
        return out

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Take in the next token of every piece, shape (batch,), whether or not it was allowed."""
        self.taken += 1
        self.finished |= tokens == self.encoding.vocabulary.end
        _advance(self._ids, self._rules, np.ascontiguousarray(tokens, np.int64), self._moments, self._since)


def _ids(encoding: Encoding) -> _Ids:
    vocabulary = encoding.vocabulary
    row, pitch = np.divmod(np.arange(vocabulary.note_end), PITCHES)
    instrument = vocabulary.row_instrument[row].astype(np.int64)
    is_drum = vocabulary.off_row[instrument] == NO_ROW
    is_off = vocabulary.row_velocity[row] == 0

    kind = np.full(vocabulary.size, NO_MUSIC, np.int64)
    kind[: vocabulary.note_end] = np.where(is_off, OFF, np.where(is_drum, DRUM, NOTE))
    kind[vocabulary.wait_base + 1 : vocabulary.start] = WAIT
    kind[vocabulary.tempo_base : vocabulary.special_base] = TEMPO
    kind[vocabulary.unit_base :] = CHORD if vocabulary.units.kind is UnitKind.CHORD else MERGE

    at = kind[: vocabulary.note_end] << KIND_SHIFT | pitch << PITCH_SHIFT
    place = at | (ROW_MASK - row)
    first_row = np.array(vocabulary.first_rows)[instrument]
    behind = np.where(is_off, place, at | (ROW_MASK - first_row))
    voice = instrument * PITCHES + pitch
    release = np.zeros(len(vocabulary.instruments) * PITCHES, np.int64)
    release[voice[is_off]] = place[is_off]

    amount = np.zeros(vocabulary.size, np.int64)
    amount[vocabulary.wait_base + 1 : vocabulary.start] = np.arange(vocabulary.max_wait) + 1
    amount[vocabulary.tempo_base : vocabulary.special_base] = np.arange(len(vocabulary.tempos))
    is_merge = vocabulary.units.kind is UnitKind.MERGE
    left = np.array([item[0] for item in vocabulary.units.items] if is_merge else [], np.int64)
    spelling = vocabulary.spelling
    return _Ids(kind, place, behind, voice, amount, release, spelling.tokens, spelling.first, left)


@compiled
def _list_allowed(
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    may_end: NDArray[np.bool_],
    finished: NDArray[np.bool_],
    moments: NDArray[np.int64],
    since: NDArray[np.int64],
    out: NDArray[np.bool_],
) -> None:
    voices, before = _room(ids, rules)
    for piece in range(len(out)):
        if finished[piece]:
            out[piece, rules.pad] = True
            continue
        plays, moment, sounds, may = playable[piece], moments[piece], since[piece], out[piece]
        for token in range(rules.units):
            may[token] = _may_follow(token, ids, rules, plays, moment, sounds)
        may[rules.end] = may_end[piece] and moment[UNHEARD] == 0
        many = _list_sounding(sounds, voices)
        for unit in range(rules.units, len(may)):
            if ids.kind[unit] == CHORD:
                may[unit] = _may_chord(unit, ids, rules, plays, moment, sounds)
            elif may[ids.left[unit - rules.units]]:
                may[unit] = _may_merge(unit, ids, rules, plays, moment, sounds, voices, before, many)


@compiled
def _may_follow(
    token: int,
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
) -> bool:
    """Whether a note, wait or tempo may come next; `end`, units and headers are not asked for here."""
    kind = ids.kind[token]
    if OFF <= kind <= DRUM:
        place, voice = ids.place[token], ids.voice[token]
        may = since[voice] >= 0 if kind == OFF else since[voice] < 0 and playable[voice // PITCHES]
        return bool(may and moment[LATEST] < place <= moment[BOUND])
    if kind == WAIT:
        return bool(moment[BOUND] == BEHIND_ALL and moment[SILENCE] < rules.longest_rest)
    if kind == TEMPO:
        return bool(rules.in_beats and moment[LATEST] == AFTER_WAIT and ids.amount[token] != moment[BUCKET])
    return False


@compiled
def _may_merge(
    unit: int,
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
    voices: NDArray[np.int64],
    before: NDArray[np.int64],
    many: int,
) -> bool:
    """Whether all that a merge is spelled with may come, one after the other; `since` is left as it was."""
    then = moment.copy()
    touched = many
    may = True
    for at in range(ids.first[unit], ids.first[unit + 1]):
        token = ids.spelling[at]
        may = _may_follow(token, ids, rules, playable, then, since)
        if not may:
            break
        touched = _take(token, ids, rules, then, since, voices, before, touched)
        _find_overdue(ids, rules, then, since, voices[:touched])
    while touched > many:
        touched -= 1
        since[voices[touched]] = before[touched]
    return may


@compiled
def _may_chord(
    unit: int,
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
) -> bool:
    """Whether a chord may come: first at its time, with notes that may go on or be struck, and a change."""
    if moment[LATEST] > AT_FIRST:
        return False
    held = struck = 0
    for at in range(ids.first[unit], ids.first[unit + 1]):
        note = ids.spelling[at]
        voice = ids.voice[note]
        if ids.kind[note] == OFF:
            if since[voice] < 0 or moment[NOW] - since[voice] >= rules.longest_note:
                return False
            held += 1
        else:
            if not playable[voice // PITCHES]:
                return False
            struck += 1
    return bool(struck > 0 or held < moment[SOUNDING])


@compiled
def _advance(
    ids: _Ids, rules: _Rules, tokens: NDArray[np.int64], moments: NDArray[np.int64], since: NDArray[np.int64]
) -> None:
    voices, before = _room(ids, rules)
    for piece in range(len(tokens)):
        moment, sounds = moments[piece], since[piece]
        touched = _list_sounding(sounds, voices)
        unit = tokens[piece]
        if ids.kind[unit] == CHORD:
            touched = _take_chord(unit, ids, moment, sounds, voices, touched)
        else:
            for at in range(ids.first[unit], ids.first[unit + 1]):
                touched = _take(ids.spelling[at], ids, rules, moment, sounds, voices, before, touched)
        _find_overdue(ids, rules, moment, sounds, voices[:touched])


@compiled
def _take(
    token: int,
    ids: _Ids,
    rules: _Rules,
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
    voices: NDArray[np.int64],
    before: NDArray[np.int64],
    touched: int,
) -> int:
    """Go on by a token that is no unit.

    A voice that it changes is appended to the `touched` ones in `voices`, and what `since` was to `before`. Returns
    how many there are then.
    """
    kind = ids.kind[token]
    if OFF <= kind <= DRUM:
        voice = ids.voice[token]
        voices[touched], before[touched] = voice, since[voice]
        touched += 1
        moment[SOUNDING] -= since[voice] >= 0
        since[voice] = SILENT
        if kind == NOTE and rules.writes_ends:
            since[voice] = moment[NOW]
            moment[SOUNDING] += 1
            moment[OLDEST] = min(moment[OLDEST], moment[NOW])
        moment[LATEST] = ids.behind[token]
        moment[SILENCE] = moment[UNHEARD] = 0
    elif kind == WAIT:
        moment[NOW] += ids.amount[token]
        moment[LATEST] = AFTER_WAIT
        if moment[SOUNDING] == 0:
            moment[SILENCE] += ids.amount[token]
    elif kind == TEMPO:
        # The header's is none that something has to follow.
        if rules.in_beats and moment[LATEST] == AFTER_WAIT:
            moment[UNHEARD] = 1
        moment[LATEST] = max(moment[LATEST], AT_FIRST)
        moment[BUCKET] = ids.amount[token]
    return touched


@compiled
def _take_chord(
    unit: int, ids: _Ids, moment: NDArray[np.int64], since: NDArray[np.int64], voices: NDArray[np.int64], many: int
) -> int:
    """Go on by a chord: what it does not hold has ended. `voices` are the `many` that sounded, and then those of its
    notes; returns how many there are then.
    """
    members = ids.spelling[ids.first[unit] : ids.first[unit + 1]]
    for note in members:
        if ids.kind[note] == OFF and since[ids.voice[note]] >= 0:
            since[ids.voice[note]] = -2 - since[ids.voice[note]]  # marked, so that it outlives the others
    moment[SOUNDING] = 0
    for voice in voices[:many]:
        since[voice] = SILENT if since[voice] >= 0 else -2 - since[voice]
        moment[SOUNDING] += since[voice] >= 0
    for note in members:
        voice = ids.voice[note]
        if ids.kind[note] == NOTE:
            moment[SOUNDING] += since[voice] < 0
            since[voice] = moment[NOW]
            moment[OLDEST] = min(moment[OLDEST], moment[NOW])
            voices[many] = voice
            many += 1
    moment[LATEST] = BEHIND_ALL
    moment[SILENCE] = moment[UNHEARD] = 0
    return many


@compiled
def _find_overdue(
    ids: _Ids, rules: _Rules, moment: NDArray[np.int64], since: NDArray[np.int64], voices: NDArray[np.int64]
) -> None:
    """Set BOUND; `voices` are all that may sound."""
    moment[BOUND] = BEHIND_ALL
    # Mostly no note is old enough, and units need not look at each.
    if moment[NOW] - moment[OLDEST] < rules.longest_note:
        return
    moment[OLDEST] = BEHIND_ALL
    for voice in voices:
        if since[voice] >= 0:
            moment[OLDEST] = min(moment[OLDEST], since[voice])
            if moment[NOW] - since[voice] >= rules.longest_note and ids.release[voice] > moment[LATEST]:
                moment[BOUND] = min(moment[BOUND], ids.release[voice])


@compiled
def _room(ids: _Ids, rules: _Rules) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Room for the voices that sound and those that a unit touches, and for what was of these."""
    size = len(ids.release) + rules.longest_unit
    return np.empty(size, np.int64), np.empty(size, np.int64)


@compiled
def _list_sounding(since: NDArray[np.int64], voices: NDArray[np.int64]) -> int:
    """Write the voices that sound; returns how many."""
    many = 0
    for voice in range(len(since)):
        if since[voice] >= 0:
            voices[many] = voice
            many += 1
    return many
