"""The MinHash of a piece's contours."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.fingerprint.contours import extents, voice
from tokenization.midi.notes import Notes

VERSION = 1
"""Raised with every change that alters fingerprints; only those of one version can be compared."""
SIZE = 128
"""uint32 words of a fingerprint."""
VALUES = 2 * SIZE
"""16-bit values of a fingerprint. The estimate of a similarity s has the standard deviation √(s(1 − s) / VALUES)."""

REACHES = np.array([12, 6, 2, 0])
"""Levels from coarse to fine: the number of notes on each side to which a note of the contour is compared."""
INTERVALS = np.array([3, 3, 4, 5])
"""Intervals in a feature of each level. Without wide peaks more are needed, or many tunes would share them."""
ENOUGH = 32
"""Features of a level beyond which the next finer one is thinned out."""
FEWEST = 8
"""A piece with fewer features is hashed as a whole, and is similar only to pieces with the same notes."""
INTERVAL_BITS = 8
"""Bits of one interval, −127 … 127."""


def _hash_functions() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return factors (odd) and summands of the VALUES hash functions, from SHA-256: the same on any machine."""
    words = np.frombuffer(
        b"".join(hashlib.sha256(f"fingerprint {VERSION} {i}".encode()).digest()[:8] for i in range(VALUES)), "<u4"
    ).astype(np.uint32)
    return words[::2] | np.uint32(1), words[1::2].copy()


FACTORS, SUMMANDS = _hash_functions()


def fingerprint(notes: Notes) -> NDArray[np.uint32]:
    """Return the MinHash of a piece, shape (SIZE,); equal on any machine.

    Drums are left out unless there is nothing else.
    """
    return _fingerprint(notes.onset, notes.pitch, notes.drum, REACHES, INTERVALS, FACTORS, SUMMANDS)


def similarity(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the share of equal values, 0–1, of fingerprints of shape (…, SIZE); shape (…).

    It estimates the Jaccard similarity of the two pieces' features.
    """
    share: NDArray[np.float32] = np.mean(values(left) == values(right), axis=-1, dtype=np.float32)
    return share


def values(fingerprints: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Return the 16-bit values of fingerprints of shape (…, SIZE): a view of shape (…, VALUES)."""
    return np.ascontiguousarray(fingerprints).view(np.uint16)


@compiled
def _fingerprint(
    onset: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    drum: NDArray[np.bool_],
    reaches: NDArray[np.int64],
    lengths: NDArray[np.int64],
    factors: NDArray[np.uint32],
    summands: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Return the packed minima of the features of all levels."""
    keys, only_drums = voice(onset, pitch, drum)
    highest = extents(keys, 1, reaches[0])
    lowest = extents(keys, -1, reaches[0])
    capacity = 16
    while capacity < 4 * len(keys):
        capacity *= 2
    # An open-addressing table of the current level's features; `levels` is 1 + the level for which a place is taken.
    table = np.empty(capacity, np.uint64)
    levels = np.zeros(capacity, np.uint8)
    minima = np.full(len(factors), 0xFFFFFFFF, np.uint32)
    kept = 0
    rate = 1.0
    for level in range(len(reaches)):
        reach, length = reaches[level], lengths[level]
        is_last = level == len(reaches) - 1
        history = np.uint64((1 << (INTERVAL_BITS * length)) - 1)
        limit = np.uint64(rate * 4294967296.0)
        distinct = 0
        for side in range(1 if reach == 0 else 2):
            peaks = highest if side == 0 else lowest
            salt = np.uint64(2 * level + side + (64 if only_drums else 0)) << np.uint64(56)
            run = np.uint64(0)
            seen = 0
            last = np.int64(0)
            for i in range(len(keys)):
                if peaks[i] < reach or (reach > 0 and seen > 0 and keys[i] == last):
                    continue
                run = ((run << np.uint64(INTERVAL_BITS)) | np.uint64(keys[i] - last + 128)) & history
                last = keys[i]
                seen += 1
                if seen <= length:
                    continue
                feature = _mixed(run | salt)
                is_kept = (feature >> np.uint64(32)) < limit
                # The rate must not depend on which features are kept, so all of a level are counted, except for the
                # last one, after which nothing comes.
                if (is_last and not is_kept) or not _is_new(feature, level + 1, table, levels):
                    continue
                distinct += 1
                if is_kept:
                    kept += 1
                    _lower(minima, np.uint32(feature & np.uint64(0xFFFFFFFF)), factors, summands)
        share = ENOUGH / max(distinct, 1)
        rate = min(rate, share * share)
    if kept < FEWEST:
        minima[:] = 0xFFFFFFFF
        _lower(minima, np.uint32(_whole(keys, only_drums) & np.uint64(0xFFFFFFFF)), factors, summands)
    low = minima & np.uint32(0xFFFF)
    return low[::2] | (low[1::2] << np.uint32(16))


@compiled
def _mixed(x: np.uint64) -> np.uint64:
    """Return a bijective mix of all bits (the finaliser of MurmurHash3, A. Appleby)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    x ^= x >> np.uint64(33)
    return x


@compiled
def _is_new(feature: np.uint64, level: int, table: NDArray[np.uint64], levels: NDArray[np.uint8]) -> bool:
    """Put a feature into the table of its level; return False if it was there already."""
    mask = np.uint64(len(table) - 1)
    place = feature & mask
    while levels[place] == level and table[place] != feature:
        place = (place + np.uint64(1)) & mask
    if levels[place] == level:
        return False
    levels[place] = level
    table[place] = feature
    return True


@compiled
def _whole(keys: NDArray[np.int64], only_drums: bool) -> np.uint64:
    """Return the hash of all notes together, relative to the first one."""
    whole = np.uint64(64 if only_drums else 0)
    for i in range(len(keys)):
        whole = _mixed(whole ^ (np.uint64(keys[i] - keys[0] + 128) + np.uint64(256)))
    return whole


@compiled
def _lower(
    minima: NDArray[np.uint32], feature: np.uint32, factors: NDArray[np.uint32], summands: NDArray[np.uint32]
) -> None:
    """Lower each minimum to the feature's value under its hash function."""
    for slot in range(len(minima)):
        value = np.uint32(np.uint32(factors[slot] * feature) + summands[slot])
        minima[slot] = min(minima[slot], value)
