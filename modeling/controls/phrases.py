"""Phrases: the last intervals of an instrument, and how often it has played them lately, as compiled code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.vocabulary import PITCHES

PHRASE = 4
"""Intervals of a phrase, the one to the next note included."""
HEARD = 96
"""Notes of each instrument in which phrases are looked for."""


@compiled
def phrase_penalty(heard: NDArray[np.int16], count: int, nats: float, free: int, by_pitch: NDArray[np.float64]) -> None:
    """Write the bias of each next pitch of an instrument: `nats` less for each time beyond `free` that it has completed
    the phrase before.

    `heard`: its latest pitches, a ring, shape (HEARD,); `count`: its notes so far; `by_pitch`: shape (pitches,).
    """
    by_pitch[:] = 0.0
    first = max(count - HEARD, 0)
    if count - first <= PHRASE:
        return
    last = heard[(count - 1) % HEARD]
    for end in range(first + PHRASE - 1, count - 1):
        same = True
        for back in range(PHRASE - 1):
            own = heard[(count - 1 - back) % HEARD] - heard[(count - 2 - back) % HEARD]
            if heard[(end - back) % HEARD] - heard[(end - back - 1) % HEARD] != own:
                same = False
                break
        if same:
            pitch = last + heard[(end + 1) % HEARD] - heard[end % HEARD]
            if 0 <= pitch < PITCHES:
                by_pitch[pitch] -= 1.0
    for pitch in range(PITCHES):
        by_pitch[pitch] = nats * min(by_pitch[pitch] + free, 0.0)
