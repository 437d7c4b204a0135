"""Measures of pitch. Each returns NaN where a passage has nothing that it could be taken of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.definitions import STAYED, TONES, WIDEST_INTERVAL
from tokenization.measures.passage import PITCHES, Passage

MAJOR = (0, 2, 4, 5, 7, 9, 11)
HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)
FIFTH = 7
TIE = 1e-6
"""Weight of tonic and fifth, which decide between scales that hold equally many notes."""


def shares(values: NDArray[Any], bins: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return a histogram of bin numbers that sums to 1, shape (bins,); all NaN where there is nothing."""
    counts = np.bincount(values, weights, bins).astype(np.float64)
    total = counts.sum()
    return counts / total if total > 0 else np.full(bins, np.nan)


def pitch(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of pitched notes by key, shape (128,)."""
    return shares(passage.notes.pitch[passage.pitched], PITCHES)


def pitch_classes(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of pitched notes by pitch class from C, shape (12,)."""
    return shares(passage.notes.pitch[passage.pitched] % TONES, TONES)


def relative_pitch_classes(classes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pitch classes counted from the tonic of the major scale that holds most of them, shape (12,)."""
    template = _template(MAJOR)
    template[0] += TIE
    template[FIFTH] += TIE
    tonic = int(np.argmax(_rotations(classes) @ template))
    return np.roll(classes, -tonic)


def scale_share(classes: NDArray[np.float64]) -> float:
    """Return the share of notes in the major or harmonic minor scale that holds most."""
    turned = _rotations(classes)
    return float(max((turned @ _template(scale)).max() for scale in (MAJOR, HARMONIC_MINOR)))


def entropy(classes: NDArray[np.float64]) -> float:
    """Return the entropy of a histogram in bits."""
    if np.isnan(classes).any():
        return float("nan")
    used = classes[classes > 0]
    return float(-(used * np.log2(used)).sum())


def intervals(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of melodic intervals, shape (49,): −24 to 24 semitones.

    They lead from the highest note of an onset to that of the program's next one.
    """
    chosen = passage.pitched
    program, keys = passage.notes.program[chosen], passage.notes.pitch[chosen].astype(np.int64)
    onset = passage.onset_of[chosen]
    order = np.lexsort((keys, onset, program))
    program, keys, onset = program[order], keys[order], onset[order]
    highest = np.append((program[1:] != program[:-1]) | (onset[1:] != onset[:-1]), True)[: len(keys)]
    program, keys = program[highest], keys[highest]
    steps = np.diff(keys)[program[1:] == program[:-1]]
    return shares(np.clip(steps, -WIDEST_INTERVAL, WIDEST_INTERVAL) + WIDEST_INTERVAL, 2 * WIDEST_INTERVAL + 1)


def harmony(passage: Passage) -> NDArray[np.float64]:
    """Return the shares of intervals above the lowest sounding pitch at each onset, modulo 12, shape (12,)."""
    row, key = np.nonzero(passage.sounding)
    if not len(row):
        return np.full(TONES, np.nan)
    lowest = np.argmax(passage.sounding, axis=1)[row]
    return shares((key - lowest)[key > lowest] % TONES, TONES)


def longest_run(passage: Passage) -> float:
    """Return the notes of the longest run of one pitch within a program; 0 without pitched notes."""
    chosen = passage.pitched
    if not len(chosen):
        return 0.0
    keys, program = passage.notes.pitch[chosen].astype(np.int64), passage.notes.program[chosen]
    order = np.lexsort((keys, passage.onset_of[chosen], program))
    voice = program[order].astype(np.int64) * PITCHES + keys[order]
    begins = np.flatnonzero(np.append(True, voice[1:] != voice[:-1]))
    return float(np.diff(np.append(begins, len(voice))).max())


def longest_stay(passage: Passage) -> float:
    """Return the longest time in which no more than STAYED pitch classes are struck, in seconds."""
    chosen = passage.pitched
    if not len(chosen):
        return float("nan")
    onsets, onset_of = np.unique(passage.onset_of[chosen], return_inverse=True)
    struck = np.zeros((TONES, len(onsets)), np.bool_)
    struck[passage.notes.pitch[chosen] % TONES, onset_of] = True
    places = np.where(struck, np.arange(len(onsets)), len(onsets))
    following = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]  # the onset at which each class comes next
    left = np.sort(following, axis=0)[STAYED]
    seconds = np.append(passage.onsets[onsets], passage.end[chosen].max())
    return float((seconds[left] - seconds[:-1]).max())


def _template(scale: tuple[int, ...]) -> NDArray[np.float64]:
    template = np.zeros(TONES)
    template[list(scale)] = 1.0
    return template


def _rotations(classes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the classes counted from each tone, shape (12, 12)."""
    turned: NDArray[np.float64] = classes[(np.arange(TONES)[:, None] + np.arange(TONES)) % TONES]
    return turned
