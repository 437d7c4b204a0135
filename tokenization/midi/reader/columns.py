"""Notes as sorted numbers while a file is read, and what is done to all of them at its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.score import segment

LAST_TICK = 2**31 - 1
"""A track is read up to here: 26 days at 480 ticks a beat and 120 beats a minute."""
LONGEST_NOTE = 120.0
"""Seconds. A longer note is a forgotten note-off or a broken delta time, and no string sounds longer."""

# A note as one integer that sorts as notes are ordered: tick, pitch, drum, program, velocity.
PITCH_SHIFT, DRUM_SHIFT, PROGRAM_SHIFT, TICK_SHIFT = 15, 14, 7, 22
BLOCK = 16
"""Notes sorted by insertion before runs are merged."""

Numbers = NDArray[np.int64]


@compiled
def _before(keys: Numbers, seconds: Numbers, i: int, key: int, second: int) -> bool:
    """Whether pair `i` comes strictly before (key, second)."""
    return bool(keys[i] < key or (keys[i] == key and seconds[i] < second))


@compiled
def sort(keys: Numbers, seconds: Numbers, n: int) -> None:
    """Sort the first `n` pairs in place: merging in n log n steps, and about n where little is out of order."""
    for low in range(0, n, BLOCK):
        for i in range(low + 1, min(low + BLOCK, n)):
            key, second = keys[i], seconds[i]
            j = i
            while j > low and not _before(keys, seconds, j - 1, key, second + 1):
                keys[j], seconds[j] = keys[j - 1], seconds[j - 1]
                j -= 1
            keys[j], seconds[j] = key, second
    if n <= BLOCK:
        return
    left_keys, left_seconds = np.empty(n, np.int64), np.empty(n, np.int64)
    width = BLOCK
    while width < n:
        for low in range(0, n - width, 2 * width):
            middle = low + width
            high = min(middle + width, n)
            begin = middle  # what lies before `begin` is in its place already
            while begin > low and _before(keys, seconds, middle, keys[begin - 1], seconds[begin - 1]):
                begin -= 1
            count = middle - begin
            for i in range(count):
                left_keys[i], left_seconds[i] = keys[begin + i], seconds[begin + i]
            i, right, to = 0, middle, begin
            while i < count:
                if right < high and _before(keys, seconds, right, left_keys[i], left_seconds[i]):
                    keys[to], seconds[to] = keys[right], seconds[right]
                    right += 1
                else:
                    keys[to], seconds[to] = left_keys[i], left_seconds[i]
                    i += 1
                to += 1
        width *= 2


@compiled
def cap(
    keys: Numbers, lengths: Numbers, n: int, ticks: Numbers, beats: NDArray[np.float64], ticks_per_beat: int
) -> bool:
    """Shorten notes of more than LONGEST_NOTE seconds to it; whether there was one."""
    longest = LONGEST_NOTE * 1e6 * ticks_per_beat  # in ticks × microseconds per beat, as all times here
    begins = np.empty(len(ticks))
    begins[0] = 0.0
    slowest = beats[0]
    for i in range(1, len(ticks)):
        begins[i] = begins[i - 1] + (ticks[i] - ticks[i - 1]) * beats[i - 1]
        slowest = max(slowest, beats[i])
    suspect = int(longest / slowest)
    found = False
    for i in range(n):
        if lengths[i] <= suspect:
            continue
        start = keys[i] >> TICK_SHIFT
        at = segment(ticks, start)
        end = begins[at] + (start - ticks[at]) * beats[at] + longest
        until = segment(begins, end)
        most = ticks[until] + int((end - begins[until]) / beats[until]) - start
        if lengths[i] > most:
            lengths[i] = most
            found = True
    return found


@compiled
def tempo_map(ticks: Numbers, tempos: Numbers, n: int) -> tuple[Numbers, NDArray[np.float64]]:
    """The first `n` changes in order; of several at one tick the last holds. Sorts `ticks`."""
    order = np.empty(n, np.int64)
    for i in range(n):
        order[i] = i
    sort(ticks, order, n)
    at, beats = np.empty(n, np.int64), np.empty(n, np.float64)
    m = 0
    for i in range(n):
        if i + 1 == n or ticks[i + 1] > ticks[i]:
            at[m], beats[m] = ticks[i], tempos[order[i]]
            m += 1
    return at[:m].copy(), beats[:m].copy()
