"""The groups in which the voices with one feature stand in the index: within a group they count as sharing it.

There is one group as a rule. Of a common feature a sample of the pairs is seen: its voices are divided in two, by one
bit of a number of each, until no part has more than MOST_TOGETHER (a binary trie). The number begins with a hash of the
voice's own smallest hash and ends with one of its content, both drawn anew for each feature. So versions of one piece,
which mostly have one smallest hash, stay together while there is room, other pairs meet in some features and not in
others, and groups do not depend on the order of pieces. As further pieces come, groups are only ever divided.

The *depth* of a group is the number of bits by which it was divided from the others, 0 where there is one. Voices with
the same first bits, as many as that, are in one group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import Sketches, mixed, signed
from tokenization.compiled import compiled

MOST_TOGETHER = 24
"""The most voices of a group."""
GROUP = 0x80000000
"""Bit of a posting that begins another group."""
HIGH = 0xFFFFFFFF00000000
"""The bits of a number that come from the smallest hash."""
BITS = 64
"""Bits by which voices are divided. Those of equal numbers, which no collection has, would share a larger group."""


class Room(NamedTuple):
    """Room for dividing the voices of one feature. Arrays of voices have the size of the most voices that one has.

    *Buckets* are the parts by so many first bits of the numbers that about MOST_TOGETHER voices are in each.
    """

    number: NDArray[np.uint64]
    """Of each voice, by which it is divided."""
    at: NDArray[np.uint32]
    """Places of voices among those of the feature, group by group."""
    depth: NDArray[np.uint8]
    """Depth of the group of each voice."""
    is_first: NDArray[np.bool_]
    """True where a group begins in `at`."""
    is_regrouped: NDArray[np.bool_]
    """True for each voice in a part of what was one group without the new voices."""
    spare: NDArray[np.uint32]
    edge: NDArray[np.int64]
    """Of each bucket, where its voices begin in `at`."""
    filled: NDArray[np.int64]
    """Of each bucket, its voices, and later the end of those in `at`."""
    old: NDArray[np.int64]
    """Old voices before each bucket, and of all."""
    is_wanted: NDArray[np.bool_]
    """True for each bucket that is to be divided."""
    stack: NDArray[np.int64]
    """First bucket, number of buckets, first, end and bit of parts still to be divided, and 1 if it has divided an old
    group; shape (BITS + 1, 6)."""


@compiled
def room_for(voices: int) -> Room:
    """Allocate the room for up to `voices` voices of one feature."""
    buckets = 2 * voices // MOST_TOGETHER + 3
    return Room(
        np.empty(voices, np.uint64),
        np.empty(voices, np.uint32),
        np.empty(voices, np.uint8),
        np.empty(voices, np.bool_),
        np.empty(voices, np.bool_),
        np.empty(voices, np.uint32),
        np.empty(buckets, np.int64),
        np.empty(buckets, np.int64),
        np.empty(buckets, np.int64),
        np.empty(buckets, np.bool_),
        np.empty((BITS + 1, 6), np.int64),
    )


@compiled
def divide(
    hash_: np.uint64,
    size: int,
    voices: NDArray[np.uint32],
    smallest: NDArray[np.uint32],
    names: NDArray[np.uint64],
    is_new: NDArray[np.bool_],
    is_wanted: NDArray[np.bool_],
    room: Room,
) -> int:
    """Divide the voices of one feature into groups: set `at`, `depth`, `is_first` and `is_regrouped` of `room`.

    `size`: their number, more than MOST_TOGETHER. `voices`: the voices, ascending, at the begin of a longer array, as
    are `is_new`, True for those that came after the others, and `is_wanted`, True for those whose groups are wanted.
    All new ones are. `smallest`, `names`: smallest hash and name of every voice.

    Returns the number of voices in `at`: those of wanted groups and of what was divided, and some others.
    """
    salt, number = mixed(hash_), room.number
    for k in range(size):
        number[k] = mixed(smallest[voices[k]] ^ salt) & np.uint64(HIGH)
    bits = _put_in_buckets(room, size, is_new, is_wanted)
    new = size - room.old[1 << bits]
    stack, bucket, end = room.stack, 0, 0
    while bucket < 1 << bits:
        if not room.is_wanted[bucket]:
            bucket += 1
            continue
        levels = _levels(room.old, bucket, bits)
        first, end = end, room.filled[bucket + (1 << levels) - 1]
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = bucket, 1 << levels, first, end
        stack[0, 4], stack[0, 5] = BITS - 1 - bits + levels, 0
        _divide_part(salt, voices, names, is_new, new, room)
        bucket += 1 << levels
    return end


@compiled
def _put_in_buckets(room: Room, size: int, is_new: NDArray[np.bool_], is_wanted: NDArray[np.bool_]) -> int:
    """Put voices in buckets, in each of which they ascend; return the bits by which these are divided.

    This spares as many passes over all voices. Left out are buckets that are no part of a group, as these were without
    the new voices, in which there is a wanted voice.
    """
    number, at, edge = room.number, room.at, room.edge
    filled, old, wanted = room.filled, room.old, room.is_wanted
    bits = 0
    while size >> bits > MOST_TOGETHER:
        bits += 1
    buckets, shift = 1 << bits, np.uint64(BITS - bits)
    filled[:buckets], old[: buckets + 1], wanted[:buckets] = 0, 0, False
    for k in range(size):
        bucket = number[k] >> shift
        filled[bucket] += 1
        old[bucket + np.uint64(1)] += not is_new[k]
        wanted[bucket] |= is_wanted[k]
    for bucket in range(buckets):
        old[bucket + 1] += old[bucket]
    bucket = 0
    while bucket < buckets:
        if wanted[bucket]:
            part = 1 << _levels(old, bucket, bits)
            bucket -= bucket % part
            wanted[bucket : bucket + part] = True
            bucket += part
        else:
            bucket += 1
    end = 0
    for bucket in range(buckets):
        if wanted[bucket]:
            edge[bucket] = end
            end += filled[bucket]
            filled[bucket] = edge[bucket]
    for k in range(size):
        bucket = np.int64(number[k] >> shift)
        if wanted[bucket]:
            at[filled[bucket]] = k
            filled[bucket] += 1
    return bits


@compiled
def _levels(old: NDArray[np.int64], bucket: int, bits: int) -> int:
    """Return how many bits fewer than a bucket the group has that it is a part of, as this was without new voices.

    `old`: of `Room`, of which only what is needed is handed to what is called this often: each array takes its time.
    """
    levels = 0
    while levels < bits:
        part = 2 << levels
        first = bucket - bucket % part
        if old[first + part] - old[first] > MOST_TOGETHER:
            break
        levels += 1
    return levels


@compiled
def _divide_part(
    salt: np.uint64,
    voices: NDArray[np.uint32],
    names: NDArray[np.uint64],
    is_new: NDArray[np.bool_],
    new: int,
    room: Room,
) -> None:
    """Divide the part on the stack. `new`: the number of new voices."""
    stack, waiting = room.stack, 1
    number, at, spare, edge = room.number, room.at, room.spare, room.edge
    depth, is_first, is_regrouped = room.depth, room.is_first, room.is_regrouped
    while waiting:
        waiting -= 1
        bucket, buckets, bit = stack[waiting, 0], stack[waiting, 1], stack[waiting, 4]
        first, end, is_part = stack[waiting, 2], stack[waiting, 3], stack[waiting, 5]
        if end - first > MOST_TOGETHER and bit >= 0:
            if new and not is_part and end - first <= MOST_TOGETHER + new:
                is_part = np.int64(_old(at, first, end, is_new) <= MOST_TOGETHER)
            half = buckets // 2
            if half:
                middle = edge[bucket + half]
            else:
                if bit == BITS // 2 - 1:  # few get so far
                    for place in range(first, end):
                        number[at[place]] |= mixed(names[voices[at[place]]] ^ salt) >> np.uint64(32)
                middle = _divided(number, at, spare, first, end, np.uint64(bit))
            for part, low, high in ((bucket, first, middle), (bucket + half, middle, end)):
                if low < high:
                    stack[waiting, 0], stack[waiting, 1], stack[waiting, 4] = part, half, bit - 1
                    stack[waiting, 2], stack[waiting, 3], stack[waiting, 5] = low, high, is_part
                    waiting += 1
            continue
        if buckets > 1:
            _sort(at, first, end)
        for place in range(first, end):
            k = at[place]
            depth[k] = BITS - 1 - bit
            is_first[place] = place == first
            is_regrouped[k] = is_part


@compiled
def _old(at: NDArray[np.uint32], first: int, end: int, is_new: NDArray[np.bool_]) -> int:
    """Return the number of voices of a part that are not new."""
    old = 0
    for place in range(first, end):
        old += not is_new[at[place]]
    return old


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
def _divided(
    number: NDArray[np.uint64],
    at: NDArray[np.uint32],
    spare: NDArray[np.uint32],
    first: int,
    end: int,
    bit: np.uint64,
) -> int:
    """Put the voices of a part without a bit before those with it, else in their order; return where these begin.

    `number`, `at`, `spare`: of `Room`.
    """
    without, aside = first, 0
    for place in range(first, end):
        k = at[place]
        is_set = signed((number[k] >> bit) & np.uint64(1))
        spare[aside] = at[without] = k  # both, instead of a branch that no processor foresees
        aside += is_set
        without += 1 - is_set
    for k in range(aside):
        at[without + k] = spare[k]
    return without


@compiled
def are_together(
    hash_: np.uint64, depth: int, one: int, other: int, sketches: Sketches, names: NDArray[np.uint64]
) -> bool:
    """Return True if two voices that have a feature, in groups of one depth, are in the same group of it.

    `names`: name of every voice.
    """
    if depth == 0:
        return True
    salt, low = mixed(hash_), np.uint64(32)
    left, right = sketches.words[sketches.start[one]] >> low, sketches.words[sketches.start[other]] >> low
    differing = (mixed(left ^ salt) ^ mixed(right ^ salt)) & np.uint64(HIGH)
    if depth > BITS // 2:
        differing |= (mixed(names[one] ^ salt) ^ mixed(names[other] ^ salt)) >> low
    return bool(differing >> np.uint64(BITS - depth) == 0)
