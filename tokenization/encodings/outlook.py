"""The outlook of a piece: what limits on its voices have to know of the grammar before the next id is drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.ending import Ending
from tokenization.encodings.rules import AFTER_WAIT, NO_BOUND, NO_VOICE, ZERO, Limits, Moment, State, load_moment

NOTE_LENGTH_AND_END = 3
"""Tokens of a last note, where its length is written."""


class Outlook(NamedTuple):
    """What lies before each piece of a batch; arrays of shape (batch,)."""

    sounding: NDArray[np.int64]
    """Number of notes that sound."""
    least_wait: NDArray[np.int64]
    """Ticks after which fewer notes sound than may, by the lengths that are written.

    0 where fewer sound now, where any number may, and where no lengths are written; NO_BOUND where too few tokens are
    left to wait until then, with a tempo behind each wait, and to end behind a further note.
    """
    may_stop: NDArray[np.bool_]
    """True for pieces that would be whole if `end` followed now, however early."""

    @classmethod
    def of(cls, batch: int) -> Outlook:
        """Return arrays for a batch, in which nothing sounds."""
        return cls(np.zeros(batch, np.int64), np.zeros(batch, np.int64), np.zeros(batch, np.bool_))


@compiled
def look_ahead(state: State, ending: Ending, taken: int, limits: Limits, most: int, out: Outlook) -> None:
    """Fill `out`. `taken`: tokens so far. `most`: notes that may sound at a time; 0: any number."""
    for index in range(len(state.finished)):
        moment = load_moment(state.moments[index])
        rings_alone = moment.sounding == 0 or not limits.writes_ends
        is_whole = moment.latest > AFTER_WAIT and moment.bare_tempo == 0 and moment.unmeasured == NO_VOICE
        out.sounding[index] = moment.sounding
        out.may_stop[index] = is_whole and rings_alone and not state.finished[index]
        out.least_wait[index] = ZERO
        if limits.writes_lengths and 0 < most <= moment.sounding:
            room = ending.latest[index] - taken
            wait = _ticks_to_fewer(most, moment, state.since[index], state.until[index])
            waits = -(-wait // limits.max_wait)
            out.least_wait[index] = NO_BOUND if 2 * waits + NOTE_LENGTH_AND_END > room else wait


@compiled
def _ticks_to_fewer(most: int, moment: Moment, since: NDArray[np.int64], until: NDArray[np.int64]) -> np.int64:
    """Return the ticks after which fewer than `most` of the notes that sound, as many at least, still do."""
    ends = np.empty(len(since), np.int64)
    count = 0
    for voice in range(len(since)):
        if since[voice] >= 0:  # insertion sort: few notes sound
            at = count
            while at > 0 and ends[at - 1] > until[voice]:
                ends[at] = ends[at - 1]
                at -= 1
            ends[at] = until[voice]
            count += 1
    wait: np.int64 = ends[count - most] - moment.now
    return wait
