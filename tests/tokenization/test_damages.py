"""Damages: each changes what its name says, and nothing else."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from tokenization import damages
from tokenization.midi.notes import Notes

DAMAGES = [
    value
    for _, value in inspect.getmembers(damages, inspect.isfunction)
    if list(inspect.signature(value).parameters) == ["notes", "random"]
]


def tune(count: int = 64) -> Notes:
    random = np.random.default_rng(0)
    onset = np.arange(count) / 4
    programs = [0] * (count // 2) + [40] * (count // 2)
    pitch = random.integers(48, 84, count)
    return Notes.from_columns(
        onset, np.full(count, 0.2), pitch, random.integers(40, 90, count), programs, [False] * count
    )


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_it_leaves_notes_that_can_be_written_and_no_others(damage: damages.Damage) -> None:
    given = tune()
    before = given.pitch.copy()
    found = damage(given, np.random.default_rng(1))
    assert len(found) > 0
    assert (found.onset >= 0).all()
    assert (found.duration > 0).all()
    assert np.array_equal(given.pitch, before), "the notes given stay"
    assert [len(getattr(found, name)) for name in ("onset", "pitch", "velocity", "program", "drum")] == [len(found)] * 5


def test_permuted_pitches_are_the_same_pitches() -> None:
    found = damages.pitches_permuted(tune(), np.random.default_rng(1))
    assert sorted(found.pitch.tolist()) == sorted(tune().pitch.tolist())
    assert found.pitch.tolist() != tune().pitch.tolist()
    assert np.array_equal(found.onset, tune().onset)


def test_shuffled_bars_keep_their_notes() -> None:
    found = damages.bars_shuffled(tune(), np.random.default_rng(1))
    assert np.allclose(np.sort(found.onset), tune().onset)
    assert np.allclose(found.onset % 2, tune().onset % 2), "places in the bar stay"
    assert not np.allclose(found.onset, tune().onset)


def test_one_instrument_of_the_piece_becomes_another() -> None:
    found = damages.instrument_swapped(tune(), np.random.default_rng(1))
    changed = found.program != tune().program
    assert changed.sum() == 32
    assert len(set(found.program[changed].tolist())) == 1
    assert found.program[changed][0] // 8 != tune().program[changed][0] // 8


def test_of_a_mostly_silent_piece_little_is_left() -> None:
    assert 2 <= len(damages.mostly_silent(tune(), np.random.default_rng(1))) <= 3
