"""The groups in which the voices with one feature stand in the index: within a group they count as sharing it.

There is one group as a rule. Of a common feature a sample of the pairs is seen: its voices are divided in two, by one
bit of a number of each, until no part has more than MOST_TOGETHER (a binary trie). The number begins with a hash of the
voice's own smallest hash and ends with one of its content, both drawn anew for each feature. So versions of one piece,
which mostly have one smallest hash, stay together while there is room, other pairs meet in some features and not in
others, and groups do not depend on the order of pieces. As further pieces come, groups are only ever divided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import mixed, signed
from tokenization.compiled import compiled

MOST_TOGETHER = 24
"""The most voices of a group."""
GROUP = 0x80000000
"""Bit of a posting that begins another group."""
BITS = 64
"""Bits by which voices are divided. Those of equal numbers, which no collection has, would share a larger group."""


REGROUPED = np.uint8(1)
"""Bit of a word whose voice was in a group that new voices have divided."""


class NewVoices(NamedTuple):
    """The new among the voices with one feature."""

    is_old: NDArray[np.bool_]
    """False for them; at least as long as there are voices."""
    voices: int
    """Their number."""
    touched: NDArray[np.uint8]
    """Bits of words, of which those of divided groups get REGROUPED."""


class Room(NamedTuple):
    """Room for dividing the voices of one feature; arrays have the size of the most voices that one has."""

    number: NDArray[np.uint64]
    """Of each voice, by which it is divided."""
    at: NDArray[np.uint32]
    """Places of voices among those of the feature, group by group."""
    spare: NDArray[np.uint32]
    stack: NDArray[np.int64]
    """First, end and bit of parts still to be divided; shape (BITS + 1, 3)."""


@compiled
def room_for(voices: int) -> Room:
    """Allocate the room for up to `voices` voices of one feature."""
    return Room(
        np.empty(voices, np.uint64),
        np.empty(voices, np.uint32),
        np.empty(voices, np.uint32),
        np.empty((BITS + 1, 3), np.int64),
    )


@compiled
def write_groups(
    hash_: np.uint64,
    size: int,
    voices: NDArray[np.uint32],
    words: NDArray[np.int64],
    smallest: NDArray[np.uint32],
    names: NDArray[np.uint64],
    room: Room,
    found: NDArray[np.uint32],
    place: NDArray[np.uint32],
    before: int,
    new: NewVoices,
) -> None:
    """Write the voices of one feature to `found`, group by group, and set the places of their words.

    `size`: their number, more than MOST_TOGETHER. `voices`: the voices, ascending, and `words`, the word of each, at
    the begin of longer arrays. `smallest`, `names`: smallest hash and name of every voice. `before`: postings before
    those of the feature.
    """
    high, salt = np.uint64(0xFFFFFFFF00000000), mixed(hash_)
    for k in range(size):
        room.number[k] = (mixed(smallest[voices[k]] ^ salt) & high) | (mixed(names[voices[k]] ^ salt) >> np.uint64(32))
        room.at[k] = k
    room.stack[0, 0], room.stack[0, 1], room.stack[0, 2] = 0, size, BITS - 1
    waiting = 1
    while waiting:
        waiting -= 1
        first, end, bit = room.stack[waiting, 0], room.stack[waiting, 1], room.stack[waiting, 2]
        if end - first > MOST_TOGETHER and bit >= 0:
            if new.voices and end - first <= MOST_TOGETHER + new.voices:
                _mark_divided(words, room, first, end, new)
            middle = _divided(room, first, end, np.uint64(bit))
            for low, high_ in ((first, middle), (middle, end)):
                if low < high_:
                    room.stack[waiting, 0], room.stack[waiting, 1], room.stack[waiting, 2] = low, high_, bit - 1
                    waiting += 1
            continue
        for at in range(first, end):
            k = room.at[at]
            found[at] = voices[k] | np.uint32(GROUP) if at == first else voices[k]
            place[words[k]] = before + at


@compiled
def _divided(room: Room, first: int, end: int, bit: np.uint64) -> int:
    """Put the voices of a part without a bit before those with it, else in their order; return where these begin."""
    without, spare = first, 0
    for at in range(first, end):
        k = room.at[at]
        is_set = signed((room.number[k] >> bit) & np.uint64(1))
        room.spare[spare] = room.at[without] = k  # both, instead of a branch that no processor foresees
        spare += is_set
        without += 1 - is_set
    for k in range(spare):
        room.at[without + k] = room.spare[k]
    return without


@compiled
def _mark_divided(words: NDArray[np.int64], room: Room, first: int, end: int, new: NewVoices) -> None:
    """Mark the words of a part to be divided if it, or what it is a part of, was one group without the new voices."""
    old = 0
    for at in range(first, end):
        old += new.is_old[room.at[at]]
    if old <= MOST_TOGETHER:
        for at in range(first, end):
            new.touched[words[room.at[at]]] |= REGROUPED
