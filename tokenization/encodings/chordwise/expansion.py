"""From chords to plain tokens: each chord becomes the changes that lead to it from what sounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.vocabulary import Tokens


@compiled
def expand_chords(
    tokens: Tokens,
    off_token: NDArray[np.int64],
    rank: NDArray[np.int64],
    members: NDArray[np.int64],
    first: NDArray[np.int64],
    learned_base: int,
) -> Tokens:
    """Return the tokens with each chord as its changes, note-offs and notes in the order of one tick.

    Any tokens are accepted: notes that a chord holds but that do not sound are ignored. `members` and `first` are the
    expansion of all ids, `rank` is `EventTable.rank`.
    """
    notes = len(off_token)
    room = len(tokens)
    for token in tokens:
        if learned_base <= token < len(first) - 1:
            room += first[token + 1] - first[token]
    out = np.empty(2 * room, np.uint16)  # whatever sounds was struck, and ends once
    sounding, is_held = np.zeros(notes, np.bool_), np.zeros(notes, np.bool_)
    now = np.empty(notes, np.int64)  # what sounds, as note-offs, in any order
    count = filled = 0
    for token in tokens:
        begin = filled
        if token < learned_base:
            out[filled] = token
            filled += 1
            if token >= notes:
                continue
        elif token < len(first) - 1:
            chord = members[first[token] : first[token + 1]]
            filled = _write_changes(chord, off_token, now[:count], is_held, out, filled)
            _sort_by_rank(out[begin:filled], rank)
        for event in out[begin:filled]:
            off = off_token[event]
            if off >= 0:
                sounding[off] = off != event
                if off != event:
                    now[count] = off
                    count += 1
        count = _compact(now, count, sounding)
    return out[:filled].copy()


@compiled
def _write_changes(
    chord: NDArray[np.int64],
    off_token: NDArray[np.int64],
    now: NDArray[np.int64],
    is_held: NDArray[np.bool_],
    out: Tokens,
    filled: int,
) -> int:
    """Write the note-offs of what sounds `now` and is not held, then the struck notes; return the new end of `out`.

    `is_held` is room, all False before and after.
    """
    for member in chord:
        if off_token[member] == member:
            is_held[member] = True
    for off in now:
        if not is_held[off]:
            out[filled] = off
            filled += 1
    for member in chord:
        if off_token[member] == member:
            is_held[member] = False
        else:
            out[filled] = member
            filled += 1
    return filled


@compiled
def _sort_by_rank(events: Tokens, rank: NDArray[np.int64]) -> None:
    """Sort the events of one tick (insertion sort)."""
    for i in range(1, len(events)):
        event = events[i]
        j = i
        while j > 0 and rank[events[j - 1]] > rank[event]:
            events[j] = events[j - 1]
            j -= 1
        events[j] = event


@compiled
def _compact(now: NDArray[np.int64], count: int, sounding: NDArray[np.bool_]) -> int:
    """Keep in `now` each note that still sounds, once; return the new count."""
    kept = 0
    for i in range(count):
        if sounding[now[i]]:
            sounding[now[i]] = False
            now[kept] = now[i]
            kept += 1
    for i in range(kept):
        sounding[now[i]] = True
    return kept
