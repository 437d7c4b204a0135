"""Notes of an index as 16-bit words: pitch, and time since the note before.

    bits 9–15  pitch
    bits 0–8   0 for a note that starts with the one before it; else the time from the onset before, in STEPS steps to
               an octave above SHORTEST: up to 75 s, within 1 %

An error stays with its note: it would spoil the next time, which may be much shorter, to make up for it there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

SHORTEST = 0.004
"""Seconds of time code 1."""
STEPS = 36
PITCH_SHIFT, TIME_MASK = 9, 511
SECONDS = np.concatenate([[0.0], SHORTEST * 2 ** (np.arange(TIME_MASK) / STEPS)])
"""Of each time code."""
PART_BITS = 10
"""An octave has 2^PART_BITS parts of equal width. In nearly all of them one code holds, and no logarithm is taken."""


def _code_of_part() -> NDArray[np.int64]:
    """Return the code of each part of the octave from SHORTEST on, less 1; -1 where two codes may meet."""
    edges = 1 + np.arange(2**PART_BITS + 1) / 2**PART_BITS
    below, above = (np.floor(np.log2(edges * factor) * STEPS + 0.5) for factor in (1 - 1e-9, 1 + 1e-9))
    return np.where(below[:-1] == above[1:], below[:-1], -1).astype(np.int64)


CODE_OF_PART = _code_of_part()
FRACTION_BITS, EXPONENT_OF_ONE = 52, 1023
"""Of a double."""


@compiled
def to_words(pitch: NDArray[np.uint8], onset: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the words of a line; onsets in seconds, ascending."""
    n = len(pitch)
    words, ratio = np.empty(n, np.uint16), np.zeros(n)
    for i in range(1, n):
        if onset[i] > onset[i - 1]:
            ratio[i] = max(onset[i] - onset[i - 1], SHORTEST) / SHORTEST
    bits = ratio.view(np.int64)
    for i in range(n):
        code = 0
        if ratio[i] > 0:
            code = int(CODE_OF_PART[bits[i] >> (FRACTION_BITS - PART_BITS) & (2**PART_BITS - 1)])
            if code >= 0:
                code += (int(bits[i] >> FRACTION_BITS) - EXPONENT_OF_ONE) * STEPS
            else:
                code = int(np.log2(ratio[i]) * STEPS + 0.5)
            code = min(code + 1, TIME_MASK)
        words[i] = np.int64(pitch[i]) << PITCH_SHIFT | code
    return words


@compiled
def to_onsets(words: NDArray[np.uint16], start: float) -> NDArray[np.float64]:
    """Return the onsets of a line that begins at `start`, in seconds."""
    onsets = np.empty(len(words), np.float64)
    for i in range(len(words)):
        start += SECONDS[words[i] & TIME_MASK]
        onsets[i] = start
    return onsets
