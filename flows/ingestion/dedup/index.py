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

from flows.ingestion.dedup.groups import GROUP, MOST_TOGETHER, NewVoices, room_for, write_groups
from flows.ingestion.dedup.sketches import Sketches, mixed
from tokenization.compiled import compiled

PRIOR = 1000
"""Pieces that are imagined beside those at hand, so that few files do not make every common feature worthless."""
ALONE = 0xFFFFFFFF
"""Place of an entry whose hash no other voice has."""
WITHIN = 1.75
"""Octaves above 1 of the number of pieces that the first class of numbers, 2 to 7, counts as."""
SLICE = 1 << 24
"""Entries that are sorted at a time: what is needed besides the index stays small."""
SAMPLE = 1 << 16
"""Entries by which the slices are bounded."""
REWEIGHED = np.uint8(2)
"""Bit of a word whose weight has changed."""


class Index(NamedTuple):
    """The features that several voices have; p postings."""

    posting: NDArray[np.uint32]
    """Voices by hash and group (see `groups`), ascending in each, the first with the bit GROUP; shape (p,)."""
    place: NDArray[np.uint32]
    """The place in `posting` of each word, or ALONE; shape (w,)."""
    weight: NDArray[np.uint8]
    """Weight of each word, in 255ths; shape (w,)."""
    touched: NDArray[np.uint8]
    """For each word REWEIGHED and REGROUPED, as far as the new pieces did that; shape (w,), or (0,) where all pieces
    are new."""


def build_index(sketches: Sketches, is_old: NDArray[np.bool_] | None = None) -> Index:
    """Index the features of all voices. Needs up to 10 bytes an entry, and 16 for each of SLICE entries on the way.

    `is_old`: True for pieces that were there before the others came; shape (n,).
    """
    words, pieces = len(sketches.words), len(sketches.first_voice) - 1
    place = np.full(words, ALONE, np.uint32)
    weight = np.full(words, 255, np.uint8)
    touched = np.zeros(0 if is_old is None else words, np.uint8)
    old = np.zeros(0, np.bool_) if is_old is None else is_old
    smallest = (sketches.words[sketches.start] >> np.uint64(32)).astype(np.uint32)
    names = voice_names(sketches)
    shares = _shares(pieces)
    postings: list[NDArray[np.uint32]] = []
    before = 0
    for low, high in pairwise(_bounds(sketches)):
        keys, firsts = _keys(sketches, low, high)
        keys.sort()  # in place: fresh memory takes as long as the sort
        postings.append(
            _postings(keys, firsts, sketches.piece, smallest, names, before, shares, old, place, weight, touched)
        )
        before += len(postings[-1])
    return Index(postings[0] if len(postings) == 1 else np.concatenate(postings), place, weight, touched)


def size_class(pieces: int) -> int:
    """Return the class of a number of pieces: the weights of two collections of one class are comparable."""
    return round(float(np.log2(pieces + PRIOR)))


def _shares(pieces: int) -> NDArray[np.uint8]:
    """Return the weight of features by the number of pieces that have them, up to `pieces`, in 255ths.

    2 to 7 pieces count as one number, 8 to 31, and so on.
    """
    octaves = np.log2(np.maximum(np.arange(pieces + 1), 1))
    frequency = np.where(octaves >= 1, 2 * np.floor((octaves - 1) / 2) + WITHIN, 0.0)
    return (255.0 * np.maximum(1.0 - frequency / size_class(pieces), 0.0) + 0.5).astype(np.uint8)


def _bounds(sketches: Sketches) -> NDArray[np.uint64]:
    """Return hashes that bound slices of about SLICE entries, 0 the first and 2³² the last."""
    entries = int((sketches.end - sketches.start).sum())
    parts = max(-(-entries // SLICE), 1)
    sample = sketches.words[:: max(len(sketches.words) // SAMPLE, 1)] >> np.uint64(32)
    inner = np.quantile(sample, np.arange(1, parts) / parts) if parts > 1 else np.zeros(0)
    return np.concatenate([[0], inner, [2**32]]).astype(np.uint64)


@compiled
def voice_names(sketches: Sketches) -> NDArray[np.uint64]:
    """Return a number of each voice that depends on the features of its piece alone; shape (v,)."""
    names = np.empty(len(sketches.piece), np.uint64)
    for voice in range(len(names)):
        piece = sketches.piece[voice]
        names[voice] = mixed(sketches.features[piece] + np.uint64(voice - sketches.first_voice[piece]))
    return names


@compiled
def _keys(sketches: Sketches, low: np.uint64, high: np.uint64) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return hash (high half) and voice (low half) of the entries with a hash in [low, high).

    Returns also the first word of each voice that is one of them.
    """
    count = 0
    firsts, lasts = np.empty(len(sketches.start), np.int64), np.empty(len(sketches.start), np.int64)
    for voice in range(len(sketches.start)):
        first = sketches.start[voice]
        while first < sketches.end[voice] and sketches.words[first] >> np.uint64(32) < low:
            first += 1
        last = first
        while last < sketches.end[voice] and sketches.words[last] >> np.uint64(32) < high:
            last += 1
        firsts[voice], lasts[voice] = first, last
        count += last - first
    keys = np.empty(count, np.uint64)
    count = 0
    for voice in range(len(sketches.start)):
        for word in range(firsts[voice], lasts[voice]):
            keys[count] = (sketches.words[word] >> np.uint64(32)) << np.uint64(32) | np.uint64(voice)
            count += 1
    return keys, firsts


@compiled
def _postings(
    keys: NDArray[np.uint64],
    next_word: NDArray[np.int64],
    piece_of: NDArray[np.int64],
    smallest: NDArray[np.uint32],
    names: NDArray[np.uint64],
    before: int,
    shares: NDArray[np.uint8],
    old: NDArray[np.bool_],
    place: NDArray[np.uint32],
    weight: NDArray[np.uint8],
    touched: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the postings of sorted keys, and set `place`, `weight` and, unless it is empty, `touched` of their words.

    `next_word`: the first word of each voice that has a key; a voice's words ascend as its keys do, so here it moves on
    with each. `before`: postings so far.
    """
    found = np.empty(len(keys), np.uint32)
    longest = _longest_run(keys)
    voices, words, is_old = np.empty(longest, np.uint32), np.empty(longest, np.int64), np.ones(longest, np.bool_)
    room = room_for(longest)
    count = begin = 0
    has_old = len(touched) > 0
    while begin < len(keys):
        hash_, end = keys[begin] >> np.uint64(32), begin + 1
        while end < len(keys) and keys[end] >> np.uint64(32) == hash_:
            end += 1
        size = end - begin
        if size == 1:
            next_word[keys[begin] & np.uint64(0xFFFFFFFF)] += 1
            begin = end
            continue
        frequency, olds, new_voices, last = np.int64(0), np.int64(0), np.int64(0), np.int64(-1)
        for k in range(size):
            voice = np.int64(keys[begin + k] & np.uint64(0xFFFFFFFF))
            voices[k], words[k] = voice, next_word[voice]
            next_word[voice] += 1
            piece = piece_of[voice]
            if has_old:
                is_old[k] = old[piece]
                new_voices += not old[piece]
                olds += piece != last and old[piece]
            frequency += piece != last
            last = piece
        if size <= MOST_TOGETHER:  # as nearly always: a call would take longer than this
            for k in range(size):
                found[count + k] = voices[k]
                place[words[k]] = before + count + k
            found[count] |= np.uint32(GROUP)
        else:
            came = NewVoices(is_old, int(new_voices), touched)
            write_groups(hash_, size, voices, words, smallest, names, room, found[count:], place, before + count, came)
        share = shares[frequency]
        for k in range(size):
            weight[words[k]] = share
        if new_voices and share != shares[olds]:
            for k in range(size):
                touched[words[k]] |= REWEIGHED
        count += size
        begin = end
    return found[:count].copy()


@compiled
def _longest_run(keys: NDArray[np.uint64]) -> int:
    """Return the most keys of one hash."""
    longest = begin = 0
    for k in range(len(keys)):
        if keys[k] >> np.uint64(32) != keys[begin] >> np.uint64(32):
            begin = k
        longest = max(longest, k + 1 - begin)
    return longest
