"""The comparison of a line with a line of an index: from a gram that both have, how far do they go on alike?

A note of the one is the partner of a note of the other when their pitches differ by the same interval as before, and
their times from the last partners by the same tempo, within what rounding to ticks explains. Partners may change places
within AHEAD notes, as notes do that are nearly together. Of SPARED notes in common one more may stand on either side
alone: a chord that was cut, or a note that was lost when times were rounded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.originality.grams import NOTES
from tokenization.originality.words import PITCH_SHIFT, SECONDS, TIME_MASK

ROUNDED = 0.013
"""Seconds that a time may be off: both of its ends are rounded to ticks of about a hundredth."""
BEND = 0.02
"""Share of itself that a time may be off besides: words are rounded, too."""
SLOWEST, FASTEST = 0.25, 4.0
"""Limits of the tempo, seconds in the sample for a second in the index."""
CLOSE = 0.006
"""Seconds that the times of a span may be off on average: less than two performances of the same notes are."""
AHEAD = 6
PASSED = (1 << (AHEAD + 1)) - 1
SPARED = 8


@compiled
def extend(
    pitch: NDArray[np.uint8],
    onset: NDArray[np.float64],
    begin: int,
    end: int,
    at: int,
    words: NDArray[np.uint16],
    source_begin: int,
    source_end: int,
    source_at: int,
) -> tuple[int, int, int, int]:
    """Return how far two lines are alike around a gram: begin and end in the sample, begin and end in the index.

    `pitch`, `onset`: lines of a sample; the one in question lies from `begin` to `end` and has the gram at `at`.
    `words`: lines of an index, likewise. The begin and the end are the same where the gram has another rhythm.
    """
    nothing = (at, at, source_at, source_at)
    apart = 0.0
    for k in range(1, NOTES):
        apart += SECONDS[words[source_at + k] & TIME_MASK]
    lasts = onset[at + NOTES - 1] - onset[at]
    if apart <= 0.0 or lasts <= 0.0 or not SLOWEST <= lasts / apart <= FASTEST:
        return nothing
    for k in range(1, NOTES):
        time = SECONDS[words[source_at + k] & TIME_MASK]
        if not _in_time(onset[at + k] - onset[at + k - 1], time, lasts, apart):
            return nothing
    shift = np.int64(pitch[at]) - np.int64(words[source_at] >> PITCH_SHIFT)
    last = NOTES - 1
    until, source_until, lasts, apart, off, steps = _follow(
        pitch, onset, at + last, end, 1, words, source_at + last, source_end, shift, lasts, apart
    )
    since, source_since, lasts, _, off_before, steps_before = _follow(
        pitch, onset, at, begin - 1, -1, words, source_at, source_begin - 1, shift, lasts, apart
    )
    off += off_before
    steps += steps_before
    if steps and off > steps * CLOSE + lasts * BEND / 2:
        return nothing
    return since, until + 1, source_since, source_until + 1


@compiled
def _follow(
    pitch: NDArray[np.uint8],
    onset: NDArray[np.float64],
    at: int,
    stop: int,
    step: int,
    words: NDArray[np.uint16],
    last: int,
    source_stop: int,
    shift: np.int64,
    lasts: float,
    apart: float,
) -> tuple[int, int, float, float, float, int]:
    """Return the last notes up to which two lines are alike, going forwards or backwards from partners `at` and `last`.

    `lasts`, `apart`: seconds of what is alike so far in the sample and in the index; returned with what is added.
    """
    second = onset[at]  # of the partner of `last`, the furthest note of the index that has one
    without = 0  # bit k: the k-th note before `last` has no partner
    common = NOTES
    alone = 0
    off, steps = 0.0, 0
    surely, source_surely, sure_lasts, sure_apart = at, last, lasts, apart
    while at + step != stop:
        at += step
        wanted = np.int64(pitch[at]) - shift
        passed = abs(onset[at] - second)
        ahead, time = _partner(words, last, step, source_stop, wanted, passed, lasts, apart)
        behind = 0
        if ahead != 1 and without:
            behind = _passed_over(words, last, step, without, wanted, passed, lasts, apart)
        if behind:
            without &= ~(1 << behind)
            alone -= 1
        elif ahead:
            without = (without << ahead | ((1 << ahead) - 2)) & PASSED
            alone += ahead - 1
            last += step * ahead
            if passed > ROUNDED:
                off += abs(passed - time * lasts / apart)
                steps += 1
            lasts += passed
            apart += time
            second = onset[at]
        else:
            alone += 1
            if alone * SPARED > common:
                break
            continue
        common += 1
        if alone * SPARED <= common:
            surely, source_surely, sure_lasts, sure_apart = at, last, lasts, apart
        elif (alone - AHEAD) * SPARED > common:
            break
    return surely, source_surely, sure_lasts, sure_apart, off, steps


@compiled
def _partner(
    words: NDArray[np.uint16],
    last: int,
    step: int,
    stop: int,
    wanted: np.int64,
    passed: float,
    lasts: float,
    apart: float,
) -> tuple[int, float]:
    """Return how many notes and seconds ahead of `last` the note of a pitch and time is, 0 if not within AHEAD."""
    time = 0.0
    for ahead in range(1, AHEAD + 1):
        place = last + step * ahead
        if place == stop:
            break
        time += SECONDS[words[place if step > 0 else place + 1] & TIME_MASK]
        if np.int64(words[place] >> PITCH_SHIFT) == wanted and _in_time(passed, time, lasts, apart):
            return ahead, time
    return 0, 0.0


@compiled
def _passed_over(
    words: NDArray[np.uint16],
    last: int,
    step: int,
    without: int,
    wanted: np.int64,
    passed: float,
    lasts: float,
    apart: float,
) -> int:
    """Return how many notes before `last` the note of a pitch and time is that has no partner yet, 0 if none is."""
    time = 0.0
    for behind in range(1, AHEAD + 1):
        place = last - step * behind
        if without >> behind == 0:
            break
        time -= SECONDS[words[place + 1 if step > 0 else place] & TIME_MASK]
        is_free = without >> behind & 1
        if is_free and np.int64(words[place] >> PITCH_SHIFT) == wanted and _in_time(passed, time, lasts, apart):
            return behind
    return 0


@compiled
def _in_time(passed: float, time: float, lasts: float, apart: float) -> bool:
    """True if `passed` seconds in the sample are `time` seconds in the index at the tempo `lasts` / `apart`."""
    expected = time * lasts / apart
    # The tempo is known as well as the times are that it is the ratio of
    return abs(expected - passed) <= ROUNDED + max(abs(expected), passed) * (BEND + ROUNDED / lasts)
