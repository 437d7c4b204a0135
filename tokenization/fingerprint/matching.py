"""The comparison of two sketches: how much of one voice is in the other, where, in which key and at which tempo.

Entries with equal hashes are matches. Of these the key with the most weight is chosen, then the most frequent ratio of
durations, the tempo; matches of another key or tempo are chance. The rest are linked to a chain that advances in both
pieces at about that tempo. Weights are between 0 and 1, 1 for a feature that no other piece has, so the sum over the
begins in the chain counts how many rare features have found their place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.fingerprint.sketch import BEGINS, OCTAVE, SHORTEST

FULL = 255.0
"""The weight of a feature that no other piece has."""
TEMPO_BINS = 161
TEMPO_STEPS = 10.0
"""Bins to a doubling of tempo; ±8 octaves in all."""
RUBATO = 0.5
"""Octaves by which a feature's tempo may differ from that of the piece."""
BEND = 1.7
"""Factor by which the distance of two begins may differ from what the tempo makes of it, beyond BEND_SECONDS."""
BEND_SECONDS = 0.3
LOOK_BACK = 32
"""Begins before one that may precede it in a chain: where there are more, the nearest are the likeliest."""
LEAP = 2.0
"""Weight that a greater difference costs: repeats and cuts."""
MOST_ALIGNED = 48
SAME = 0.02
"""Seconds below which two begins are one."""
STRAIGHT = 0.06
"""Seconds off a straight line that a begin may be in two records of one performance."""
SIXTEENTHS = 16
SLIGHT = 0.25
"""Containment below which begins on a straight line are looked for."""


class Match(NamedTuple):
    """The common music of two voices a and b."""

    evidence: float
    """Weight of the chain, about the number of rare features in common whose begins differ."""
    containment: float
    """Features in the chain as a share of those of the voice with fewer, 0–1."""
    resemblance: float
    """The same as a share of those of the voice with more."""
    deviation: float
    """Mean distance from a straight line of begins in b over begins in a, seconds."""
    aligned: float
    """Begins on one straight line, however much lies between them; 0 if the containment is not SLIGHT."""
    spread: float
    """Sixteenths of the shorter piece that these begins lie in."""
    transposition: float
    """Semitones from a to b."""
    tempo: float
    """Seconds in b for a second of a."""
    begin_a: float
    end_a: float
    """First and last begin of the chain in a, seconds."""
    begin_b: float
    end_b: float


@compiled
def compare(
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    weight: NDArray[np.uint8],
    complete_a: bool,
    complete_b: bool,
    unit_a: float,
    unit_b: float,
    least: float,
) -> Match:
    """Compare two sketches; without `least` evidence the match is empty.

    `a`, `b`: entries (see `sketch`). `weight`: weights of the features of a in 255ths, which those of b that are equal
    have, too. `complete_a`, `complete_b`: True for a sketch that holds all features of its voice. `unit_a`, `unit_b`:
    seconds of a unit of begins.
    """
    none = Match(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    if len(a) == 0 or len(b) == 0:
        return none
    low = np.uint64(32)
    limit = np.uint64(0xFFFFFFFF)
    if not complete_a:
        limit = min(limit, a[len(a) - 1] >> low)
    if not complete_b:
        limit = min(limit, b[len(b) - 1] >> low)
    pairs = np.empty((min(len(a), len(b)), 2), np.int64)
    votes = np.zeros(256, np.int64)
    matches, most = 0, np.int64(0)
    i = j = 0
    while i < len(a) and j < len(b):
        left, right = a[i] >> low, b[j] >> low
        if left > limit or right > limit:
            break
        if left == right:
            pairs[matches, 0], pairs[matches, 1] = i, j
            votes[_interval(a[i], b[j])] += weight[i]
            most = max(most, votes[_interval(a[i], b[j])])
            matches += 1
        i += left <= right
        j += right <= left
    if matches == 0 or most / FULL < least:
        return none
    fewer, more = sampled(a, limit), sampled(b, limit)
    fewer, more = min(fewer, more), max(fewer, more)
    key = int(np.argmax(votes))
    tempo = _tempo(a, b, pairs, matches, key, weight)
    x, y, rarity, mass = _begins(a, b, pairs, matches, key, tempo, weight, unit_a, unit_b)
    if len(x) == 0 or rarity.sum() < least:
        return none
    score, common, path = _chain(x, y, rarity, mass, 2.0**tempo)
    slope, deviation = _line(x, y, path)
    aligned = spread = 0.0
    if common < SLIGHT * fewer:
        aligned, spread = straight_line(x, y, min(unit_a, unit_b) * BEGINS)
    first, last = path[len(path) - 1], path[0]
    return Match(
        score,
        min(common / fewer, 1.0),
        min(common / more, 1.0),
        deviation,
        aligned,
        spread,
        float(key - 128),
        slope if slope > 0 else 2.0**tempo,
        x[first],
        x[last],
        y[first],
        y[last],
    )


@compiled
def sampled(entries: NDArray[np.uint64], limit: np.uint64) -> int:
    """Return the number of entries with hashes up to a limit."""
    first, last = 0, len(entries)
    while first < last:
        middle = (first + last) // 2
        if entries[middle] >> np.uint64(32) <= limit:
            first = middle + 1
        else:
            last = middle
    return first


@compiled
def _interval(left: np.uint64, right: np.uint64) -> np.int64:
    return np.int64(right & np.uint64(127)) - np.int64(left & np.uint64(127)) + 128


@compiled
def _octaves(left: np.uint64, right: np.uint64) -> float:
    """Return log2 of the ratio of durations, right to left."""
    steps = np.int64((right >> np.uint64(7)) & np.uint64(511)) - np.int64((left >> np.uint64(7)) & np.uint64(511))
    return steps / OCTAVE


@compiled
def _tempo(
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    pairs: NDArray[np.int64],
    matches: int,
    key: int,
    weight: NDArray[np.uint8],
) -> float:
    """Return log2 of the most frequent ratio of durations among the matches of one key."""
    histogram = np.zeros(TEMPO_BINS)
    middle = TEMPO_BINS // 2
    for k in range(matches):
        left, right = a[pairs[k, 0]], b[pairs[k, 1]]
        if _interval(left, right) == key:
            place = np.int64(np.rint(_octaves(left, right) * TEMPO_STEPS)) + middle
            if 0 <= place < TEMPO_BINS:
                histogram[place] += weight[pairs[k, 0]]
    best, most = middle, -1.0
    for bin_ in range(2, TEMPO_BINS - 2):
        near = histogram[bin_ - 1] + 1.01 * histogram[bin_] + histogram[bin_ + 1]
        near += 0.5 * (histogram[bin_ - 2] + histogram[bin_ + 2])
        if near > most:
            best, most = bin_, near
    return (best - middle) / TEMPO_STEPS


@compiled
def _begins(
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    pairs: NDArray[np.int64],
    matches: int,
    key: int,
    tempo: float,
    weight: NDArray[np.uint8],
    unit_a: float,
    unit_b: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the begins of matches of a key and tempo, seconds in a (ascending) and b, each pair of begins once.

    With each the weight of its rarest feature, and the number of its features.
    """
    chosen = np.empty(matches, np.int64)
    order = np.empty(matches, np.uint64)
    count = 0
    for k in range(matches):
        left, right = a[pairs[k, 0]], b[pairs[k, 1]]
        if _interval(left, right) == key and abs(_octaves(left, right) - tempo) <= RUBATO:
            begin_a, begin_b = (left >> np.uint64(16)) & np.uint64(65535), (right >> np.uint64(16)) & np.uint64(65535)
            value = (begin_a << np.uint64(48)) | (begin_b << np.uint64(32)) | np.uint64(count)
            chosen[count] = pairs[k, 0]
            place = count  # insertion sort: there are few
            while place and order[place - 1] > value:
                order[place] = order[place - 1]
                place -= 1
            order[place] = value
            count += 1
    x, y = np.empty(count), np.empty(count)
    rarity, mass = np.empty(count), np.empty(count)
    begins = 0
    for k in range(count):
        begin = order[k] >> np.uint64(32)
        rare = weight[chosen[order[k] & np.uint64(0xFFFFFFFF)]] / FULL
        if k and begin == order[k - 1] >> np.uint64(32):
            rarity[begins - 1] = max(rarity[begins - 1], rare)
            mass[begins - 1] += 1.0
        else:
            x[begins], y[begins] = float(begin >> np.uint64(16)) * unit_a, float(begin & np.uint64(65535)) * unit_b
            rarity[begins], mass[begins] = rare, 1.0
            begins += 1
    return x[:begins], y[:begins], rarity[:begins], mass[:begins]


@compiled
def _chain(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    rarity: NDArray[np.float64],
    mass: NDArray[np.float64],
    pace: float,
) -> tuple[float, float, NDArray[np.int64]]:
    """Return the greatest weight of an advancing chain, the mass of its begins, and their indices from the last on."""
    n = len(x)
    score, common = np.empty(n), np.empty(n)
    before = np.full(n, -1, np.int64)
    last = 0
    for i in range(n):
        score[i], common[i] = rarity[i], mass[i]
        for j in range(max(0, i - LOOK_BACK), i):
            forth, there = x[i] - x[j], y[i] - y[j]
            if forth < SAME or there < SAME:
                continue
            reached = score[j] + rarity[i]
            if there < pace * forth / BEND - BEND_SECONDS or there > pace * forth * BEND + BEND_SECONDS:
                reached -= LEAP
            if reached > score[i]:
                score[i], common[i], before[i] = reached, common[j] + mass[i], j
        if score[i] > score[last]:
            last = i
    path = np.empty(n, np.int64)
    length = 0
    i = last
    while i >= 0:
        path[length] = i
        length += 1
        i = before[i]
    return score[last], common[last], path[:length]


@compiled
def _line(x: NDArray[np.float64], y: NDArray[np.float64], path: NDArray[np.int64]) -> tuple[float, float]:
    """Return the slope of the straight line through the begins of a chain, and their mean distance from it, seconds."""
    n = len(path)
    mean_x = mean_y = 0.0
    for i in path:
        mean_x += x[i] / n
        mean_y += y[i] / n
    covariance, variance = 0.0, 1e-12
    for i in path:
        covariance += (x[i] - mean_x) * (y[i] - mean_y)
        variance += (x[i] - mean_x) ** 2
    slope = covariance / variance
    distance = 0.0
    for i in path:
        distance += abs(y[i] - mean_y - slope * (x[i] - mean_x)) / n
    return slope, distance


@compiled
def straight_line(x: NDArray[np.float64], y: NDArray[np.float64], shorter: float) -> tuple[float, float]:
    """Return the most begins on one straight line, and the number of sixteenths of the shorter piece they lie in.

    At most MOST_ALIGNED begins are looked at: of more, a chain is evidence enough.
    """
    n = min(len(x), MOST_ALIGNED)
    part = np.empty(n, np.uint64)
    for k in range(n):
        part[k] = np.uint64(1) << np.uint64(min(int(SIXTEENTHS * x[k] / max(shorter, SHORTEST)), 63))
    most = widest = 0
    for i in range(n):
        for j in range(i + 1, n):
            if x[j] - x[i] < 1.0 or y[j] - y[i] < 0.3:
                continue
            slope = (y[j] - y[i]) / (x[j] - x[i])
            near = 0
            for k in range(n):
                near += abs(y[k] - y[i] - slope * (x[k] - x[i])) < STRAIGHT
            if near < most:
                continue
            count, last = 0, -1.0
            parts = np.uint64(0)
            for k in range(n):
                if abs(y[k] - y[i] - slope * (x[k] - x[i])) < STRAIGHT and x[k] - last > SAME:
                    count += 1
                    last = x[k]
                    parts |= part[k]
            spread = 0
            while parts:
                parts &= parts - np.uint64(1)
                spread += 1
            if count > most or (count == most and spread > widest):
                most, widest = count, spread
    return float(most), float(widest)
