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


@compiled
def to_words(pitch: NDArray[np.uint8], onset: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the words of a line; onsets in seconds, ascending."""
    words = np.empty(len(pitch), np.uint16)
    for i in range(len(pitch)):
        code = 0
        if i and onset[i] > onset[i - 1]:
            steps = np.log2(max(onset[i] - onset[i - 1], SHORTEST) / SHORTEST) * STEPS
            code = min(int(steps + 0.5) + 1, TIME_MASK)
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
