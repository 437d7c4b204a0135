"""The grammar of chords: a chord names all that sounds from its tick on, and nothing else happens at that tick."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import NOTE, OFF, EventTable
from tokenization.encodings.rules import (
    AT_FIRST,
    NO_BOUND,
    NO_VOICE,
    SILENT,
    ZERO,
    Limits,
    Moment,
    State,
    list_sounding,
    load_moment,
    store_moment,
)
from tokenization.vocabulary import PITCHES, Vocabulary


class _Chords(NamedTuple):
    """The notes of the chords."""

    base: int
    """The id of the first chord."""
    members: NDArray[np.int64]
    first: NDArray[np.int64]
    """The ids of id i are `members[first[i] : first[i + 1]]`."""
    kind: NDArray[np.uint8]
    """Kind of each id, as in `EventTable`."""
    voice: NDArray[np.int64]
    """Voice of each note id, as in `EventTable`."""


class ChordRules:
    """The rules of the chords of a vocabulary (`LearnedRules`)."""

    def __init__(self, vocabulary: Vocabulary, table: EventTable) -> None:
        expansion = vocabulary.expansion
        self._chords = _Chords(vocabulary.learned_base, expansion.tokens, expansion.first, table.kind, table.value)

    def list_allowed(self, state: State, limits: Limits, out: NDArray[np.bool_]) -> None:
        """Set the columns of the chords in `out`, shape (batch, ids)."""
        _list_allowed(self._chords, state, limits, out)

    def advance(self, state: State, tokens: NDArray[np.int64]) -> None:
        """Update the state by those `tokens`, shape (batch,), that are chords."""
        _advance(self._chords, state, tokens)


@compiled
def _list_allowed(chords: _Chords, state: State, limits: Limits, out: NDArray[np.bool_]) -> None:
    """Allow the chords that hold what sounds and is not overdue, strike what is playable, and change something."""
    for index in range(len(out)):
        moment = load_moment(state.moments[index])
        if state.finished[index] or moment.latest > AT_FIRST:
            continue
        playable, since, may = state.playable[index], state.since[index], out[index]
        for chord in range(chords.base, len(may)):
            held = struck = 0
            fits = True
            for note in chords.members[chords.first[chord] : chords.first[chord + 1]]:
                voice = chords.voice[note]
                if chords.kind[note] == OFF:
                    fits = since[voice] >= 0 and moment.now - since[voice] < limits.longest_note
                    held += 1
                else:
                    fits = playable[voice // PITCHES]
                    struck += 1
                if not fits:
                    break
            may[chord] = fits and (struck > 0 or held < moment.sounding)


@compiled
def _advance(chords: _Chords, state: State, tokens: NDArray[np.int64]) -> None:
    """Go on by the chords among the tokens."""
    voices = np.empty(state.since.shape[1], np.int64)
    for index, token in enumerate(tokens):
        if token >= chords.base:
            members = chords.members[chords.first[token] : chords.first[token + 1]]
            moment = load_moment(state.moments[index])
            store_moment(_follow(members, chords, moment, state.since[index], voices), state.moments[index])


@compiled
def _follow(
    members: NDArray[np.int64],
    chords: _Chords,
    moment: Moment,
    since: NDArray[np.int64],
    voices: NDArray[np.int64],
) -> Moment:
    """Return the moment after a chord: a note that it does not hold has ended. `voices` is room."""
    now, oldest, tempo, rings, tick = moment.now, moment.oldest, moment.tempo, moment.rings, moment.tick
    count = list_sounding(since, voices)
    for note in members:
        voice = chords.voice[note]
        if chords.kind[note] == OFF and since[voice] >= 0:
            since[voice] = -2 - since[voice]  # marked, to be told from those that end
    sounding = ZERO
    for voice in voices[:count]:
        since[voice] = SILENT if since[voice] >= 0 else -2 - since[voice]
        sounding += since[voice] >= 0
    for note in members:
        if chords.kind[note] == NOTE:
            voice = chords.voice[note]
            sounding += since[voice] < 0
            since[voice] = now
            oldest = min(oldest, now)
    return Moment(now, NO_BOUND, NO_BOUND, ZERO, sounding, oldest, tempo, ZERO, NO_VOICE, rings, tick)
