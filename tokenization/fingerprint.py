"""Fingerprints: what stays of a piece when it is transposed, re-timed, re-orchestrated, quantised or cut.

`note_hash` is equal for equal notes only. `fingerprint` is a MinHash (Broder, "On the resemblance and containment of
documents", 1997): the share of equal values in two fingerprints estimates how much of their features two pieces share.
Of each least value only the low 16 bits are kept (Li, König, "b-bit minwise hashing", 2010), two in a word: chance
makes one value in 65,536 equal, and a word is what two pieces must have in common to be compared at all.

A feature is a short run of pitch intervals along a contour of the piece. All pitched notes count as one voice, in
order of onset, chords from the lowest to the highest note; instruments, velocities and durations are not looked at.
A contour is made of the notes that are the highest (another contour: the lowest) among the `reach` notes before and
after them; equal neighbours in it count once. Windows are counted in notes, not in seconds: the contour is the same at
any tempo, and notes that a quantiser moves by a place or two seldom change it.

    reach 12, 6   the coarse outline: survives quantisation of free playing and different performances of one score
    reach 2       finer; for pieces with too few wide peaks
    reach 0       every note; for short tunes

Fine levels are full of features that quantising or dropping notes destroys, so only as many of them are kept as the
coarser levels leave wanting: a feature is kept if its hash is under a rate that falls smoothly with the number of
features of the next coarser level. A rate, not a switch: two pieces of almost equal size keep almost the same.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import Notes

VERSION = 1
"""To be raised with every change that alters fingerprints; only those of one version can be compared."""
SIZE = 128
"""uint32 words of a fingerprint."""
VALUES = 2 * SIZE
"""16-bit values of a fingerprint. The estimate of a similarity s has the standard deviation √(s(1 − s) / VALUES)."""

REACHES = np.array([12, 6, 2, 0])
"""Levels from coarse to fine: to how many notes on each side a note of the contour is compared."""
INTERVALS = np.array([3, 3, 4, 5])
"""Intervals in a feature of each level. Without wide peaks more are needed, else many tunes share them."""
ENOUGH = 32
"""Features of a level beyond which the next finer one is thinned out."""
FEWEST = 8
"""A piece with fewer features is known by all its notes together, and is similar only to pieces with the same."""
CHORD = 2**0.5 / 5
"""What begins within this share of the piece's mean distance between notes is one chord: parts that are not quite
together. The share is irrational, so that no distance in a score equals it, whatever the tempo."""
HASH_STEP = 1e-3
"""Seconds; note hashes do not see differences much smaller than this."""
HASH_OFFSET = (3 - 5**0.5) / 2
"""Where within a step its boundary lies. Times in files are fractions of a beat, which this is farthest from."""

INTERVAL_BITS = 8
"""Bits of one interval, −127 … 127."""


def _slot_functions() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors (odd) and summands of the VALUES hash functions, from SHA-256: the same on any machine."""
    words = np.frombuffer(
        b"".join(hashlib.sha256(f"fingerprint {VERSION} {i}".encode()).digest()[:8] for i in range(VALUES)), "<u4"
    ).astype(np.uint32)
    return words[::2] | np.uint32(1), words[1::2].copy()


FACTORS, SUMMANDS = _slot_functions()


def fingerprint(notes: Notes) -> NDArray[np.uint32]:
    """The MinHash of a piece, shape (SIZE,); equal on any machine. Drums are left out unless there is nothing else."""
    return _fingerprint(notes.onset, notes.pitch, notes.drum, REACHES, INTERVALS, FACTORS, SUMMANDS, CHORD)


def similarity(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.float32]:
    """The share of equal values, 0–1, of fingerprints of shape (…, SIZE): the estimated Jaccard similarity of their
    features, shape (…)."""
    share: NDArray[np.float32] = np.mean(values(left) == values(right), axis=-1, dtype=np.float32)
    return share


def values(fingerprints: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """The 16-bit values of fingerprints of shape (…, SIZE): a view of shape (…, VALUES)."""
    return np.ascontiguousarray(fingerprints).view(np.uint16)


def note_hash(notes: Notes) -> str:
    """SHA-256, in hexadecimal digits, of the music: equal for the same onsets (from the first one), durations,
    pitches, velocities and instruments in any order of tracks. Times are compared in steps of HASH_STEP."""
    keys, durations, is_sorted = _canonical(
        notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum
    )
    if not is_sorted:
        order = np.lexsort((durations, keys))
        keys, durations = keys[order], durations[order]
    digest = hashlib.sha256(keys.astype("<u8", copy=False).tobytes())
    digest.update(durations.astype("<u4", copy=False).tobytes())
    return digest.hexdigest()


@compiled
def _canonical(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    velocity: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], bool]:
    """Each note as a number that sorts by time, and its duration in steps; whether they are sorted."""
    n = len(onset)
    keys = np.empty(n, np.uint64)
    durations = np.empty(n, np.uint32)
    for i in range(n):
        step = np.uint64(np.floor((onset[i] - onset[0]) / HASH_STEP + HASH_OFFSET))
        instrument = np.uint64(128) if drum[i] else np.uint64(program[i])
        key = (
            (step << np.uint64(22))
            | (np.uint64(pitch[i]) << np.uint64(15))
            | (instrument << np.uint64(7))
            | np.uint64(velocity[i])
        )
        keys[i] = key
        durations[i] = np.uint32(min(np.floor(duration[i] / HASH_STEP + HASH_OFFSET), 4294967295.0))
    # Nearly sorted: each note moves back a few places. Where it would be many, sorting is left to the caller
    moves = 8 * n
    for i in range(1, n):
        key, length = keys[i], durations[i]
        place = i
        while place and moves and (key < keys[place - 1] or (key == keys[place - 1] and length < durations[place - 1])):
            keys[place], durations[place] = keys[place - 1], durations[place - 1]
            place -= 1
            moves -= 1
        keys[place], durations[place] = key, length
    return keys, durations, moves > 0


@compiled
def _mixed(x: np.uint64) -> np.uint64:
    """A bijection that spreads every bit over all others (the finaliser of MurmurHash3, A. Appleby)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    x ^= x >> np.uint64(33)
    return x


@compiled
def _voice(
    onset: NDArray[np.float64], pitch: NDArray[np.uint8], drum: NDArray[np.bool_], together: float
) -> tuple[NDArray[np.int64], bool]:
    """Pitches of all notes as one voice; whether they are drums. Notes of a chord stand in order of pitch, each
    pitch once; a chord is what begins within `together` mean distances between notes."""
    n = len(onset)
    only_drums = True
    for i in range(n):
        if not drum[i]:
            only_drums = False
            break
    keys = np.empty(n, np.int64)
    times = np.empty(n, np.float64)
    count = 0
    for i in range(n):
        if only_drums or not drum[i]:
            keys[count], times[count] = pitch[i], onset[i]
            count += 1
    if count == 0:
        return keys[:0], only_drums
    width = together * (times[count - 1] - times[0]) / count
    sounding = np.zeros(256, np.uint8)
    written = 0
    begin = 0
    while begin < count:
        end = begin
        lowest, highest = keys[begin], keys[begin]
        while end < count and times[end] - times[begin] <= width:
            sounding[keys[end]] = 1
            lowest, highest = min(lowest, keys[end]), max(highest, keys[end])
            end += 1
        if end == begin + 1:
            keys[written] = lowest
            sounding[lowest] = 0
            written += 1
        else:
            for key in range(lowest, highest + 1):
                if sounding[key]:
                    keys[written] = key
                    sounding[key] = 0
                    written += 1
        begin = end
    return keys[:written], only_drums


@compiled
def _extents(keys: NDArray[np.int64], sign: int, reach: int) -> NDArray[np.int64]:
    """For each note the number of notes on each side, at most `reach`, of which none is higher (sign −1: lower)."""
    n = len(keys)
    extents = np.empty(n, np.int64)
    for i in range(n):
        key = keys[i] * sign
        extent = reach
        for distance in range(1, reach + 1):
            if (i >= distance and keys[i - distance] * sign > key) or (
                i + distance < n and keys[i + distance] * sign > key
            ):
                extent = distance - 1
                break
        extents[i] = extent
    return extents


@compiled
def _fingerprint(
    onset: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    drum: NDArray[np.bool_],
    reaches: NDArray[np.int64],
    lengths: NDArray[np.int64],
    factors: NDArray[np.uint32],
    summands: NDArray[np.uint32],
    together: float,
) -> NDArray[np.uint32]:
    keys, only_drums = _voice(onset, pitch, drum, together)
    n = len(keys)
    highest = _extents(keys, 1, reaches[0])
    lowest = _extents(keys, -1, reaches[0])
    capacity = 16
    while capacity < 4 * n:
        capacity *= 2
    mask = np.uint64(capacity - 1)
    # An open-addressing table of the current level's features; `stamp` says for which level a place is taken
    table = np.empty(capacity, np.uint64)
    stamp = np.zeros(capacity, np.uint8)
    slots = np.full(len(factors), 0xFFFFFFFF, np.uint32)
    kept = 0
    rate = 1.0
    for level in range(len(reaches)):
        reach = reaches[level]
        length = lengths[level]
        history = np.uint64((1 << (INTERVAL_BITS * length)) - 1)
        limit = np.uint64(rate * 4294967296.0)
        distinct = 0
        for side in range(1 if reach == 0 else 2):
            extents = highest if side == 0 else lowest
            salt = np.uint64(2 * level + side + (64 if only_drums else 0)) << np.uint64(56)
            run = np.uint64(0)
            seen = 0
            last = np.int64(0)
            for i in range(n):
                if extents[i] < reach or (reach > 0 and seen > 0 and keys[i] == last):
                    continue
                run = ((run << np.uint64(INTERVAL_BITS)) | np.uint64(keys[i] - last + 128)) & history
                last = keys[i]
                seen += 1
                if seen <= length:
                    continue
                feature = _mixed(run | salt)
                # The rate must not depend on which features are kept, so all of a level are counted,
                # but for the last, after which nothing comes
                if level == len(reaches) - 1 and (feature >> np.uint64(32)) >= limit:
                    continue
                place = feature & mask
                while stamp[place] == level + 1 and table[place] != feature:
                    place = (place + np.uint64(1)) & mask
                if stamp[place] == level + 1:
                    continue
                stamp[place] = level + 1
                table[place] = feature
                distinct += 1
                if (feature >> np.uint64(32)) < limit:
                    kept += 1
                    _lower(slots, np.uint32(feature & np.uint64(0xFFFFFFFF)), factors, summands)
        share = ENOUGH / max(distinct, 1)
        rate = min(rate, share * share)
    if kept < FEWEST:
        whole = np.uint64(64 if only_drums else 0)
        for i in range(n):
            whole = _mixed(whole ^ (np.uint64(keys[i] - keys[0] + 128) + np.uint64(256)))
        slots[:] = 0xFFFFFFFF
        _lower(slots, np.uint32(whole & np.uint64(0xFFFFFFFF)), factors, summands)
    low = slots & np.uint32(0xFFFF)
    return low[::2] | (low[1::2] << np.uint32(16))


@compiled
def _lower(
    slots: NDArray[np.uint32], feature: np.uint32, factors: NDArray[np.uint32], summands: NDArray[np.uint32]
) -> None:
    """Put a feature into all slots: each keeps the least value of its function."""
    for slot in range(len(slots)):
        value = np.uint32(np.uint32(factors[slot] * feature) + summands[slot])
        slots[slot] = min(slots[slot], value)
