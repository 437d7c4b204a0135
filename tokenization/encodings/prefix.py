"""Prefixes: the notes of a piece whose tokens come one after the other, each note once, as soon as it is final.

A prefix of a piece decodes to notes of which those that still sound end with it. Notes that end before the prefix does
are as they will be in the piece. Where tokens tell the length of a note with the note itself, those that begin before
are, too, so that a long note is heard in time; in beats, a tempo that changes while it sounds changes its end in
seconds. What is read again with every further token goes back no farther than the oldest note that is not final, so
that the work follows the tokens that come and not those that are there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings.encoding import Encoding
from tokenization.encodings.grid import Grid
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens


class PrefixReader:
    """The place in a piece up to which its tokens have come."""

    def __init__(self, encoding: Encoding, given: Tokens) -> None:
        """`given`: the first tokens; their notes, those included that sound at their end, are known."""
        self._encoding = encoding
        self._now = 0
        self._tail: Tokens = np.empty(0, np.uint16)
        """The latest tokens: from those on with which the oldest note began that is not final."""
        self._begin = 0
        """The tick at which they begin."""
        self._tempo_ticks, self._tempo = np.empty(0, np.int64), np.empty(0, np.int64)
        """Tempos up to there."""
        self._known = np.empty(0, np.int64)
        self.read(given)
        known = encoding.read(encoding.expand(given))
        self._known = known.keys[self._final_at(known) >= self._now]
        """Of the notes given, those that are not final at their end."""

    def read(self, tokens: Tokens) -> Notes:
        """Read the tokens that come next; return the notes that are final by now and were not before."""
        self._tail = np.concatenate([self._tail, np.asarray(tokens, np.uint16)])
        ticks = self._begin + np.cumsum(self._encoding.effects.ticks[self._tail])
        before, self._now = self._now, int(ticks[-1]) if len(ticks) else self._begin
        grid = self._grid()
        final_at = self._final_at(grid)
        is_final = (final_at >= before) & (final_at < self._now) & ~np.isin(grid.keys, self._known)
        self._forget(grid, ticks)
        return self._encoding.notes_of(grid.taken(is_final))

    def _final_at(self, grid: Grid) -> NDArray[np.int64]:
        """Return the tick behind which each note is final: at its end itself it may be one that is cut off there."""
        return grid.start if self._encoding.writes_lengths else grid.end

    def _grid(self) -> Grid:
        """Return the notes of the latest tokens, and all tempos."""
        encoding = self._encoding
        head = encoding.vocabulary.tempo_base + self._tempo[-1:]
        tail = encoding.read(encoding.expand(np.concatenate([head.astype(np.uint16), self._tail])))
        return Grid(
            tail.start + self._begin,
            tail.end + self._begin,
            tail.row,
            tail.pitch,
            np.concatenate([self._tempo_ticks, tail.tempo_ticks[len(head) :] + self._begin]),
            np.concatenate([self._tempo, tail.tempo[len(head) :]]),
            tail.source,
        )

    def _forget(self, grid: Grid, ticks: NDArray[np.int64]) -> None:
        """Drop the tokens before the oldest note that is not final; `ticks`: behind each of the latest tokens."""
        oldest = grid.start[self._final_at(grid) >= self._now].min(initial=self._now)
        first = int(np.searchsorted(ticks, oldest))
        if first:
            self._tail, self._begin = self._tail[first:], int(ticks[first - 1])
            past = grid.tempo_ticks <= self._begin
            self._tempo_ticks, self._tempo = grid.tempo_ticks[past], grid.tempo[past]
