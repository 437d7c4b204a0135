"""The search of links finds what comparing all pairs finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup import search as link_search
from flows.ingestion.dedup.grown_index import Growth, grow_index
from flows.ingestion.dedup.index import Standing, build_index
from flows.ingestion.dedup.links import Rules, measure
from flows.ingestion.dedup.pairs import NOT_COMPARED, Pairs
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


@pytest.fixture(scope="module")
def collection(music: Any, sketch_all: SketchAll) -> Sketches:
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


@pytest.fixture(scope="module")
def different(collection: Sketches) -> Sketches:
    """Of pieces with the same features the first one."""
    return collection.take(np.sort(np.unique(collection.features, return_index=True)[1]))


class TestSearch:
    def test_joins_what_comparing_all_pairs_joins(self, collection: Sketches) -> None:
        n = len(collection.first_voice) - 1
        brute = all_pairs(collection).filter(pl.col("relation") > 0)
        parent = np.arange(n)
        left, right, _ = find_links(collection, build_index(collection), RULES, parent)
        expected = joined_by(brute.select("left", "right").rows(), n)
        assert joined_by([*zip(left.tolist(), right.tolist(), strict=True)], n) == expected
        assert joined_by([(i, root(parent, i)) for i in range(n)], n) == expected
        assert len(expected) == 4 + 3 + 3 + 2 + 3, "a kind of relation is missing"

    def test_each_link_joins_two_families_that_were_apart(self, collection: Sketches) -> None:
        parent = np.arange(len(collection.first_voice) - 1)
        left, right, _ = find_links(collection, build_index(collection), RULES, parent)
        roots = {root(parent, i) for i in range(len(parent))}
        assert len(left) == len(right) == len(parent) - len(roots)

    def test_in_many_parts_finds_the_same(self, different: Sketches, monkeypatch: pytest.MonkeyPatch) -> None:
        index, parent, others = build_index(different), *(np.arange(len(different.total)) for _ in range(2))
        *_, whole = find_links(different, index, RULES, parent)
        monkeypatch.setattr(link_search, "LEAST_PART", 1)
        *_, divided = find_links(different, index, RULES, others)
        for one, other in zip(whole, divided, strict=True):
            assert one.tolist() == other.tolist()
        assert parent.tolist() == others.tolist()

    def test_among_nothing_finds_nothing(self, sketch_all: SketchAll) -> None:
        sketches = sketch_all([])
        left, right, _ = find_links(sketches, build_index(sketches), RULES, np.arange(0))
        assert len(left) == len(right) == 0


class TestPairs:
    """The promising pairs of voices, which a later search begins with."""

    def test_hold_every_link(self, different: Sketches) -> None:
        left, right, pairs = search(different)
        linked = pairs.relation.astype(int) % NOT_COMPARED > 0
        ends = zip(different.piece[pairs.left[linked]], different.piece[pairs.right[linked]], strict=True)
        assert {frozenset(pair) for pair in ends} >= {frozenset(pair) for pair in zip(left, right, strict=True)}

    def test_are_of_two_pieces_each_and_each_once(self, different: Sketches) -> None:
        _, _, pairs = search(different)
        assert (different.piece[pairs.left] != different.piece[pairs.right]).all()
        both = np.sort(np.stack([pairs.left, pairs.right]), axis=0)
        assert len(np.unique(both, axis=1)[0]) == len(pairs.left)

    def test_and_links_do_not_depend_on_the_order_of_pieces(self, different: Sketches) -> None:
        n = len(different.total)
        order = np.random.default_rng(0).permutation(n)
        moved, number = reordered(different, order), np.argsort(order)
        expected, found = search(different), search(moved)
        assert linked_pieces(found, number) != linked_pieces(found, np.arange(n))
        assert linked_pieces(found, order) == linked_pieces(expected, np.arange(n))
        assert len(found[2].left) == len(expected[2].left)


class TestGrowth:
    """A search that begins with what an earlier one found ends as one of everything does."""

    @pytest.mark.parametrize("new", [1, 5, 20])
    @pytest.mark.parametrize("seed", range(3))
    def test_finds_what_a_search_of_everything_finds(self, different: Sketches, new: int, seed: int) -> None:
        n = len(different.total)
        is_old = np.ones(n, np.bool_)
        is_old[np.random.default_rng(seed).permutation(n)[:new]] = False
        before = different.take(np.flatnonzero(is_old))
        _, _, earlier = search(before)
        numbers = np.flatnonzero(is_old[different.piece]).astype(np.uint32)
        known = Pairs(numbers[earlier.left], numbers[earlier.right], earlier.relation)
        parent = np.arange(n)
        index = grow_index(different, standing(before), Growth(is_old, is_old))
        left, right, pairs = find_links(different, index, RULES, parent, known, is_old)
        expected = search(different)
        assert linked_pieces((left, right, pairs), np.arange(n)) == linked_pieces(expected, np.arange(n))
        assert voices_of(pairs) == voices_of(expected[2])

    def test_over_much_common_material(self, music: Any, sketch_all: SketchAll) -> None:
        """Runs through scales, of which the most common features fill groups that new pieces divide."""
        pieces = [music.runs(seed) for seed in range(120)]
        self.test_finds_what_a_search_of_everything_finds(sketch_all(pieces), 60, 0)

    def test_compares_no_pair_again_of_which_nothing_has_changed(
        self, different: Sketches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Known relations are believed: with all of them turned to links, everything that is promising is joined."""
        n, everything = len(different.total), np.ones(len(different.total), np.bool_)
        _, _, pairs = search(different)
        known = pairs._replace(relation=np.ones(len(pairs.left), np.uint8))
        index = grow_index(different, standing(different), Growth(everything, everything))
        left, _, _ = find_links(different, index, RULES, np.arange(n), known, everything)
        promising = joined_by([*zip(different.piece[pairs.left], different.piece[pairs.right], strict=True)], n)
        assert len(left) == sum(len(group) - 1 for group in promising)


def search(collection: Sketches) -> tuple[Any, Any, Pairs]:
    return find_links(collection, build_index(collection), RULES, np.arange(len(collection.total)))


def standing(collection: Sketches) -> Standing:
    index = build_index(collection)
    return Standing(index.weight, index.depth)


def linked_pieces(found: tuple[Any, Any, Pairs], numbers: Any) -> set[frozenset[int]]:
    """The links, by numbers of pieces."""
    return {frozenset(map(int, pair)) for pair in zip(numbers[found[0]], numbers[found[1]], strict=True)}


def voices_of(pairs: Pairs) -> set[tuple[int, int]]:
    return {*zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}


def reordered(collection: Sketches, order: Any) -> Sketches:
    """The same pieces in another order; entries stay where they are."""
    voices = np.concatenate([np.arange(*collection.first_voice[piece : piece + 2]) for piece in order])
    counts = np.diff(collection.first_voice)[order]
    words = [collection.words[collection.start[voice] : collection.end[voice]] for voice in voices]
    ends = np.cumsum([len(entries) for entries in words])
    all_words = np.concatenate(words)
    all_words.setflags(write=False)  # as those of a collection: else all is compiled again
    columns = [column[voices] for column in (collection.notes, collection.drums, collection.complete, collection.unit)]
    return Sketches(
        all_words,
        ends - np.array([len(entries) for entries in words]),
        ends,
        np.repeat(np.arange(len(order)), counts),
        *columns,
        np.concatenate([[0], np.cumsum(counts)]),
        collection.total[order],
        collection.features[order],
        collection.contents[order],
    )
