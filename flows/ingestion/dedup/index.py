"""The index of the features of many sketches: the voices that have each, and its weight.

A feature's weight is 1 if no other piece has it and falls with the logarithm of the number of pieces that do (inverse
document frequency), so scales, templates and drum loops weigh little. That number counts by its class alone, a factor
of four wide, and the number of all pieces by its octave: so few weights change as a collection grows, and until it has
about doubled none rises.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.groups import GROUP, MOST_TOGETHER, divide, room_for
from flows.ingestion.dedup.keys import EVERYTHING, Packing, bounds, keys_between, packing_of, voice_of, word_of
from flows.ingestion.dedup.sketches import Sketches, mixed
from tokenization.compiled import compiled

PRIOR = 1000
"""Pieces that are imagined beside those at hand, so that few files do not make every common feature worthless."""
ALONE = 0
"""Place of a word whose hash no other voice has."""
WITHIN = 1.75
"""Octaves above 1 of the number of pieces that the first class of numbers, 2 to 7, counts as."""


class Standing(NamedTuple):
    """All that the search asks of the features of old voices; arrays of shape (w,), as the words of `Sketches`."""

    weight: NDArray[np.uint8]
    """Weight of each word, in 255ths."""
    depth: NDArray[np.uint8]
    """Depth of the group that the voice of each word is in for its feature (see `groups`)."""

    @classmethod
    def alone(cls, words: int) -> Standing:
        """Return the standing of words whose features no other voice has."""
        return cls(np.full(words, 255, np.uint8), np.zeros(words, np.uint8))


class Index(NamedTuple):
    """The features that several voices have; p postings, w words."""

    posting: NDArray[np.uint32]
    """Voices by hash and group (see `groups`), ascending in each, the first with the bit GROUP; shape (p,)."""
    place: NDArray[np.uint32]
    """The place in `posting` of each word, from 1 on, or ALONE; shape (w,). Pages without places take no memory."""
    weight: NDArray[np.uint8]
    """As in `Standing`."""
    depth: NDArray[np.uint8]
    touched: NDArray[np.uint8]
    """For each word REWEIGHED and REGROUPED, as far as new pieces did that (see `grown_index`); shape (w,), or (0,)
    where all pieces are new."""


def build_index(sketches: Sketches) -> Index:
    """Index the features of all voices. Needs up to 11 bytes an entry, and 16 for each of SLICE entries on the way."""
    words, pieces = len(sketches.words), len(sketches.first_voice) - 1
    place = np.zeros(words, np.uint32)
    weight, depth = Standing.alone(words)
    names, smallest, shares = voice_names(sketches), smallest_hashes(sketches), shares_of(pieces)
    packing, postings = packing_of(sketches), list[NDArray[np.uint32]]()
    count = 0
    for low, high in pairwise(bounds(sketches)):
        keys = keys_between(sketches, low, high, EVERYTHING, packing)
        keys.sort()  # in place: fresh memory takes as long as the sort
        given = keys, packing, sketches, smallest, names, count, shares
        postings.append(_postings(*given, place, weight, depth))
        count += len(postings[-1])
    return Index(joined(postings), place, weight, depth, np.zeros(0, np.uint8))


def joined(parts: list[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Return the parts as one array; a single one is not copied, others are taken out of their list one by one."""
    if len(parts) == 1:
        return parts[0]
    whole = np.empty(sum(map(len, parts)), np.uint32)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def size_class(pieces: int) -> int:
    """Return the class of a number of pieces: the weights of two collections of one class are comparable."""
    return round(float(np.log2(pieces + PRIOR)))


def shares_of(pieces: int) -> NDArray[np.uint8]:
    """Return the weight of features by the number of pieces that have them, up to `pieces`, in 255ths.

    2 to 7 pieces count as one number, 8 to 31, and so on.
    """
    octaves = np.log2(np.maximum(np.arange(pieces + 1), 1))
    frequency = np.where(octaves >= 1, 2 * np.floor((octaves - 1) / 2) + WITHIN, 0.0)
    return (255.0 * np.maximum(1.0 - frequency / size_class(pieces), 0.0) + 0.5).astype(np.uint8)


def smallest_hashes(sketches: Sketches) -> NDArray[np.uint32]:
    """Return the smallest hash of each voice; shape (v,)."""
    return (sketches.words[sketches.start] >> np.uint64(32)).astype(np.uint32)


@compiled
def voice_names(sketches: Sketches) -> NDArray[np.uint64]:
    """Return a number of each voice that depends on the features of its piece alone; shape (v,)."""
    names = np.empty(len(sketches.piece), np.uint64)
    for voice in range(len(names)):
        piece = sketches.piece[voice]
        names[voice] = mixed(sketches.features[piece] + np.uint64(voice - sketches.first_voice[piece]))
    return names


@compiled
def _postings(
    keys: NDArray[np.uint64],
    packing: Packing,
    sketches: Sketches,
    smallest: NDArray[np.uint32],
    names: NDArray[np.uint64],
    before: int,
    shares: NDArray[np.uint8],
    place: NDArray[np.uint32],
    weight: NDArray[np.uint8],
    depth: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the postings of sorted keys, and set `place`, `weight` and `depth` of their words.

    `before`: postings so far.
    """
    found = np.empty(len(keys), np.uint32)
    longest = longest_run(keys)
    voices, words = np.empty(longest, np.uint32), np.empty(longest, np.int64)
    all_words, start, piece_of = sketches.words, sketches.start, sketches.piece
    bits, coarse = np.uint64(packing.bits), np.uint64(packing.coarse)
    room, nothing, everything = room_for(longest), np.zeros(longest, np.bool_), np.ones(longest, np.bool_)
    count = begin = 0
    while begin < len(keys):
        hash_, end = keys[begin] >> np.uint64(32), begin + 1
        while end < len(keys) and keys[end] >> np.uint64(32) == hash_:
            end += 1
        size = end - begin
        if size == 1:
            begin = end
            continue
        frequency, last = np.int64(0), np.int64(-1)
        for k in range(size):
            voice = voice_of(keys[begin + k], bits)
            voices[k], words[k] = voice, word_of(keys[begin + k], all_words, start, bits, coarse)
            frequency += piece_of[voice] != last
            last = piece_of[voice]
        if size <= MOST_TOGETHER:  # as nearly always: a call would take longer than this
            for k in range(size):
                found[count + k] = voices[k]
                place[words[k]] = before + count + k + 1
            found[count] |= np.uint32(GROUP)
        else:
            divide(hash_, size, voices, smallest, names, nothing, everything, room)
            for at in range(size):
                k = room.at[at]
                found[count + at] = voices[k] | np.uint32(GROUP) if room.is_first[at] else voices[k]
                place[words[k]] = before + count + at + 1
                depth[words[k]] = room.depth[k]
        for k in range(size):
            weight[words[k]] = shares[frequency]
        count += size
        begin = end
    return found[:count].copy()


@compiled
def longest_run(keys: NDArray[np.uint64]) -> int:
    """Return the most keys of one hash."""
    longest = begin = 0
    for k in range(len(keys)):
        if keys[k] >> np.uint64(32) != keys[begin] >> np.uint64(32):
            begin = k
        longest = max(longest, k + 1 - begin)
    return longest
