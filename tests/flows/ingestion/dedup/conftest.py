"""What the tests of deduplication share: small generators of music and of the ways in which pieces are related."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from flows.ingestion.dedup.sketches import Sketches
from tokenization.fingerprint import fingerprint
from tokenization.midi.notes import Notes

FLUTE, PIANO, BASS = 73, 0, 33
COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


def part(onset: NDArray[np.float64], pitch: NDArray[np.int64], program: int, drum: bool = False) -> Notes:
    """The notes of one instrument."""
    n = len(onset)
    return Notes.from_columns(onset, np.full(n, 0.2), pitch, [80] * n, [program] * n, [drum] * n)


def joined(*parts: Notes) -> Notes:
    return Notes.from_columns(*(np.concatenate([getattr(notes, name) for notes in parts]) for name in COLUMNS))


def chosen(notes: Notes, which: NDArray[np.bool_]) -> Notes:
    return Notes.from_columns(*(getattr(notes, name)[which] for name in COLUMNS))


class Music:
    """Pieces drawn by a seed, and edits of pieces."""

    @staticmethod
    def melody(seed: int, notes: int = 120, program: int = FLUTE) -> Notes:
        """A tune that wanders over two octaves, in quavers, crotchets and minims."""
        generator = np.random.default_rng([1, seed])
        onset = np.concatenate([[0.0], np.cumsum(generator.choice([0.25, 0.25, 0.5, 1.0], notes - 1))])
        steps = generator.choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7], notes)
        return part(onset, 62 + np.abs(np.cumsum(steps) % 48 - 24), program)

    @staticmethod
    def chords(seed: int, seconds: float, low: int = 48) -> Notes:
        """Triads of a piano on every second, from a progression of eight."""
        generator = np.random.default_rng([2, seed])
        onset = np.arange(0.0, seconds)
        root = low + generator.integers(0, 12, 8)[np.arange(len(onset)) % 8]
        third = generator.choice([3, 4], 8)[np.arange(len(onset)) % 8]
        return part(np.tile(onset, 3), np.concatenate([root, root + third, root + 7]), PIANO)

    @classmethod
    def song(cls, seed: int, notes: int = 120) -> Notes:
        """A tune with chords below it."""
        melody = cls.melody(seed, notes)
        return joined(melody, cls.chords(seed, melody.onset[-1], 40))

    @staticmethod
    def recording(seed: int, chords: int = 260) -> Notes:
        """A performance on the piano, of one to five notes at a time."""
        generator = np.random.default_rng([3, seed])
        onset = np.cumsum(generator.choice([0.125, 0.25, 0.25, 0.375, 0.5], chords))
        melody = 62 + np.abs(np.cumsum(generator.integers(-7, 8, chords)) % 44 - 22)
        below = generator.integers(4, 30, (4, chords))
        sounds = np.arange(4)[:, None] < generator.integers(0, 5, chords)
        pitch, start = (melody - below)[sounds], np.broadcast_to(onset, sounds.shape)[sounds]
        return part(np.concatenate([onset, start]), np.concatenate([melody, pitch]), PIANO)

    @staticmethod
    def transcription(notes: Notes, seed: int, lost: float = 0.1, ghosts: float = 0.08) -> Notes:
        """What a transcriber hears: notes lost and invented, onsets some 10 ms off."""
        generator = np.random.default_rng([4, seed])
        heard = chosen(notes, generator.random(len(notes)) >= lost)
        jitter = generator.normal(0, 0.008, len(heard))
        count = int(ghosts * len(notes))
        at, pitch = generator.uniform(0, notes.onset[-1], count), generator.integers(30, 90, count)
        return joined(part(np.abs(heard.onset + jitter), heard.pitch, PIANO), part(at, pitch, PIANO))

    @staticmethod
    def performance(notes: Notes, seed: int = 0) -> Notes:
        """The same notes in another time, up to 12 % faster and slower by turns."""
        phase = np.random.default_rng([5, seed]).uniform(0, 2 * np.pi)
        angle = 2 * np.pi * notes.onset / 16 + phase
        time = notes.onset + 0.12 * 16 / (2 * np.pi) * (np.sin(angle) - np.sin(phase))
        return replace(notes, onset=time)

    @staticmethod
    def moved(notes: Notes, semitones: int = 0, stretch: float = 1.0) -> Notes:
        pitch = (notes.pitch.astype(np.int64) + semitones).astype(np.uint8)
        return replace(notes, pitch=pitch, onset=notes.onset * stretch, duration=notes.duration * stretch)

    @staticmethod
    def excerpt(notes: Notes, begin: float, end: float) -> Notes:
        """The part between two shares of the time."""
        first, last = begin * notes.onset[-1], end * notes.onset[-1]
        cut = chosen(notes, (notes.onset >= first) & (notes.onset <= last))
        return replace(cut, onset=cut.onset - cut.onset[0])

    @staticmethod
    def thinned(notes: Notes, share: float, seed: int = 0) -> Notes:
        """The notes but for a share of them."""
        return chosen(notes, np.random.default_rng([6, seed]).random(len(notes)) >= share)

    @staticmethod
    def progression(seed: int) -> Notes:
        """Sixteen triads, each four times: all of these have one rhythm and one voicing."""
        generator = np.random.default_rng([7, seed])
        scale, key = np.array([0, 2, 4, 5, 7, 9, 11]), generator.integers(40, 52)
        degree = np.repeat(generator.integers(0, 7, 16), 4)
        onset = np.arange(64) / 2
        triad = [key + scale[(degree + step) % 7] + 12 * ((degree + step) // 7) for step in (0, 2, 4)]
        return part(np.tile(onset, 3), np.concatenate(triad), PIANO)

    @staticmethod
    def bass_pattern(seconds: float) -> Notes:
        """The same walking bass for any song."""
        onset = np.arange(0.0, seconds, 0.5)
        return part(onset, 36 + np.array([0, 4, 7, 9, 10, 9, 7, 4])[np.arange(len(onset)) % 8], BASS)

    @staticmethod
    def drum_loop(seconds: float) -> Notes:
        onset = np.arange(0.0, seconds, 0.25)
        return part(onset, np.array([36, 42, 38, 42, 36, 46, 38, 49])[np.arange(len(onset)) % 8], 0, drum=True)

    @staticmethod
    def runs(seed: int) -> Notes:
        """Free notes and runs through a major scale by turns."""
        generator = np.random.default_rng([8, seed])
        key = 36 + int(generator.integers(0, 12))
        scale = [key + 12 * octave + step for octave in range(5) for step in (0, 2, 4, 5, 7, 9, 11)]
        pitch: list[int] = []
        for _ in range(12):
            pitch += generator.integers(60, 84, 8).tolist()
            begin = int(generator.integers(0, 14))
            run = scale[begin : begin + int(generator.integers(8, 16))]
            pitch += run if generator.random() < 0.5 else run[::-1]
        return part(np.arange(len(pitch)) / 4, np.array(pitch), PIANO)

    joined = staticmethod(joined)


@pytest.fixture(scope="session")
def music() -> type[Music]:
    return Music


def sketches_of(pieces: Sequence[Notes]) -> Sketches:
    return Sketches.of(pl.Series([fingerprint(notes).tobytes() for notes in pieces], dtype=pl.Binary))


@pytest.fixture(scope="session")
def sketch_all() -> Callable[[Sequence[Notes]], Sketches]:
    """The sketches of some pieces."""
    return sketches_of


@pytest.fixture(scope="module")
def pieces() -> list[Notes]:
    """Songs, two of them with a copy in another key, one with two, and a piece without a feature."""
    songs = [Music.song(seed, 60) for seed in range(8)]
    copies = [Music.moved(songs[seed], by) for seed, by in ((1, 2), (3, -3), (3, 4))]
    return [*songs, Music.melody(0, 3), *copies]


@pytest.fixture(scope="module")
def found(pieces: list[Notes]) -> Sketches:
    """The sketches of `pieces`."""
    return sketches_of(pieces)
