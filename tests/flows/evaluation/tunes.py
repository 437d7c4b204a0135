"""Tunes, what is measured of them, and damages that each change one side of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from tokenization.measures import Collected, collect, measure
from tokenization.midi.notes import Notes

Change = Callable[[Notes, np.random.Generator], Notes]


def tune(seed: int) -> Notes:
    """A melody over chords in some key: four bars that are varied and come again."""
    random = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    key = int(random.integers(55, 67))
    phrases = [scale[np.abs(np.cumsum(random.integers(-2, 3, 16))) % 8] for _ in range(2)]
    melody = np.concatenate([phrases[number] for number in (0, 1, 0, 0, 1, 0)]) + key + 12
    onset = np.arange(len(melody)) * 0.25
    chords = np.repeat(onset[::8], 3)
    triads = np.concatenate(
        [np.array([0, 4, 7]) + key + root for root in scale[random.integers(0, 3, len(melody) // 8)]]
    )
    columns = (np.concatenate([onset, chords]), np.concatenate([np.full(len(onset), 0.24), np.full(len(chords), 1.9)]))
    count = len(onset) + len(chords)
    return Notes.from_columns(*columns, np.concatenate([melody, triads]), [80] * count, [0] * count, [False] * count)


@cache
def measured(first: int, count: int, change: Change | None = None) -> Collected:
    random = np.random.default_rng(first)
    tunes = [tune(seed) for seed in range(first, first + count)]
    return collect([measure(each if change is None else change(each, random)) for each in tunes])


def wrong_notes(notes: Notes, random: np.random.Generator) -> Notes:
    wrong = random.random(len(notes)) < 0.3
    return replace(notes, pitch=(notes.pitch + wrong * random.integers(1, 6, len(notes))).astype(np.uint8))


def permuted(notes: Notes, random: np.random.Generator) -> Notes:
    return replace(notes, pitch=random.permutation(notes.pitch))


def one_pitch(notes: Notes, random: np.random.Generator) -> Notes:
    return replace(notes, pitch=np.full(len(notes), 60, np.uint8))


def to_the_cap(notes: Notes, random: np.random.Generator) -> Notes:
    return replace(notes, duration=np.full(len(notes), 8.0))


def jittered(notes: Notes, random: np.random.Generator) -> Notes:
    return replace(notes, onset=np.maximum(notes.onset + random.normal(0, 0.05, len(notes)), 0))


def bars_shuffled(notes: Notes, random: np.random.Generator) -> Notes:
    bar = (notes.onset // 2).astype(int)
    return replace(notes, onset=notes.onset + 2.0 * (random.permutation(bar.max() + 1)[bar] - bar))


def with_silence(notes: Notes, random: np.random.Generator) -> Notes:
    return replace(notes, onset=notes.onset + 6.0 * (notes.onset > np.median(notes.onset)))
