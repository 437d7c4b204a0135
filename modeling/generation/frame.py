"""The frame of an infill: all of a given piece that stays, and the rules by which new music fits into it.

New notes start within a span of time and end with it, played by some of the instruments. Between two events that stay
the next token is free; where time would pass such an event, that event comes. Its probability is that of all that the
network would have put at or behind it, so the network decides at every token whether something new comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from modeling.generation import frame_rules
from modeling.generation.frame_rules import NONE, FrameTable, Place
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.effects import DRUM, LENGTH, TEMPO
from tokenization.encodings.grid import NOTE_COLUMNS, Grid, without_late_tempos
from tokenization.encodings.rules import NO_BOUND
from tokenization.vocabulary import PITCHES, Tokens

MOST_NOTES = 4
"""New notes at most, as a multiple of those that are taken out, or of DENSITY."""
DENSITY = 8.0
"""Notes a second that there is room for wherever fewer are taken out."""


@dataclass(frozen=True)
class Infill:
    """The part of a given piece that is composed anew; the rest stays note for note."""

    begin: float = 0.0
    """Seconds of the piece at which new notes start at the earliest."""
    end: float = float("inf")
    """Seconds at which they have ended."""
    replaced: tuple[str, ...] | None = None
    """Instruments or groups whose notes that start in the span are taken out, and which play anew; None: all."""
    added: tuple[str, ...] = ()
    """Instruments or groups that play there, too; what is there of them stays."""


class Frame:
    """A given piece without the part that is composed anew.

    `given`: its tokens. Raises UserError for an encoding that cannot be infilled and for a span without music, and
    VocabularyError for an unknown instrument.
    """

    def __init__(self, encoding: Encoding, given: Tokens, infill: Infill, longest_note: float) -> None:
        if not encoding.keeps_lengths or encoding.learns is not None:
            raise UserError(
                f"infilling needs an encoding with the ends or lengths of notes and without chords or merges, combined "
                f"or note; the model's is {encoding.name}"
            )
        self.encoding = encoding
        vocabulary = encoding.vocabulary
        grid = encoding.read(given)
        until = int(grid.end.max(initial=0))
        self.begin, self.end = (min(_tick(encoding, grid, at), until) for at in (infill.begin, infill.end))
        if self.begin >= self.end:
            lasts = encoding.decode(given).seconds
            raise UserError(f"nothing lies between {infill.begin:g} s and {infill.end:g} s of a piece of {lasts:.1f} s")
        instrument = vocabulary.row_instrument[grid.row]
        header = vocabulary.instruments_of(given[1:2])[0]
        replaced = header if infill.replaced is None else vocabulary.named_instruments(infill.replaced)
        self.playable: NDArray[np.bool_] = replaced | vocabulary.named_instruments(infill.added)
        is_out = (grid.start >= self.begin) & (grid.start < self.end)
        is_out &= True if infill.replaced is None else replaced[instrument]
        self.fixed = grid.taken(~is_out)
        if len(self.fixed):
            self.fixed = without_late_tempos(self.fixed, vocabulary, encoding.writes_ends)
        self.header = given[:HEADER].copy()
        playing = vocabulary.instruments_in(self.fixed.row)
        mask = vocabulary.mask_of_instruments(np.flatnonzero(playing | self.playable))
        self.header[1] = vocabulary.instrumentation_id(mask)
        tokens = self.tokens_of(self.fixed)[:-1]
        ticks, kind = np.cumsum(encoding.effects.ticks[tokens]), encoding.effects.table.kind[tokens]
        is_event = (kind >= TEMPO) & (kind <= LENGTH)
        is_event[:HEADER] = False
        before = np.flatnonzero(is_event & (ticks < self.begin))
        self.prefix: Tokens = tokens[: before[-1] + 1 if len(before) else HEADER]
        """Header and music before the first token that is drawn."""
        behind = np.flatnonzero(is_event & (ticks >= self.begin))
        self.events_behind = int(((ticks >= self.end) & is_event & (kind <= DRUM)).sum())
        """Events that stay, from the end of the span on."""
        seconds = (self.end - self.begin) / encoding.ticks_per_second
        self.most_notes = round(MOST_NOTES * max(is_out.sum(), DENSITY * seconds, 1))
        self.capacity = len(tokens) + 4 * self.most_notes + (self.end // vocabulary.max_wait) + HEADER
        self.longest_note = max(round(longest_note * encoding.ticks_per_second), 1)
        self._given_ticks = np.cumsum(encoding.effects.ticks[given])
        self.table = self._table(ticks[behind], tokens[behind].astype(np.int64))

    def _table(self, ticks: NDArray[np.int64], tokens: NDArray[np.int64]) -> FrameTable:
        vocabulary = self.encoding.vocabulary
        voice = vocabulary.row_instrument[self.fixed.row].astype(np.int64) * PITCHES + self.fixed.pitch
        order = np.lexsort((self.fixed.start, voice))
        voices = len(vocabulary.instruments) * PITCHES
        first = np.searchsorted(voice[order], np.arange(voices + 1))
        off = np.full(voices, -1, np.int64)
        rows = vocabulary.off_row.astype(np.int64)
        pitched = np.repeat(rows >= 0, PITCHES)
        off[pitched] = (rows[:, None] * PITCHES + np.arange(PITCHES)).reshape(-1)[pitched]
        return FrameTable(
            ticks,
            tokens,
            first.astype(np.int64),
            np.ascontiguousarray(self.fixed.start[order]),
            off,
            self.playable,
            self.begin,
            self.end,
            self.longest_note,
            vocabulary.wait_base,
            vocabulary.max_wait,
            self.encoding.writes_lengths,
        )

    def planned(self, now: NDArray[np.int64], filled: int) -> NDArray[np.int64]:
        """Return the planned tokens of pieces at ticks `now` with `filled` tokens: the rest is as long as it was."""
        left = len(self._given_ticks) - np.searchsorted(self._given_ticks, now, side="right")
        return np.asarray(filled + np.maximum(left, 1), np.int64)

    def tokens_of(self, grid: Grid) -> Tokens:
        """Return the tokens of a grid, `end` included, under the frame's header."""
        if not len(grid):
            return np.append(self.header, np.uint16(self.encoding.vocabulary.end))
        tokens = self.encoding.write(grid)
        tokens[:3] = self.header[:3]
        return tokens

    def whole(self, composed: Tokens) -> Tokens:
        """Return the whole piece: what stays, and the notes that tokens so far, shape (n,), have besides."""
        grid, fixed = self.encoding.read(composed), self.fixed
        is_new = (grid.start >= self.begin) & (grid.start < self.end)
        is_new &= ~np.isin(grid.keys, fixed.keys)
        new = grid.taken(is_new)
        columns = {name: np.concatenate([getattr(fixed, name), getattr(new, name)]) for name in NOTE_COLUMNS}
        order = np.argsort(columns["start"], kind="stable")
        return self.tokens_of(replace(fixed, **{name: column[order] for name, column in columns.items()}))

    def start(self, batch: int) -> FrameState:
        """Return the state of a batch of pieces that have the prefix."""
        return FrameState(self, batch)


class FrameState:
    """The place of each piece of a batch in the frame."""

    def __init__(self, frame: Frame, batch: int) -> None:
        self.frame = frame
        voices = len(frame.table.onset_first) - 1
        self._place = Place(
            np.zeros(batch, np.int64),
            np.full((batch, voices), NO_BOUND, np.int64),
            np.full(batch, frame.most_notes, np.int64),
            np.full(batch, NO_BOUND, np.int64),
        )
        self._forced = np.full(batch, NONE)

    def limit(self, may: NDArray[np.bool_], now: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which of the ids that the grammar allows are free, shape (batch, ids), and True for the pieces in
        which something that stays may come instead, shape (batch,)."""
        free = np.zeros_like(may)
        table = self.frame.encoding.effects.table
        frame_rules.list_free(may, now, self._place, self.frame.table, table, free, self._forced)
        return free, self._forced >= 0

    def force(
        self,
        logits: NDArray[np.float32],
        may: NDArray[np.bool_],
        free: NDArray[np.bool_],
        now: NDArray[np.int64],
        adjusted: NDArray[np.float32],
    ) -> None:
        """Put the event that stays beside the free ids, in `free` and `adjusted`, with its probability by `logits`."""
        table = self.frame.encoding.effects.table
        frame_rules.put_forced(logits, may, now, self._forced, self.frame.table, table, free, adjusted)

    def advance(self, tokens: NDArray[np.int64], now: NDArray[np.int64]) -> None:
        """Go on by a token of each piece, after which it is at the ticks `now`."""
        table = self.frame.encoding.effects.table
        frame_rules.advance(np.ascontiguousarray(tokens), now, self._place, self.frame.table, table)

    def goes_on(self, now: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return True for pieces that are not through the span yet, or have new notes that still sound."""
        return (now < self.frame.end) | (self._place.deadline < NO_BOUND).any(axis=1)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self._place = Place(*(np.ascontiguousarray(column[rows]) for column in self._place))
        self._forced = self._forced[rows]


def _tick(encoding: Encoding, grid: Grid, seconds: float) -> int:
    """Return the tick at a time, the last one there is for infinity."""
    if seconds == float("inf"):
        return int(NO_BOUND)
    speed = encoding.speeds[grid.tempo]
    begins = np.concatenate([[0.0], np.cumsum(np.diff(grid.tempo_ticks) / speed[:-1])])
    part = max(int(np.searchsorted(begins, seconds, side="right")) - 1, 0)
    return round(float(grid.tempo_ticks[part] + (seconds - begins[part]) * speed[part]))
