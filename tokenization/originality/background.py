"""Background: how likely notes follow one another in the music of an index, and hence how much a span says.

A copy is told from a commonplace as the alignment of two sequences is told from chance in bioinformatics (Karlin and
Altschul, "Methods for assessing the statistical significance of molecular sequence features", 1990): the information of
the span, in bits, is compared with the logarithm of the number of places at which it could have been found. Scales,
broken chords and repeated notes say little, since every note of them is expected.

The model predicts an interval from up to ORDER intervals before, and the ratio of two times from the ratio before. Its
counts are taken from the index itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.originality.words import PITCH_SHIFT, SECONDS, TIME_MASK

ORDER = 3
CLIPPED = 31
"""Greatest interval that is told apart, in semitones."""
BITS = 6
"""Of an interval."""
SLOTS = 2**20
"""Counters of the longest contexts, which share them by hash."""
PRIOR = 8.0
"""Notes by which a context is outweighed by the next shorter one."""
RATIOS = 11
"""Ratios of times: 0 for notes together, 1 after notes together, 2–10 in half octaves, 6 for about the same."""
SAME = 6
ALIKE = 0.05
"""Seconds, and ALIKE_SHARE of the time, within which two times are about the same."""
ALIKE_SHARE = 0.2
REPEAT = 4
"""Notes in a row that stood in the span before and therefore say nothing new."""
RECENT = (1 << 8 * REPEAT) - 1
EMPTY = np.int64(-1)


class Background(NamedTuple):
    """Counts of the notes of an index."""

    intervals: NDArray[np.float32]
    """By order, and an interval with those before it as `_slot` numbers them, shape (ORDER + 1, SLOTS)."""
    contexts: NDArray[np.float32]
    """The same without the interval."""
    ratios: NDArray[np.float32]
    """By ratio and the ratio before, shape (RATIOS, RATIOS)."""


def empty_background() -> Background:
    """Return the model that has seen no note."""
    return Background(
        np.zeros((ORDER + 1, SLOTS), np.float32),
        np.zeros((ORDER + 1, SLOTS), np.float32),
        np.zeros((RATIOS, RATIOS), np.float32),
    )


@compiled
def _slot(pitch: NDArray[np.uint8], last: int, order: int, context: bool) -> int:
    """Return the counter of the interval to note `last` with `order` before it, or of these alone."""
    key = np.int64(order)
    for place in range(last - order, last if context else last + 1):
        interval = np.int64(pitch[place]) - np.int64(pitch[place - 1])
        clipped = -CLIPPED if interval < -CLIPPED else CLIPPED if interval > CLIPPED else int(interval)
        key = key << BITS | (clipped + CLIPPED)
    return int((key * np.int64(0x9E3779B1) >> 12) & (SLOTS - 1))


@compiled
def _ratio(gap: float, before: float) -> int:
    """Return the number of the ratio of two times between notes."""
    if gap <= 0.0:
        return 0
    if before <= 0.0:
        return 1
    if abs(gap - before) <= max(ALIKE, ALIKE_SHARE * before):
        return SAME
    steps = int(np.rint(np.log2(gap / before) * 2))
    if steps == 0:
        steps = 1 if gap > before else -1
    return min(max(SAME + steps, 2), RATIOS - 1)


@compiled
def learn(background: Background, words: NDArray[np.uint16], line_note: NDArray[np.uint32], every: int) -> None:
    """Count the notes of every so many lines of an index; `line_note`: the first note of each line, and the end."""
    for line in range(0, len(line_note) - 1, every):
        own = words[line_note[line] : line_note[line + 1]]
        pitch = (own >> PITCH_SHIFT).astype(np.uint8)
        before = 0.0
        ratio = 0
        for last in range(1, len(own)):
            for order in range(min(ORDER, last - 1) + 1):
                background.intervals[order, _slot(pitch, last, order, False)] += 1
                background.contexts[order, _slot(pitch, last, order, True)] += 1
            gap = SECONDS[own[last] & TIME_MASK]
            following = _ratio(gap, before)
            background.ratios[ratio, following] += 1
            ratio = following
            if gap > 0.0:
                before = gap


@compiled
def information(background: Background, pitch: NDArray[np.uint8], onset: NDArray[np.float64]) -> float:
    """Return the information of a span in bits.

    Intervals that repeat REPEAT intervals of the span in a row add none, and ratios of times likewise.
    """
    n = len(pitch)
    size = 16
    while size < 2 * n:
        size *= 2
    intervals, ratios = np.full(size, EMPTY), np.full(size, EMPTY)
    bits = before = 0.0
    ratio = 0
    interval_key = ratio_key = np.int64(0)
    for last in range(1, n):
        interval_key = (interval_key << 8 | np.int64(pitch[last]) - np.int64(pitch[last - 1]) + 128) & RECENT
        if _is_new(intervals, interval_key):
            share = 1.0 / (2 * CLIPPED + 1)
            for order in range(min(ORDER, last - 1) + 1):
                count = background.intervals[order, _slot(pitch, last, order, False)]
                share = (count + PRIOR * share) / (background.contexts[order, _slot(pitch, last, order, True)] + PRIOR)
            bits -= np.log2(share)
        gap = onset[last] - onset[last - 1]
        following = _ratio(gap, before)
        ratio_key = (ratio_key << 8 | following) & RECENT
        if _is_new(ratios, ratio_key):
            row = background.ratios[ratio]
            bits -= np.log2((row[following] + 1.0) / (row.sum() + RATIOS))
        ratio = following
        if gap > 0.0:
            before = gap
    return bits


@compiled
def _is_new(seen: NDArray[np.int64], key: np.int64) -> bool:
    """Add a key to a hash table; return False if it was there."""
    slot = (key * np.int64(0x9E3779B1) >> 12) & (len(seen) - 1)
    while seen[slot] != EMPTY:
        if seen[slot] == key:
            return False
        slot = (slot + 1) & (len(seen) - 1)
    seen[slot] = key
    return True
