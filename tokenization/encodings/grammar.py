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
from tokenization.encodings.stream import DRUM, KIND_SHIFT, NOTE, OFF, TEMPO, note_places
from tokenization.vocabulary import PITCHES
from tokenization.vocabulary.learned_tokens import LearnedKind

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


KIND, PLACE, BEHIND, VOICE, VALUE = range(5)
"""What the grammar knows of an id, as far as it applies:

KIND      note-off, note, drum hit, wait, tempo, …
PLACE     of a note: its place in the order of events at one time
BEHIND    of a note: the last place that its instrument has at that pitch; one time has no two of them
VOICE     of a note: its instrument and pitch as one number
VALUE     ticks of a wait, bucket of a tempo, the first of the two ids that a merge joins
"""
ID_FIELDS = 5


class _Ids(NamedTuple):
    """What the ids mean to the grammar."""

    table: NDArray[np.int64]
    """Shape (ids, ID_FIELDS)."""
    release: NDArray[np.int64]
    """The place of each voice's note-off, shape (voices,)."""
    spelling: NDArray[np.int64]
    """The ids that each stands for, those of id i from `first[i]` on."""
    first: NDArray[np.int64]


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
    merges: bool
    """Whether units are merges, not chords."""
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
        self._ids = _ids_of(encoding)
        self._rules = _Rules(
            max(round(longest_note * encoding.ticks_per_second), 1),
            max(round(longest_rest * encoding.ticks_per_second), 1),
            encoding.writes_ends,
            encoding.time is Time.BEATS,
            vocabulary.learned_base,
            int(vocabulary.expansion.sizes.max()),
            vocabulary.learned.kind is LearnedKind.MERGE,
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
        _list_allowed(self._ids, self._rules, self.playable, may_end, self.finished, self._moments, self._since, out)
        return out

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Take in the next token of every piece, shape (batch,), whether or not it was allowed."""
        self.taken += 1
        self.finished |= tokens == self.encoding.vocabulary.end
        ids = np.ascontiguousarray(tokens, np.int64)
        _advance(self._ids, self._rules, self.playable, ids, self._moments, self._since)


def _ids_of(encoding: Encoding) -> _Ids:
    vocabulary = encoding.vocabulary
    notes = slice(0, vocabulary.note_end)
    waits = slice(vocabulary.wait_base + 1, vocabulary.start)
    tempos = slice(vocabulary.tempo_base, vocabulary.special_base)
    row, pitch = np.divmod(np.arange(vocabulary.note_end), PITCHES)
    instrument = vocabulary.row_instrument[row].astype(np.int64)
    is_off = vocabulary.row_velocity[row] == 0

    table = np.zeros((vocabulary.size, ID_FIELDS), np.int64)
    kind, place, behind, voice, value = table.T
    kind[:] = NO_MUSIC
    place[notes] = note_places(vocabulary)
    kind[notes] = place[notes] >> KIND_SHIFT
    kind[waits], kind[tempos] = WAIT, TEMPO
    kind[vocabulary.learned_base :] = CHORD if vocabulary.learned.kind is LearnedKind.CHORD else MERGE
    first_row = np.array(vocabulary.first_rows)[instrument]
    behind[notes] = np.where(is_off, place[notes], place[notes] - first_row + row)
    voice[notes] = instrument * PITCHES + pitch
    value[waits], value[tempos] = np.arange(vocabulary.max_wait) + 1, np.arange(len(vocabulary.tempos))
    if vocabulary.learned.kind is LearnedKind.MERGE:
        value[vocabulary.learned_base :] = [left for left, _ in vocabulary.learned.items]

    release = np.zeros(len(vocabulary.instruments) * PITCHES, np.int64)
    release[voice[notes][is_off]] = place[notes][is_off]
    return _Ids(table, release, vocabulary.expansion.tokens, vocabulary.expansion.first)


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
    """Fill `out`, shape (batch, ids), which comes all False."""
    voices, before = _room(since, rules)
    for piece in range(len(out)):
        if finished[piece]:
            out[piece, rules.pad] = True
            continue
        plays, moment, sounds, may = playable[piece], moments[piece], since[piece], out[piece]
        units = len(may) if rules.merges else rules.units
        _walk(0, units, True, ids, rules, plays, moment, sounds, may, voices, before)
        may[rules.end] = may_end[piece] and moment[UNHEARD] == 0
        if not rules.merges and moment[LATEST] <= AT_FIRST:
            _list_chords(ids, rules, plays, moment, sounds, may)


@compiled
def _advance(
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    tokens: NDArray[np.int64],
    moments: NDArray[np.int64],
    since: NDArray[np.int64],
) -> None:
    voices, before = _room(since, rules)
    may = np.empty(0, np.bool_)
    for piece in range(len(tokens)):
        plays, moment, sounds, token = playable[piece], moments[piece], since[piece], tokens[piece]
        if ids.table[token, KIND] == CHORD:
            _take_chord(token, ids, moment, sounds, voices)
        else:
            _walk(token, token + 1, False, ids, rules, plays, moment, sounds, may, voices, before)


@compiled
def _walk(
    begin: int,
    end: int,
    asks: bool,
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
    may: NDArray[np.bool_],
    voices: NDArray[np.int64],
    before: NDArray[np.int64],
) -> None:
    """The rules: one piece goes on by an id, token by token of what it is spelled with.

    If it `asks`, each of the ids `begin` … `end` is tried from the same moment and `may` filled, but for `end` and
    chords. Otherwise the piece goes on by the id `begin`, whether or not it may. `voices` and `before` are room.
    """
    table, release, spelling, first = ids
    many = _list_sounding(since, voices)
    for unit in range(begin, end):
        if asks and table[unit, KIND] == MERGE and not may[table[unit, VALUE]]:
            continue
        now, latest, bound, silence = moment[NOW], moment[LATEST], moment[BOUND], moment[SILENCE]
        sounding, oldest, bucket, unheard = moment[SOUNDING], moment[OLDEST], moment[BUCKET], moment[UNHEARD]
        touched = many
        last = first[unit + 1] - 1
        for at in range(first[unit], last + 1):
            token = spelling[at]
            kind, voice, value = table[token, KIND], table[token, VOICE], table[token, VALUE]
            is_note = OFF <= kind <= DRUM
            if asks:
                if is_note:
                    fits = since[voice] >= 0 if kind == OFF else since[voice] < 0 and playable[voice // PITCHES]
                    fits = fits and latest < table[token, PLACE] <= bound
                elif kind == WAIT:
                    fits = bound == BEHIND_ALL and silence < rules.longest_rest
                else:
                    fits = kind == TEMPO and rules.in_beats and latest == AFTER_WAIT and value != bucket
                if at == last:
                    may[unit] = fits
                if at == last or not fits:
                    break
            if is_note:
                voices[touched], before[touched] = voice, since[voice]
                touched += 1
                sounding -= since[voice] >= 0
                since[voice] = SILENT
                if kind == NOTE and rules.writes_ends:
                    since[voice] = now
                    sounding += 1
                    oldest = min(oldest, now)
                latest = table[token, BEHIND]
                silence = unheard = np.int64(0)
            elif kind == WAIT:
                now += value
                latest = np.int64(AFTER_WAIT)
                if sounding == 0:
                    silence += value
            elif kind == TEMPO:
                # The header's is none under which something has to happen.
                if rules.in_beats and latest == AFTER_WAIT:
                    unheard = np.int64(1)
                latest = max(latest, np.int64(AT_FIRST))
                bucket = value
            bound = np.int64(BEHIND_ALL)
            # Mostly no note is old enough, and units need not look at each.
            if now - oldest >= rules.longest_note:
                bound, oldest = _overdue(release, rules.longest_note, now, latest, since, voices[:touched])
        if asks:
            while touched > many:
                touched -= 1
                since[voices[touched]] = before[touched]
        else:
            moment[NOW], moment[LATEST], moment[BOUND], moment[SILENCE] = now, latest, bound, silence
            moment[SOUNDING], moment[OLDEST], moment[BUCKET], moment[UNHEARD] = sounding, oldest, bucket, unheard


@compiled
def _overdue(
    release: NDArray[np.int64],
    longest_note: int,
    now: int,
    latest: int,
    since: NDArray[np.int64],
    voices: NDArray[np.int64],
) -> tuple[np.int64, np.int64]:
    """BOUND and OLDEST; `voices` are all that may sound."""
    bound = oldest = np.int64(BEHIND_ALL)
    for voice in voices:
        if since[voice] >= 0:
            oldest = min(oldest, since[voice])
            if now - since[voice] >= longest_note and release[voice] > latest:
                bound = min(bound, release[voice])
    return bound, oldest


@compiled
def _list_chords(
    ids: _Ids,
    rules: _Rules,
    playable: NDArray[np.bool_],
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
    may: NDArray[np.bool_],
) -> None:
    """Fill `may` for chords: they hold what sounds and is not overdue, strike what may be played, and are a change."""
    table, spelling, first = ids.table, ids.spelling, ids.first
    for chord in range(rules.units, len(may)):
        held = struck = 0
        fits = True
        for at in range(first[chord], first[chord + 1]):
            note = spelling[at]
            voice = table[note, VOICE]
            if table[note, KIND] == OFF:
                fits = since[voice] >= 0 and moment[NOW] - since[voice] < rules.longest_note
                held += 1
            else:
                fits = playable[voice // PITCHES]
                struck += 1
            if not fits:
                break
        may[chord] = fits and (struck > 0 or held < moment[SOUNDING])


@compiled
def _take_chord(
    chord: int,
    ids: _Ids,
    moment: NDArray[np.int64],
    since: NDArray[np.int64],
    voices: NDArray[np.int64],
) -> None:
    """Go on by a chord: what it does not hold has ended, and nothing more happens at its time."""
    table = ids.table
    members = ids.spelling[ids.first[chord] : ids.first[chord + 1]]
    many = _list_sounding(since, voices)
    for note in members:
        voice = table[note, VOICE]
        if table[note, KIND] == OFF and since[voice] >= 0:
            since[voice] = -2 - since[voice]  # marked, so that it outlives the others
    moment[SOUNDING] = 0
    for voice in voices[:many]:
        since[voice] = SILENT if since[voice] >= 0 else -2 - since[voice]
        moment[SOUNDING] += since[voice] >= 0
    for note in members:
        if table[note, KIND] == NOTE:
            moment[SOUNDING] += since[table[note, VOICE]] < 0
            since[table[note, VOICE]] = moment[NOW]
            moment[OLDEST] = min(moment[OLDEST], moment[NOW])
    moment[LATEST] = moment[BOUND] = BEHIND_ALL
    moment[SILENCE] = moment[UNHEARD] = 0


@compiled
def _room(since: NDArray[np.int64], rules: _Rules) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Room for the voices that sound and those that a unit touches, and for what was of these."""
    size = since.shape[1] + rules.longest_unit
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
