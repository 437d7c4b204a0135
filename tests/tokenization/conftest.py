"""What the tests of `tokenization` share: a vocabulary, the encoding, notes by hand and notes at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

settings.register_profile("tokenization", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tokenization")

NoteTuple = tuple[float, float, int, int, int, bool]
"""Onset and duration in seconds, pitch, velocity, program, drum."""


def notes_from(rows: list[NoteTuple], tempo: float = 120.0) -> Notes:
    return Notes.from_columns(*(zip(*rows) if rows else [()] * 6), tempo=tempo)


@pytest.fixture(scope="session")
def make_notes() -> Callable[..., Notes]:
    """Notes from (onset, duration, pitch, velocity, program, drum) rows, in seconds."""
    return notes_from


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """MuseNet's vocabulary with three styles: bach 4226, chopin 4227, jazz 4228."""
    return Vocabulary.load("musenet", styles=["chopin", "bach", "jazz"])


@pytest.fixture(scope="session")
def encoding(vocabulary: Vocabulary) -> Combined:
    return Combined(vocabulary)


@pytest.fixture(scope="session")
def midi_folder() -> Path:
    """The project's own MIDI files, good and broken; their SOURCES.md says what each is."""
    return Path(__file__).parents[1] / "fixtures" / "midi"


@pytest.fixture(scope="session")
def pieces() -> st.SearchStrategy[Notes]:
    """Random pieces of at least one note.

    Half of them crowd few pitches, instruments and times, so that notes collide, overlap and repeat; the others
    are anywhere.
    """
    crowded = st.tuples(
        st.integers(0, 60).map(lambda ticks: ticks / 96),
        st.integers(0, 30).map(lambda ticks: ticks / 96),
        st.sampled_from([60, 61, 127]),
        st.integers(1, 127),
        st.sampled_from([0, 40, 41, 46]),
        st.booleans(),
    )
    anywhere = st.tuples(
        st.floats(0, 600, allow_subnormal=False),
        st.floats(0, 20, allow_subnormal=False),
        st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, 127),
        st.booleans(),
    )
    rows = st.one_of(st.lists(crowded, min_size=1, max_size=40), st.lists(anywhere, min_size=1, max_size=25))
    return st.builds(notes_from, rows, st.floats(10, 300))


@pytest.fixture(scope="session")
def token_arrays(vocabulary: Vocabulary) -> st.SearchStrategy[np.ndarray]:
    """Random token sequences, music-like or not, also with ids that the vocabulary does not have."""
    crowded = st.sampled_from(
        # on, on again and off of one pitch, a violin's, a drum, short and longest wait, every header and special id
        [
            7 * 128 + 60,
            14 * 128 + 60,
            60,
            15 * 128 + 60,
            3840 + 60,
            3968,
            3979,
            4095,
            4096,
            *range(4225, 4230),
            *range(vocabulary.tempo_base, vocabulary.size),
        ]
    )
    known = st.integers(0, vocabulary.size - 1)
    music = st.integers(0, vocabulary.start - 1)
    lists = st.one_of(*(st.lists(ids, max_size=60) for ids in (crowded, music, known, st.integers(0, 0xFFFF))))
    return lists.map(lambda ids: np.array(ids, np.uint16))
