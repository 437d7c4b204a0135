"""From plain tokens to chords: each group of notes is looked up by the hash of its chord."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, put
from tokenization.encodings.chordwise.groups import group_end, hash_of, hold_struck, strike
from tokenization.vocabulary import Tokens
from tokenization.vocabulary.learned_tokens import LearnedTokens

FREE = -1
"""A slot of the hash table without a chord."""


class ChordIndex(NamedTuple):
    """The learned chords and a hash table over them."""

    members: NDArray[np.int64]
    first: NDArray[np.int64]
    """The ids of chord i are `members[first[i] : first[i + 1]]`."""
    hashes: NDArray[np.uint64]
    chords: NDArray[np.int64]
    """The chord in each slot, or FREE."""

    @classmethod
    def of(cls, learned: LearnedTokens) -> ChordIndex:
        """Return the index of learned chords; at least half of its slots are free."""
        members = np.array([token for item in learned.items for token in item], np.int64)
        first = np.cumsum([0, *(len(item) for item in learned.items)])
        hashes, chords = _hash_table(members, first, 1 << (2 * len(learned.items)).bit_length())
        return cls(members, first, hashes, chords)


@compiled
def _hash_table(
    members: NDArray[np.int64], first: NDArray[np.int64], size: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return hashes and chords by slot (open addressing): a chord takes the slot of its hash or the next free one."""
    hashes, chords = np.zeros(size, np.uint64), np.full(size, FREE, np.int64)
    for chord in range(len(first) - 1):
        value = np.uint64(0)
        for member in members[first[chord] : first[chord + 1]]:
            value ^= hash_of(member)
        slot = np.int64(value & np.uint64(size - 1))
        while chords[slot] != FREE:
            slot = (slot + 1) & (size - 1)
        hashes[slot], chords[slot] = value, chord
    return hashes, chords


@compiled
def merge_chords(
    tokens: Tokens, header: int, off_token: NDArray[np.int64], index: ChordIndex, learned_base: int
) -> Tokens:
    """Return the tokens with each group of notes as a chord, if it is one of the index."""
    notes = len(off_token)
    out = np.empty(len(tokens), np.uint16)
    put(tokens[:header], out, 0)
    held = np.zeros(notes, np.bool_)
    struck_in = np.full(notes, -1, np.int64)  # the group in which each note was struck last
    held_hash = np.uint64(0)
    filled, held_count = header, 0
    at = header
    while at < len(tokens):
        end = group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held_hash, struck_hash, held_count, struck_count = strike(group, off_token, held, held_hash, held_count)
            for token in group:
                if off_token[token] != token:
                    struck_in[token] = at
            chord = _find(held_hash ^ struck_hash, held_count + struck_count, index, off_token, held, struck_in, at)
            if chord == FREE:
                put(group, out, filled)
                filled += end - at
            else:
                out[filled] = learned_base + chord
                filled += 1
            held_hash, held_count = hold_struck(group, off_token, held, held_hash, held_count)
        if end < len(tokens):
            out[filled] = tokens[end]
            filled += 1
        at = end + 1
    return out[:filled].copy()


@compiled
def _find(
    value: np.uint64,
    size: int,
    index: ChordIndex,
    off_token: NDArray[np.int64],
    held: NDArray[np.bool_],
    struck_in: NDArray[np.int64],
    group: int,
) -> int:
    """Return the chord of this hash and size whose members are held or were struck in the `group`, or FREE."""
    mask = len(index.chords) - 1
    slot = np.int64(value & np.uint64(mask))
    while index.chords[slot] != FREE:
        chord = index.chords[slot]
        first, last = index.first[chord], index.first[chord + 1]
        if index.hashes[slot] == value and last - first == size:
            # Hashes may be equal by chance; the members are not.
            same = True
            for member in index.members[first:last]:
                same = same and (held[member] if off_token[member] == member else struck_in[member] == group)
            if same:
                return int(chord)
        slot = (slot + 1) & mask
    return FREE
