"""Grammar: the ids that may follow, so that every generation is well-formed music.

Only the requested instruments play, a note ends only if it sounds and starts only if it does not, the events of one
tick come in the encoding's order (tempo, note-offs, notes by pitch, drums), time passes in as few waits as the encoding
would write, a note is followed by its length where lengths are written, notes and rests have a greatest length, and ids
that belong to headers never appear in the music.

A piece ends near its planned end, with nothing sounding: `end` follows when all notes have ended. No note starts that
could not end within the tokens that are left (`Ending`), so the last ones ring out.

Where ticks are beats a new tempo may follow a wait; an event must happen under it. A learned id may follow if the ids
that it stands for may, one after the other, or by rules of its encoding (`Encoding.learned_rules`). However a piece has
gone on by these rules, some id may always follow: the grammar has no dead ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, machine_code
from tokenization.encodings.effects import EventTable
from tokenization.encodings.encoding import Encoding
from tokenization.encodings.ending import Ending, list_ending
from tokenization.encodings.grid import Time
from tokenization.encodings.outlook import Outlook, look_ahead
from tokenization.encodings.rules import (
    NOW,
    SILENT,
    SOUNDING,
    TEMPO_BUCKET,
    Limits,
    Piece,
    State,
    first_moment,
    follow_sequence,
    list_plain,
    list_sounding,
    load_moment,
    sequence_may_follow,
    store_moment,
)
from tokenization.vocabulary import PITCHES

LONGEST_REST = 4.0
"""Seconds of silence beyond which no wait goes, at the tempo of each place."""
NANOSECONDS = 1e9


class _Sequences(NamedTuple):
    """The ids that each id stands for, one after the other; plain ids stand for themselves."""

    tokens: NDArray[np.int64]
    first: NDArray[np.int64]
    """Those of id i are `tokens[first[i] : first[i + 1]]`."""
    prefixes: NDArray[np.int64]
    """Of each learned id, one whose sequence its own begins with."""
    longest: int


class Grammar:
    """The grammatical state of a batch of pieces while they are generated."""

    def __init__(
        self,
        encoding: Encoding,
        playable: NDArray[np.bool_],
        ending: Ending,
        longest_note: float,
        longest_rest: float = LONGEST_REST,
    ) -> None:
        """Start a batch of pieces.

        `playable`: the instruments that each piece may use, shape (batch, instruments). `ending`: where each piece
        ends. `longest_note`: seconds (in beats: at 120 a minute) after which a note has to end before time goes on.
        `longest_rest`: seconds of silence at most, at whatever tempo. Raises ValueError for a piece that no instrument
        may play.
        """
        if not playable.any(axis=1).all():
            raise ValueError("no instrument may play in one of the pieces; allow one at least")
        vocabulary, batch = encoding.vocabulary, len(playable)
        self.encoding = encoding
        self.playable = np.ascontiguousarray(playable, np.bool_)
        self.ending = ending
        self.taken = 0
        """Tokens so far."""
        self.finished = np.zeros(batch, np.bool_)
        self._table = encoding.effects.table
        self._onsets, self._ticks = encoding.effects.onsets, encoding.effects.ticks
        self._most_onsets, self._most_ticks = int(self._onsets.max()), int(self._ticks.max())
        self._limits = Limits(
            max(round(longest_note * encoding.ticks_per_second), 1),
            round(longest_rest * NANOSECONDS),
            vocabulary.max_wait,
            encoding.writes_ends,
            encoding.writes_lengths,
            encoding.time is Time.BEATS,
        )
        expansion = vocabulary.expansion
        prefixes = np.array(vocabulary.learned.prefixes(), np.int64)
        self._sequences = _Sequences(expansion.tokens, expansion.first, prefixes, int(expansion.sizes.max()))
        self._rules = encoding.learned_rules
        self._nanoseconds = np.floor(NANOSECONDS / encoding.speeds).astype(np.int64)
        """Of a tick under each tempo."""
        self._moments = np.tile(np.array(first_moment(self._nanoseconds[0]), np.int64), (batch, 1))
        self._since = np.full((batch, len(vocabulary.instruments) * PITCHES), SILENT, np.int64)
        self._until = np.zeros((batch, self._since.shape[1] if encoding.writes_lengths else 0), np.int64)

        self._list_allowed: Callable[..., None] | None = None
        self._list_ending: Callable[..., None] | None = None
        self._look_ahead: Callable[..., None] | None = None
        self._advance: Callable[..., None] | None = None

    @property
    def sounding(self) -> NDArray[np.bool_]:
        """True for notes that sound, shape (batch, instruments, 128)."""
        return self._since.reshape(len(self._since), -1, PITCHES) >= 0

    @property
    def voices(self) -> NDArray[np.int64]:
        """Number of notes that sound, shape (batch,)."""
        return self._moments[:, SOUNDING]

    @property
    def now(self) -> NDArray[np.int64]:
        """Ticks since the start, shape (batch,)."""
        return self._moments[:, NOW]

    @property
    def tempo(self) -> NDArray[np.int64]:
        """Bucket of the current tempo, shape (batch,)."""
        return self._moments[:, TEMPO_BUCKET]

    @property
    def _state(self) -> State:
        return State(self.playable, self.finished, self._moments, self._since, self._until)

    def allowed(self) -> NDArray[np.bool_]:
        """Return which ids may come next, shape (batch, vocabulary). A finished piece allows only padding."""
        vocabulary, state = self.encoding.vocabulary, self._state
        out = np.zeros((len(self.finished), vocabulary.size), np.bool_)
        sequences_end = vocabulary.size if self._rules is None else vocabulary.learned_base
        rules = self._table, self._limits, self._sequences, sequences_end, self._nanoseconds
        plain = (state, *rules, vocabulary.pad, out)
        self._list_allowed = self._list_allowed or machine_code(_list_allowed, *plain)
        self._list_allowed(*plain)
        if self._rules is not None:
            self._rules.list_allowed(state, self._limits, out)
        events = self._table, self._onsets, self._most_onsets, self._ticks, self._most_ticks
        ending = (state, self.ending, self.taken, self._limits, *events, vocabulary.end, out)
        self._list_ending = self._list_ending or machine_code(list_ending, *ending)
        self._list_ending(*ending)
        return out

    def outlook(self, most: int | None = None) -> Outlook:
        """Return what lies before the pieces, of which `most` notes may sound at a time; None: any number."""
        out = Outlook.of(len(self.finished))
        arguments = self._state, self.ending, self.taken, self._limits, most or 0, out
        self._look_ahead = self._look_ahead or machine_code(look_ahead, *arguments)
        self._look_ahead(*arguments)
        return out

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Append the next token of every piece, shape (batch,), whether or not it was allowed."""
        ids = np.ascontiguousarray(tokens, np.int64)
        vocabulary, state = self.encoding.vocabulary, self._state
        self.taken += 1
        self.finished |= ids == vocabulary.end
        sequences_end = vocabulary.size if self._rules is None else vocabulary.learned_base
        arguments = (state, self._table, self._limits, self._sequences, sequences_end, self._nanoseconds, ids)
        self._advance = self._advance or machine_code(_advance, *arguments)
        self._advance(*arguments)
        if self._rules is not None:
            self._rules.advance(state, ids)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.playable, self.ending = self.playable[rows], Ending(*(bound[rows] for bound in self.ending))
        self.finished, self._moments = self.finished[rows], self._moments[rows]
        self._since, self._until = self._since[rows], self._until[rows]


@compiled
def _list_allowed(
    state: State,
    table: EventTable,
    limits: Limits,
    sequences: _Sequences,
    sequences_end: int,
    nanoseconds: NDArray[np.int64],
    pad: int,
    out: NDArray[np.bool_],
) -> None:
    """Fill `out`, shape (batch, ids), for plain ids and the learned ids below `sequences_end`; it is False before."""
    plain_end = out.shape[1] - len(sequences.prefixes)
    voices, before = _room(state, sequences)
    for index in range(len(out)):
        if state.finished[index]:
            out[index, pad] = True
            continue
        may, moment = out[index], load_moment(state.moments[index])
        listed = list_sounding(state.since[index], voices)
        piece = Piece(state.playable[index], state.since[index], state.until[index], voices, before, listed)
        list_plain(moment, piece, table, limits, may[:plain_end])
        for token in range(plain_end, sequences_end):
            if may[sequences.prefixes[token - plain_end]]:
                members = sequences.tokens[sequences.first[token] : sequences.first[token + 1]]
                may[token] = sequence_may_follow(members, moment, piece, table, limits, nanoseconds)


@compiled
def _advance(
    state: State,
    table: EventTable,
    limits: Limits,
    sequences: _Sequences,
    sequences_end: int,
    nanoseconds: NDArray[np.int64],
    tokens: NDArray[np.int64],
) -> None:
    """Update the state by the next token of every piece, but for ids from `sequences_end` on."""
    voices, before = _room(state, sequences)
    for index, token in enumerate(tokens):
        if token >= sequences_end:
            continue
        listed = list_sounding(state.since[index], voices)
        piece = Piece(state.playable[index], state.since[index], state.until[index], voices, before, listed)
        members = sequences.tokens[sequences.first[token] : sequences.first[token + 1]]
        moment = follow_sequence(members, load_moment(state.moments[index]), piece, table, limits, nanoseconds)
        store_moment(moment, state.moments[index])


@compiled
def _room(state: State, sequences: _Sequences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return `voices` and `before` of a Piece, with room for all voices and the longest sequence."""
    size = state.since.shape[1] + sequences.longest
    return np.empty(size, np.int64), np.empty(size, np.int64)
