"""Learning of chords: those that save most tokens in a dataset."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.chordwise.groups import group_end, hold_struck, strike
from tokenization.encodings.encoding import HEADER
from tokenization.encodings.grid import column_of
from tokenization.vocabulary import Tokens
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens


def learn_chords(pieces: Iterable[Tokens], off_token: NDArray[np.int64], count: int) -> LearnedTokens:
    """Return the up to `count` chords that save most tokens in whole pieces of plain tokens.

    The same pieces give the same chords, in whatever order. `off_token` is `EventTable.off`.
    """
    music = [column_of(tokens, np.uint16) for tokens in pieces]
    found = [_list_chords(tokens, HEADER, off_token) for tokens in music]
    if not found:
        return LearnedTokens(LearnedKind.CHORD)
    hashes, saved, sizes = (np.concatenate(column) for column in zip(*found))
    chords, where, which = np.unique(hashes, return_index=True, return_inverse=True)
    totals = np.bincount(which, saved, len(chords)).astype(np.int64)
    best = np.lexsort((chords, -totals))[:count]
    best = best[totals[best] > 0]
    piece = np.repeat(np.arange(len(music)), [len(column) for column, _, _ in found])
    number = np.concatenate([np.arange(len(column)) for column, _, _ in found])
    items = []
    for place in where[best].tolist():
        members = _members(music[piece[place]], HEADER, off_token, number[place], sizes[place])
        items.append(tuple(sorted(members.tolist())))
    return LearnedTokens(LearnedKind.CHORD, tuple(items))


@compiled
def _list_chords(
    tokens: Tokens, header: int, off_token: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each group of a piece the hash of its chord, the tokens that it would save, and its size."""
    notes = len(off_token)
    hashes, saved = np.empty(len(tokens), np.uint64), np.empty(len(tokens), np.int64)
    sizes = np.empty(len(tokens), np.int64)
    held = np.zeros(notes, np.bool_)
    held_hash = np.uint64(0)
    found = held_count = 0
    at = header
    while at < len(tokens):
        end = group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held_hash, struck_hash, held_count, struck_count = strike(group, off_token, held, held_hash, held_count)
            hashes[found], saved[found] = held_hash ^ struck_hash, end - at - 1
            sizes[found] = held_count + struck_count
            held_hash, held_count = hold_struck(group, off_token, held, held_hash, held_count)
            found += 1
        at = end + 1
    return hashes[:found].copy(), saved[:found].copy(), sizes[:found].copy()


@compiled
def _members(tokens: Tokens, header: int, off_token: NDArray[np.int64], number: int, size: int) -> NDArray[np.int64]:
    """Return the ids of the chord of `size` notes that group `number` of a piece leads to."""
    notes = len(off_token)
    held = np.zeros(notes, np.bool_)
    held_hash = np.uint64(0)
    out = np.empty(size, np.int64)
    held_count = groups = 0
    at = header
    while at < len(tokens):
        end = group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held_hash, _, held_count, _ = strike(group, off_token, held, held_hash, held_count)
            if groups == number:
                filled = 0
                for off in np.flatnonzero(held):
                    out[filled] = off
                    filled += 1
                for token in group:
                    if off_token[token] != token:
                        out[filled] = token
                        filled += 1
                break
            held_hash, held_count = hold_struck(group, off_token, held, held_hash, held_count)
            groups += 1
        at = end + 1
    return out
