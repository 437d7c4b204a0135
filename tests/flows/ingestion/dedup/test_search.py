"""The search of links finds what comparing all pairs finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup.index import build_index
from flows.ingestion.dedup.links import Rules, measure
from flows.ingestion.dedup.search import find_links, root
from flows.ingestion.dedup.sketches import Sketches
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]
RULES = Rules(related=1.7, duplicate=0.7)


def all_pairs(sketches: Sketches) -> pl.DataFrame:
    pairs = np.array([*combinations(range(len(sketches.first_voice) - 1), 2)], np.int64).reshape(-1, 2)
    return measure(sketches, build_index(sketches), pairs[:, 0].copy(), pairs[:, 1].copy(), RULES)


def joined_by(pairs: Sequence[tuple[int, int]], n: int) -> set[frozenset[int]]:
    """The groups of more than one that pairs join."""
    groups = {i: {i} for i in range(n)}
    for one, other in pairs:
        both = groups[one] | groups[other]
        for member in both:
            groups[member] = both
    return {frozenset(group) for group in groups.values() if len(group) > 1}


class TestSearch:
    @pytest.fixture
    def collection(self, music: Any, sketch_all: SketchAll) -> Sketches:
        """Some dozens of pieces: songs, some with a performance, an excerpt, a melody or a further edit; recordings."""
        songs = [music.song(seed) for seed in range(18)]
        performances = [music.performance(song, seed) for seed, song in enumerate(songs[:4])]
        excerpts = [music.excerpt(song, 0.3, 0.6) for song in songs[3:7]]
        melodies = [music.moved(music.melody(seed), 2, 1.1) for seed in range(7, 10)]
        edits = [music.thinned(song, 0.03, seed) for seed, song in enumerate(songs[9:12])]
        twice = [music.thinned(performance, 0.05, seed) for seed, performance in enumerate(performances)]
        recordings = [music.recording(seed) for seed in range(3)]
        heard = [music.transcription(notes, seed, 0.05, 0.04) for seed, notes in enumerate(recordings)]
        return sketch_all([*songs, *performances, *excerpts, *melodies, *edits, *twice, *recordings, *heard])

    def test_joins_what_comparing_all_pairs_joins(self, collection: Sketches) -> None:
        n = len(collection.first_voice) - 1
        brute = all_pairs(collection).filter(pl.col("relation") > 0)
        parent = np.arange(n)
        left, right = find_links(collection, build_index(collection), RULES, parent)
        expected = joined_by(brute.select("left", "right").rows(), n)
        assert joined_by([*zip(left.tolist(), right.tolist(), strict=True)], n) == expected
        assert joined_by([(i, root(parent, i)) for i in range(n)], n) == expected
        assert len(expected) == 4 + 3 + 3 + 2 + 3, "a kind of relation is missing"

    def test_each_link_joins_two_families_that_were_apart(self, collection: Sketches) -> None:
        parent = np.arange(len(collection.first_voice) - 1)
        left, right = find_links(collection, build_index(collection), RULES, parent)
        roots = {root(parent, i) for i in range(len(parent))}
        assert len(left) == len(right) == len(parent) - len(roots)

    def test_among_nothing_finds_nothing(self, sketch_all: SketchAll) -> None:
        sketches = sketch_all([])
        left, right = find_links(sketches, build_index(sketches), RULES, np.arange(0))
        assert len(left) == len(right) == 0
