"""The index of a collection that has grown: of the features of new voices alone.

What old pieces have in common stands as it did, unless a new voice has it, too. So of a common feature only the groups
that new voices are in are listed, and only words whose weight or group has changed are looked for. The outcome for new
voices, and the standing of all words, is that of `index.build_index`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.groups import GROUP, MOST_TOGETHER, divide, room_for
from flows.ingestion.dedup.index import (
    Index,
    Standing,
    joined,
    longest_run,
    shares_of,
    smallest_hashes,
    voice_names,
)
from flows.ingestion.dedup.keys import Packing, bounds, hashes_of_new, keys_between, packing_of, voice_of, word_of
from flows.ingestion.dedup.sketches import Sketches
from tokenization.compiled import compiled

REGROUPED = np.uint8(1)
"""Bit of a word whose voice was in a group that new voices have divided."""
REWEIGHED = np.uint8(2)
"""Bit of a word whose weight has changed."""


class Growth(NamedTuple):
    """What pieces were there before; arrays of shape (n,)."""

    is_old: NDArray[np.bool_]
    """True for each piece whose features were there."""
    is_known: NDArray[np.bool_]
    """True for each of them that is not to be searched for again."""


def grow_index(sketches: Sketches, before: Standing, growth: Growth) -> Index:
    """Index the features of the voices that are not known; these alone have places.

    `before`: the standing of words without the pieces that are not old, for whose words it is that of
    `Standing.alone`; it is changed in place.
    """
    words, pieces = len(sketches.words), len(sketches.first_voice) - 1
    place, touched = np.zeros(words, np.uint32), np.zeros(words, np.uint8)
    wanted = hashes_of_new(sketches, growth.is_known)
    names, smallest, shares = voice_names(sketches), smallest_hashes(sketches), shares_of(pieces)
    packing, postings = packing_of(sketches), list[NDArray[np.uint32]]()
    count = 0
    for low, high in pairwise(bounds(sketches)):
        keys = keys_between(sketches, low, high, wanted, packing)
        keys.sort()
        given = keys, packing, sketches, growth, smallest, names, count, shares
        postings.append(_postings(*given, place, *before, touched))
        count += len(postings[-1])
    return Index(joined(postings), place, before.weight, before.depth, touched)


@compiled
def _postings(
    keys: NDArray[np.uint64],
    packing: Packing,
    sketches: Sketches,
    growth: Growth,
    smallest: NDArray[np.uint32],
    names: NDArray[np.uint64],
    before: int,
    shares: NDArray[np.uint8],
    place: NDArray[np.uint32],
    weight: NDArray[np.uint8],
    depth: NDArray[np.uint8],
    touched: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the postings of sorted keys, and set `place`, `weight`, `depth` and `touched` of words that have others.

    `before`: postings so far.
    """
    found = np.empty(len(keys), np.uint32)
    longest = longest_run(keys)
    voices, is_new, is_unknown = np.empty(longest, np.uint32), np.empty(longest, np.bool_), np.empty(longest, np.bool_)
    room = room_for(longest)
    words, start, piece_of = sketches.words, sketches.start, sketches.piece
    bits, coarse = np.uint64(packing.bits), np.uint64(packing.coarse)
    new_voice, unknown_voice = ~growth.is_old[piece_of], ~growth.is_known[piece_of]
    count = begin = 0
    while begin < len(keys):
        hash_, end = keys[begin] >> np.uint64(32), begin + 1
        while end < len(keys) and keys[end] >> np.uint64(32) == hash_:
            end += 1
        size = end - begin
        frequency, olds, unknown, last = np.int64(0), np.int64(0), np.int64(0), np.int64(-1)
        for k in range(size):
            voice = voice_of(keys[begin + k], bits)
            piece = piece_of[voice]
            voices[k], is_new[k], is_unknown[k] = voice, new_voice[voice], unknown_voice[voice]
            frequency += piece != last
            olds += piece != last and not is_new[k]
            unknown += is_unknown[k]
            last = piece
        own = keys[begin:end]
        begin = end
        if size == 1 or unknown == 0:
            continue
        share = shares[frequency]
        for k in range(size):
            if is_new[k]:
                weight[word_of(own[k], words, start, bits, coarse)] = share
            elif share != shares[olds]:
                word = word_of(own[k], words, start, bits, coarse)
                weight[word] = share
                touched[word] |= REWEIGHED
        if size <= MOST_TOGETHER:
            listed = size
            for k in range(size):
                room.at[k], room.is_first[k] = k, k == 0
        else:
            listed = divide(hash_, size, voices, smallest, names, is_new, is_unknown, room)
            for at in range(listed):
                k = room.at[at]
                if is_new[k] or room.is_regrouped[k]:
                    word = word_of(own[k], words, start, bits, coarse)
                    depth[word] = room.depth[k]
                    touched[word] |= REGROUPED
        first = 0
        while first < listed:
            after, has_unknown = first, False
            while after < listed and (after == first or not room.is_first[after]):
                has_unknown |= is_unknown[room.at[after]]
                after += 1
            if has_unknown:
                for at in range(first, after):
                    k = room.at[at]
                    found[count] = voices[k] | np.uint32(GROUP) if at == first else voices[k]
                    count += 1
                    if is_unknown[k]:
                        place[word_of(own[k], words, start, bits, coarse)] = before + count
            first = after
    return found[:count].copy()
