"""The order of pairs of integers that are nearly sorted already, as events of several tracks are."""

from __future__ import annotations

import numpy as np

from tokenization.compiled import compiled
from tokenization.midi.reader.events import Numbers

RUN = 16
"""Pairs sorted by insertion before runs are merged."""


@compiled
def sort_pairs(firsts: Numbers, seconds: Numbers) -> None:
    """Sort pairs in place, stably: in n log n steps, and in about n where little is out of order."""
    n = len(firsts)
    _sort_runs(firsts, seconds)
    if n <= RUN:
        return
    copied_firsts, copied_seconds = np.empty(n, np.int64), np.empty(n, np.int64)
    size = RUN
    while size < n:
        for middle in range(size, n, 2 * size):
            if _is_after(firsts[middle - 1], seconds[middle - 1], firsts[middle], seconds[middle]):
                end = min(middle + size, n)
                _merge(firsts, seconds, middle - size, middle, end, copied_firsts, copied_seconds)
        size *= 2


@compiled
def _is_after(first: int, second: int, other_first: int, other_second: int) -> bool:
    """Return True if a pair comes strictly after another one."""
    return first > other_first or (first == other_first and second > other_second)


@compiled
def _sort_runs(firsts: Numbers, seconds: Numbers) -> None:
    """Sort every `RUN` pairs by insertion."""
    for i in range(1, len(firsts)):
        first, second = firsts[i], seconds[i]
        low = i - i % RUN
        to = i
        while to > low and _is_after(firsts[to - 1], seconds[to - 1], first, second):
            firsts[to], seconds[to] = firsts[to - 1], seconds[to - 1]
            to -= 1
        if to < i:
            firsts[to], seconds[to] = first, second


@compiled
def _merge(
    firsts: Numbers,
    seconds: Numbers,
    low: int,
    middle: int,
    end: int,
    copied_firsts: Numbers,
    copied_seconds: Numbers,
) -> None:
    """Merge the sorted runs from `low` and from `middle` on; the last two columns are for copies of the first run."""
    begin = middle - 1  # what lies before is in its place already
    while begin > low and _is_after(firsts[begin - 1], seconds[begin - 1], firsts[middle], seconds[middle]):
        begin -= 1
    count = middle - begin
    for i in range(count):
        copied_firsts[i], copied_seconds[i] = firsts[begin + i], seconds[begin + i]
    left, right, to = 0, middle, begin
    while left < count:
        if right < end and _is_after(copied_firsts[left], copied_seconds[left], firsts[right], seconds[right]):
            firsts[to], seconds[to] = firsts[right], seconds[right]
            right += 1
        else:
            firsts[to], seconds[to] = copied_firsts[left], copied_seconds[left]
            left += 1
        to += 1
