"""Token effects: the one description of what each id does, from which everything else about an encoding follows.

`stream` writes and reads tokens by it, `structure` derives the network's features from it, and `grammar` the ids that
may follow. A plain id is an event (a note-off, a note, a drum hit or a tempo), a wait, an end or nothing of music. A
learned id does what its expansion does, unless its encoding describes it otherwise.

An encoding that differs from these rules overrides `Encoding.tick_order` or `Encoding.effects`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.vocabulary import NO_ROW, PITCHES, Vocabulary
from tokenization.vocabulary.layout import IdLayout

TEMPO, OFF, NOTE, DRUM, LENGTH, WAIT, END, OTHER = range(8)
"""Kinds of ids; those up to DRUM are events, those between TEMPO and WAIT belong to notes."""
NO_OFF = -1
"""In place of the note-off of a drum hit."""
CHORD_LIMIT = 32
"""Events that are counted, of one id and in the `chord` feature."""
TICKS_SHIFT, EVENT_MASK = 8, 127


class EventTable(NamedTuple):
    """The effect of each id as compiled code reads it; arrays of shape (ids,) unless stated.

    Learned ids but lengths are OTHER here: they take effect through their expansion.
    """

    kind: NDArray[np.uint8]
    value: NDArray[np.int64]
    """Voice of a note (instrument · PITCHES + pitch), ticks of a wait or length, bucket of a tempo."""
    rank: NDArray[np.int64]
    """Position of an event among all that can happen at one tick."""
    last_rank: NDArray[np.int64]
    """Of a note: the last rank of the notes of its voice, at most one of which starts at a tick."""
    order: NDArray[np.int64]
    """The id of each rank, shape (ranks,)."""
    off: NDArray[np.int64]
    """The note-off of each note id, the id itself for a note-off, NO_OFF for a drum hit; shape (note ids,)."""
    off_rank: NDArray[np.int64]
    """Rank of the note-off of each voice, shape (voices,)."""


@dataclass(frozen=True, eq=False)
class TokenEffects:
    """What every id does to events, time and chords; columns of shape (ids,)."""

    table: EventTable
    ticks: NDArray[np.int64]
    """Ticks that pass with it."""
    events: NDArray[np.int64]
    """Starts and ends of notes in it; in a learned id, those behind its last other token."""
    breaks: NDArray[np.bool_]
    """True if it holds anything besides notes, after which a new chord begins."""
    onsets: NDArray[np.int64]
    """Notes that start in it."""

    @classmethod
    def of(cls, vocabulary: Vocabulary, order: NDArray[np.int64] | None = None) -> TokenEffects:
        """Return the effects of all ids, with learned ids as the sequence of their expansion.

        `order`: the ids of all events in the order of one tick, that of `tick_order` unless given.
        """
        table = _table(vocabulary, tick_order(vocabulary) if order is None else order)
        is_note = (table.kind >= OFF) & (table.kind <= DRUM)
        plain = cls(
            table,
            np.where(table.kind == WAIT, table.value, 0),
            is_note.astype(np.int64),
            ~is_note & (table.kind != LENGTH),
            (is_note & (table.kind != OFF)).astype(np.int64),
        )
        return plain._expanded(vocabulary) if vocabulary.learned else plain

    def _expanded(self, vocabulary: Vocabulary) -> TokenEffects:
        expansion = vocabulary.expansion
        owner = np.repeat(np.arange(vocabulary.size), expansion.sizes)

        def total(column: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.bincount(owner, column, vocabulary.size).astype(np.int64)

        breaks = self.breaks[expansion.tokens]
        broken = np.cumsum(breaks)
        behind_last = broken == np.repeat(broken[expansion.first[1:] - 1], expansion.sizes)
        return TokenEffects(
            self.table,
            total(self.ticks[expansion.tokens]),
            total(self.events[expansion.tokens] * behind_last),
            total(breaks.astype(np.int64)) > 0,
            total(self.onsets[expansion.tokens]),
        )

    @cached_property
    def code(self) -> NDArray[np.int32]:
        """Ticks, events and break of each id in one number, so that a token costs one look-up, shape (2^16,).

        Ids that the vocabulary does not have let no time pass and are in no chord.
        """
        code = np.zeros(2**16, np.int32)
        code[: len(self.ticks)] = self.ticks << TICKS_SHIFT | np.minimum(self.events, CHORD_LIMIT) << 1 | self.breaks
        return code


def tick_order(layout: IdLayout) -> NDArray[np.int64]:
    """Return the ids of all events in the order of one tick: tempos, note-offs by pitch, notes by pitch, drums.

    Of one pitch the higher row comes first. Shape (tempos + note ids,).
    """
    row, pitch = np.divmod(np.arange(layout.note_end), PITCHES)
    notes = np.lexsort((-row, pitch, note_kinds(layout)))
    return np.concatenate([np.arange(layout.tempo_base, layout.special_base), notes])


def note_kinds(layout: IdLayout) -> NDArray[np.int64]:
    """Return OFF, NOTE or DRUM for each note id, shape (note ids,)."""
    row = np.arange(layout.note_end) // PITCHES
    is_drum = layout.off_row[layout.row_instrument[row]] == NO_ROW
    return np.where(layout.row_velocity[row] == 0, OFF, np.where(is_drum, DRUM, NOTE))


def _table(vocabulary: Vocabulary, order: NDArray[np.int64]) -> EventTable:
    notes = slice(0, vocabulary.note_end)
    waits = slice(vocabulary.wait_base + 1, vocabulary.start)
    tempos = slice(vocabulary.tempo_base, vocabulary.special_base)
    row, pitch = np.divmod(np.arange(vocabulary.note_end), PITCHES)
    instrument = vocabulary.row_instrument[row].astype(np.int64)

    kind = np.full(vocabulary.size, OTHER, np.uint8)
    kind[notes], kind[waits], kind[tempos] = note_kinds(vocabulary), WAIT, TEMPO
    kind[[vocabulary.end, vocabulary.end_sample]] = END
    lengths = slice(vocabulary.size - len(vocabulary.lengths), vocabulary.size)
    kind[lengths] = LENGTH
    value = np.zeros(vocabulary.size, np.int64)
    value[notes] = instrument * PITCHES + pitch
    value[waits], value[tempos] = np.arange(vocabulary.max_wait) + 1, np.arange(len(vocabulary.tempos))
    value[lengths] = vocabulary.lengths
    rank = np.zeros(vocabulary.size, np.int64)
    rank[order] = np.arange(len(order))
    starts = np.flatnonzero(kind[notes] != OFF)
    latest = np.zeros(len(vocabulary.instruments) * PITCHES, np.int64)
    np.maximum.at(latest, value[starts], rank[starts])
    last_rank = rank.copy()
    last_rank[starts] = latest[value[starts]]
    off_row = vocabulary.off_row[instrument].astype(np.int64)
    off = np.where(off_row == NO_ROW, NO_OFF, off_row * PITCHES + pitch)
    ends = np.flatnonzero(kind[notes] == OFF)
    off_rank = np.zeros_like(latest)
    off_rank[value[ends]] = rank[ends]
    return EventTable(kind, value, rank, last_rank, order.astype(np.int64), off, off_rank)
