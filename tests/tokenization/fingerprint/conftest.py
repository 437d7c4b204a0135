"""What the tests of fingerprints share: music drawn by a seed, edits of it, and the voices of a fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenization.fingerprint import Match, compare, fingerprint
from tokenization.midi.notes import Notes


@dataclass(frozen=True)
class Voice:
    """A voice of a fingerprint, taken apart."""

    entries: NDArray[np.uint64]
    notes: int
    complete: bool
    unit: float

    @property
    def hashes(self) -> NDArray[np.uint64]:
        return self.entries >> np.uint64(32)


def voices_of(words: NDArray[np.uint64]) -> list[Voice]:
    """Read a fingerprint as its format says."""
    count = int(words[0]) & 0xFFFFFFFF
    voices, begin = [], 1 + count
    for head in map(int, words[1 : 1 + count]):
        end = begin + (head & 0xFFFF)
        unit = np.array([head >> 32], np.uint32).view(np.float32)[0]
        voices.append(Voice(words[begin:end], head >> 16 & 0x3FFF, bool(head >> 31 & 1), float(unit)))
        begin = end
    assert begin == len(words)
    return voices


def matched(left: Notes, right: Notes, least: float = 0.0) -> Match:
    """Compare two pieces as wholes, as if no other piece had any of their features."""
    a, b = voices_of(fingerprint(left))[0], voices_of(fingerprint(right))[0]
    ones = np.full(len(a.entries), 255, np.uint8)
    return compare(a.entries, b.entries, ones, a.complete, b.complete, a.unit, b.unit, least)


def piece_of(seed: int, chords: int = 300) -> Notes:
    """Four instruments: a tune that wanders, two parts below it, a part that leaps; drums on every beat."""
    generator = np.random.default_rng(seed)
    start = np.cumsum(generator.choice([0.25, 0.5, 1.0], chords))
    tune = 62 + np.abs(np.cumsum(generator.integers(-4, 5, chords)) % 48 - 24)  # turns at its ends
    parts = [tune, tune - generator.integers(3, 6, chords), tune - generator.integers(7, 10, chords)]
    parts.append(40 + generator.integers(-7, 8, chords))
    beats = np.arange(0, start[-1], 0.5)
    return Notes.from_columns(
        np.concatenate([start] * 4 + [beats]),
        np.full(4 * chords + len(beats), 0.2),
        np.concatenate([*parts, np.full(len(beats), 36)]),
        generator.integers(40, 100, 4 * chords + len(beats)),
        np.repeat([40, 41, 42, 0, 0], [chords] * 4 + [len(beats)]),
        np.arange(4 * chords + len(beats)) >= 4 * chords,
    )


def chosen_from(notes: Notes, which: NDArray[np.bool_] | NDArray[np.int64]) -> Notes:
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return replace(Notes.from_columns(*(column[which] for column in columns)), tempo=notes.tempo)


def moved(notes: Notes, semitones: int = 0, stretch: float = 1.0, later: float = 0.0) -> Notes:
    """Transpose all but the drums, stretch all times, then begin later."""
    pitch = np.where(notes.drum, notes.pitch, notes.pitch.astype(np.int64) + semitones).astype(np.uint8)
    onset = notes.onset * stretch + later
    return replace(notes, pitch=pitch, onset=onset, duration=notes.duration * stretch)


@pytest.fixture(scope="session")
def make_piece() -> Callable[..., Notes]:
    return piece_of


@pytest.fixture(scope="session")
def music() -> Notes:
    return piece_of(1)


@pytest.fixture(scope="session")
def chosen() -> Callable[..., Notes]:
    """Some notes of a piece, by a mask or by index."""
    return chosen_from


@pytest.fixture(scope="session")
def move() -> Callable[..., Notes]:
    return moved


@pytest.fixture(scope="session")
def voices() -> Callable[[Notes], list[Voice]]:
    return lambda notes: voices_of(fingerprint(notes))


@pytest.fixture(scope="session")
def match() -> Callable[..., Match]:
    return matched
