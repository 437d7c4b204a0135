"""Contours: the notes of a piece as one voice, and how far each of them is a peak or a valley of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

CHORD = 2**0.5 / 5
"""What begins within this share of the piece's mean distance between notes is one chord: parts that are not quite
together. The share is irrational, so that no distance in a score equals it, whatever the tempo."""


@compiled
def voice(
    onset: NDArray[np.float64], pitch: NDArray[np.uint8], drum: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], bool]:
    """Return the pitches of all pitched notes as one voice; those of the drums, and True, if there is nothing else.

    Notes of a chord stand in order of pitch, each pitch once; a chord is what begins within `CHORD` mean distances
    between notes.
    """
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
    span = CHORD * (times[count - 1] - times[0]) / count
    sounding = np.zeros(256, np.uint8)
    written = 0
    begin = 0
    while begin < count:
        end = begin
        lowest, highest = keys[begin], keys[begin]
        while end < count and times[end] - times[begin] <= span:
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
def extents(keys: NDArray[np.int64], sign: int, reach: int) -> NDArray[np.int64]:
    """Return for each note the number of notes on each side, at most `reach`, none of which is higher.

    `sign`: 1; -1 for notes none of which is lower.
    """
    n = len(keys)
    found = np.empty(n, np.int64)
    for i in range(n):
        key = keys[i] * sign
        extent = reach
        for distance in range(1, reach + 1):
            if (i >= distance and keys[i - distance] * sign > key) or (
                i + distance < n and keys[i + distance] * sign > key
            ):
                extent = distance - 1
                break
        found[i] = extent
    return found
