"""Musical keys as sets of pitch classes."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
"""Semitones above the tonic. Minor has both sevenths: the natural one and the leading note of its dominant."""
KEY = re.compile(r"([A-Ga-g])([#b]?)(m)?(?:\s+(major|minor))?")


def parse_key(text: str) -> NDArray[np.bool_]:
    """Return the pitch classes of a key, shape (12,), index 0 for C: `C`, `Am`, `Bb major`, `f# minor`.

    Raises ValueError.
    """
    match = KEY.fullmatch(text.strip())
    if match is None or (match[3] and match[4]):
        raise ValueError(f"no key {text!r}; write a note and major or minor: C major, F# minor, Bb")
    tonic = LETTERS[match[1].upper()] + ACCIDENTALS[match[2]]
    scale = SCALES[match[4] or ("minor" if match[3] else "major")]
    classes = np.zeros(12, np.bool_)
    classes[[(tonic + step) % 12 for step in scale]] = True
    return classes
