"""The test of candidates, which spares comparing most of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.ingestion.dedup.links import Rules, compare_voices, relation_of
from flows.ingestion.dedup.promise import fill, is_promising, table_for
from flows.ingestion.dedup.sketches import Sketches
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]
RULES = Rules(related=1.7, duplicate=0.7)


@pytest.fixture(scope="module")
def collection(music: Any, sketch_all: SketchAll) -> Sketches:
    """Pieces related in every way, and runs through scales, which have much in common and make few relations."""
    songs = [music.song(seed) for seed in range(3)]
    edits = [music.thinned(songs[0], 0.2, 1), music.excerpt(songs[1], 0.3, 0.7), music.moved(music.melody(2), 2, 1.1)]
    recordings = [music.recording(seed) for seed in range(2)]
    heard = [music.transcription(notes, seed, 0.05, 0.04) for seed, notes in enumerate(recordings)]
    return sketch_all([*songs, *edits, *recordings, *heard, *(music.runs(seed) for seed in range(12))])


@pytest.fixture(scope="module")
def pairs(collection: Sketches) -> list[tuple[int, int]]:
    """The pairs of voices of two pieces."""
    voices = combinations(range(len(collection.piece)), 2)
    return [(one, other) for one, other in voices if collection.piece[one] != collection.piece[other]]


def weights(collection: Sketches, seed: int, most: int) -> NDArray[np.uint8]:
    """Weights that depend on a feature's hash alone."""
    hashes = (collection.words >> np.uint64(32)) * np.uint64(2 * seed + 3) % np.uint64(2**31 - 1)
    return (hashes % np.uint64(most + 1)).astype(np.uint8)


def promising(collection: Sketches, weight: NDArray[np.uint8], one: int, other: int, in_order: bool = True) -> bool:
    table = table_for(collection)
    return is_promising(collection, weight, one, other, in_order, RULES, table, fill(collection, one, table))


@pytest.mark.parametrize(("seed", "most"), [(0, 255), (1, 255), (2, 120), (3, 60)])
def test_all_that_make_a_relation_pass(
    seed: int, most: int, collection: Sketches, pairs: list[tuple[int, int]]
) -> None:
    weight, found = weights(collection, seed, most), 0
    for one, other in pairs:
        if relation_of(collection, one, other, compare_voices(collection, weight, one, other), RULES):
            assert promising(collection, weight, one, other)
            found += 1
    assert found > 3


def test_most_others_fail_however_much_they_have_in_common(collection: Sketches, pairs: list[tuple[int, int]]) -> None:
    weight = np.full(len(collection.words), 255, np.uint8)
    passed = [pair for pair in pairs if promising(collection, weight, *pair)]
    matches = [compare_voices(collection, weight, *pair) for pair in pairs]
    some = [match for match in matches if match.evidence]
    assert len(passed) < len(some) < len(pairs)


def test_none_passes_for_features_that_weigh_less(collection: Sketches, pairs: list[tuple[int, int]]) -> None:
    weight = weights(collection, 5, 255)
    less = weight // 3 * 2
    for pair in pairs:
        assert promising(collection, less, *pair) <= promising(collection, weight, *pair)


def test_it_does_not_matter_whose_table_is_made(collection: Sketches, pairs: list[tuple[int, int]]) -> None:
    weight = weights(collection, 4, 200)
    for one, other in pairs:
        assert promising(collection, weight, one, other) == promising(collection, weight, other, one, in_order=False)
