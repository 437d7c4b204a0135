"""The top line of a piece or of one of its instruments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

TOGETHER = 0.055
"""Seconds within which a note hides the lower ones: parts of a chord that are not quite together. Each note is judged
by its own neighbours, so that a few milliseconds change little."""


@compiled
def top_line(onset: NDArray[np.float64], pitch: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return onsets and pitches of the notes that no higher note is near; repeated pitches count once.

    `onset`: seconds, ascending.
    """
    n = len(onset)
    onsets, pitches = np.empty(n, np.float64), np.empty(n, np.uint8)
    count = 0
    for i in range(n):
        if count and pitches[count - 1] == pitch[i]:
            continue
        hidden = False
        other = i - 1
        while not hidden and other >= 0 and onset[i] - onset[other] <= TOGETHER:
            hidden = pitch[other] > pitch[i]
            other -= 1
        other = i + 1
        while not hidden and other < n and onset[other] - onset[i] <= TOGETHER:
            hidden = pitch[other] > pitch[i]
            other += 1
        if not hidden:
            onsets[count], pitches[count] = onset[i], pitch[i]
            count += 1
    return onsets[:count], pitches[:count]
