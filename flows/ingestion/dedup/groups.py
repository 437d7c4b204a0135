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
HIGH = 0xFFFFFFFF00000000
"""The bits of a number that come from the smallest hash."""
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
    edge: NDArray[np.int64]
    """Where each bucket begins, and the last one ends."""
    stack: NDArray[np.int64]
    """First bucket, number of buckets, first, end and bit of parts still to be divided; shape (BITS + 1, 5)."""


@compiled
def room_for(voices: int) -> Room:
    """Allocate the room for up to `voices` voices of one feature."""
    return Room(
        np.empty(voices, np.uint64),
        np.empty(voices, np.uint32),
        np.empty(voices, np.uint32),
        np.empty(2 * voices // MOST_TOGETHER + 3, np.int64),
        np.empty((BITS + 1, 5), np.int64),
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
    salt = mixed(hash_)
    for k in range(size):
        room.number[k] = mixed(smallest[voices[k]] ^ salt) & np.uint64(HIGH)
    bits = _put_in_buckets(room, size)
    stack, waiting = room.stack, 1
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3], stack[0, 4] = 0, 1 << bits, 0, size, BITS - 1
    while waiting:
        waiting -= 1
        bucket, buckets, bit = stack[waiting, 0], stack[waiting, 1], stack[waiting, 4]
        first, end = stack[waiting, 2], stack[waiting, 3]
        if end - first > MOST_TOGETHER and bit >= 0:
            if new.voices and end - first <= MOST_TOGETHER + new.voices:
                _mark_divided(words, room, first, end, new)
            half = buckets // 2
            if half:
                middle = room.edge[bucket + half]
            else:
                if bit == BITS // 2 - 1:  # few get so far
                    for at in range(first, end):
                        room.number[room.at[at]] |= mixed(names[voices[room.at[at]]] ^ salt) >> np.uint64(32)
                middle = _divided(room, first, end, np.uint64(bit))
            for part, low, high in ((bucket, first, middle), (bucket + half, middle, end)):
                if low < high:
                    stack[waiting, 0], stack[waiting, 1], stack[waiting, 4] = part, half, bit - 1
                    stack[waiting, 2], stack[waiting, 3] = low, high
                    waiting += 1
            continue
        if buckets > 1:
            _sort(room.at, first, end)
        for at in range(first, end):
            k = room.at[at]
            found[at] = voices[k] | np.uint32(GROUP) if at == first else voices[k]
            place[words[k]] = before + at


@compiled
def _put_in_buckets(room: Room, size: int) -> int:
    """Divide voices by so many first bits of their numbers that about MOST_TOGETHER are left; return how many bits.

    This spares as many passes over all of them. In each bucket the voices ascend.
    """
    bits = 0
    while size >> bits > MOST_TOGETHER:
        bits += 1
    shift, edge = np.uint64(BITS - bits), room.edge
    edge[: (1 << bits) + 1] = 0
    for k in range(size):
        edge[(room.number[k] >> shift) + np.uint64(1)] += 1
    for bucket in range(1 << bits):
        edge[bucket + 1] += edge[bucket]
    for k in range(size - 1, -1, -1):  # from the last, so that edges end where they begin
        bucket = (room.number[k] >> shift) + np.uint64(1)
        edge[bucket] -= 1
        room.at[edge[bucket]] = k
    for bucket in range(1 << bits):
        edge[bucket] = edge[bucket + 1]
    edge[1 << bits] = size
    return bits


@compiled
def _sort(numbers: NDArray[np.uint32], first: int, end: int) -> None:
    """Sort a few numbers that are nearly sorted, in place."""
    for at in range(first + 1, end):
        number, to = numbers[at], at
        while to > first and numbers[to - 1] > number:
            numbers[to] = numbers[to - 1]
            to -= 1
        numbers[to] = number


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
