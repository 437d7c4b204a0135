"""Families: clusters of verified links, the tree that holds them, what is dropped, and what a person declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.ingestion.dedup.families import COMPARISONS, Declared, Families, find_families
from flows.ingestion.dedup.index import build_index
from flows.ingestion.dedup.links import Relation, Rules, measure
from flows.ingestion.dedup.sketches import Sketches
from tokenization.midi.notes import Notes

RULES = Rules(related=1.7, duplicate=0.7)
SketchAll = Callable[[Sequence[Notes]], Sketches]
Find = Callable[..., Families]
Check = Callable[[Sequence[Notes], Families], None]


@pytest.fixture(scope="session")
def find(sketch_all: SketchAll) -> Find:
    """Finds the families of pieces, the first ones preferred unless `rank` says otherwise."""

    def families(
        pieces: Sequence[Notes],
        rank: NDArray[np.int64] | None = None,
        drop: Relation | None = Relation.DUPLICATE,
        **declared: list[tuple[int, int]],
    ) -> Families:
        said = Declared(*(declared.get(key, []) for key in ("same", "related", "different")))
        return find_families(sketch_all(pieces), np.arange(len(pieces)) if rank is None else rank, RULES, drop, said)

    return families


@pytest.fixture(scope="session")
def check(sketch_all: SketchAll) -> Check:
    """Checks what holds of all families: links lead to the best member, and each dropped piece was verified itself."""

    def checked(pieces: Sequence[Notes], found: Families) -> None:
        n = len(pieces)
        assert (found.best[found.best] == found.best).all()
        assert (found.kept[found.kept] == found.kept).all(), "dropped in favour of a dropped piece"
        assert (found.best[found.kept] == found.best).all()
        assert (found.kept[found.best] == found.best).all(), "the best member is dropped"
        assert ((found.linked < 0) == (found.best == np.arange(n))).all()
        for piece in range(n):
            here, steps = piece, 0
            while found.linked[here] >= 0:
                here, steps = int(found.linked[here]), steps + 1
                assert steps < n, "links in a circle"
            assert here == found.best[piece]
        dropped = np.flatnonzero(found.kept != np.arange(n))
        is_leaf = found.linked[dropped] == found.kept[dropped]
        assert (found.linked[found.kept[dropped[~is_leaf]]] == dropped[~is_leaf]).all()
        assert (found.relation[dropped[is_leaf]] == Relation.DUPLICATE).all()
        sketches = sketch_all(pieces)
        pairs = measure(sketches, build_index(sketches), dropped, found.kept[dropped], RULES)
        assert set(pairs["relation"]) <= {int(Relation.DUPLICATE)}

    return checked


def groups(found: Families) -> set[frozenset[int]]:
    """The families of more than one, as sets of indices."""
    members = [frozenset(np.flatnonzero(found.best == best).tolist()) for best in np.unique(found.best)]
    return {family for family in members if len(family) > 1}


def medley(music: Any, *parts: Notes) -> Notes:
    """One piece after the other."""
    begin, placed = 0.0, []
    for notes in parts:
        placed.append(Notes.from_columns(notes.onset + begin, *(getattr(notes, name) for name in COLUMNS[1:])))
        begin += notes.onset[-1] + 1
    return music.joined(*placed)


COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


class TestFamilies:
    def test_join_what_is_linked(self, find: Find, check: Check, music: Any) -> None:
        songs = [music.song(seed) for seed in range(5)]
        pieces = [*songs, music.moved(songs[1], 3, 1.1), music.excerpt(songs[1], 0.2, 0.5), music.performance(songs[4])]
        found = find(pieces)
        assert groups(found) == {frozenset({1, 5, 6}), frozenset({4, 7})}
        assert found.kept.tolist() == [0, 1, 2, 3, 4, 1, 6, 7]
        assert found.relation[[5, 6, 7]].tolist() == [Relation.DUPLICATE, Relation.RELATED, Relation.RELATED]
        check(pieces, found)

    def test_hold_a_chain_together_link_by_link(self, find: Find, check: Check, music: Any) -> None:
        """The first and the last of three medleys have nothing in common."""
        tunes = [music.melody(100 + seed, 80) for seed in range(4)]
        pieces = [medley(music, *tunes[i : i + 2]) for i in range(3)]
        found = find(pieces)
        assert found.best.tolist() == [0, 0, 0]
        assert found.linked.tolist() == [-1, 0, 1]
        assert found.kept.tolist() == [0, 1, 2]
        assert found.similarity[1:] == pytest.approx([0.5, 0.5], abs=0.15)
        check(pieces, found)

    def test_say_how_strong_each_link_is(self, find: Find, music: Any) -> None:
        song = music.song(1)
        found = find([song, music.moved(song, 2), music.excerpt(song, 0.0, 0.3), music.song(2)])
        assert found.similarity[[0, 3]].tolist() == found.evidence[[0, 3]].tolist() == [0, 0]
        assert found.similarity[1] == pytest.approx(1, abs=0.01)
        assert found.similarity[2] > 0.9
        assert found.evidence[1] > 2 * found.evidence[2] > 7

    def test_the_preferred_member_is_the_best(self, find: Find, check: Check, music: Any) -> None:
        song = music.song(1)
        pieces = [song, music.moved(song, 2), music.performance(song), music.song(2)]
        found = find(pieces, np.array([3, 1, 0, 2]))
        assert found.best.tolist() == [2, 2, 2, 3]
        assert found.kept.tolist() == [1, 1, 2, 3]
        assert found.linked.tolist() == [1, 2, -1, -1], "links in a circle"
        check(pieces, found)

    def test_a_kept_piece_may_be_linked_by_its_duplicate(self, find: Find, check: Check, music: Any) -> None:
        """A short tune, a medley that ends with it, and the medley without it, which is preferred to the whole one."""
        short, long = music.melody(100, 14), music.melody(103, 80)
        pieces = [short, medley(music, long, short), long]
        found = find(pieces, np.array([0, 2, 1]))
        assert found.best.tolist() == [0, 0, 0]
        assert found.kept.tolist() == [0, 2, 2]
        assert found.linked.tolist() == [-1, 0, 1]
        assert found.relation[1:].tolist() == [Relation.RELATED, Relation.DUPLICATE]
        check(pieces, found)

    @pytest.mark.parametrize("seed", range(5))
    def test_the_order_of_pieces_does_not_matter(self, find: Find, check: Check, music: Any, seed: int) -> None:
        songs = [music.song(number, 60) for number in range(8)]
        pieces = songs + [music.performance(song, number) for number, song in enumerate(songs[:4])]
        pieces += [music.moved(song, 1) for song in songs[2:6]] + [music.excerpt(song, 0.1, 0.5) for song in songs[:3]]
        order = np.random.default_rng(seed).permutation(len(pieces))
        plain, shuffled = find(pieces), find([pieces[i] for i in order], order)
        place = np.argsort(order)
        assert order[shuffled.best[place]].tolist() == plain.best.tolist()
        assert order[shuffled.kept[place]].tolist() == plain.kept.tolist()
        assert shuffled.relation[place].tolist() == plain.relation.tolist()
        check(pieces, plain)

    def test_a_large_family_is_whole_and_what_it_drops_is_verified(self, find: Find, check: Check, music: Any) -> None:
        song = music.song(1, 160)
        pieces = [music.thinned(song, 0.03, seed) for seed in range(84)]
        assert len(pieces) * (len(pieces) - 1) / 2 > COMPARISONS
        found = find(pieces)
        assert set(found.best.tolist()) == {0}
        assert 0 < (found.kept != np.arange(len(pieces))).sum() < len(pieces) - 1
        check(pieces, found)


class TestDrop:
    @pytest.fixture
    def pieces(self, music: Any) -> list[Notes]:
        song = music.song(1)
        return [song, music.moved(song, 2), music.performance(song), music.moved(music.performance(song), 1)]

    def test_of_duplicates_keeps_other_performances(self, find: Find, pieces: list[Notes]) -> None:
        assert find(pieces).kept.tolist() == [0, 0, 2, 2]

    def test_of_relatives_keeps_one(self, find: Find, pieces: list[Notes]) -> None:
        found = find(pieces, drop=Relation.RELATED)
        assert found.kept.tolist() == [0, 0, 0, 0]
        assert found.relation[[1, 2]].tolist() == [Relation.DUPLICATE, Relation.RELATED]

    def test_of_relatives_keeps_one_that_is_related_only_by_another(self, find: Find, music: Any) -> None:
        tunes = [music.melody(100 + seed, 80) for seed in range(4)]
        found = find([medley(music, *tunes[i : i + 2]) for i in range(3)], drop=Relation.RELATED)
        assert found.kept.tolist() == [0, 0, 2]

    def test_of_nothing_keeps_all(self, find: Find, pieces: list[Notes]) -> None:
        found = find(pieces, drop=None)
        assert found.kept.tolist() == [0, 1, 2, 3]
        assert set(found.best.tolist()) == {0}


class TestDeclared:
    def test_the_same_are_one_family_and_one_is_kept(self, find: Find, music: Any) -> None:
        pieces = [music.song(seed) for seed in range(3)]
        found = find(pieces, same=[(0, 2)])
        assert found.best.tolist() == found.kept.tolist() == [0, 1, 0]
        assert found.relation.tolist() == [0, 0, Relation.DUPLICATE]

    def test_related_are_one_family_and_both_are_kept(self, find: Find, music: Any) -> None:
        found = find([music.song(seed) for seed in range(3)], related=[(2, 0)])
        assert found.best.tolist() == [0, 1, 0]
        assert found.kept.tolist() == [0, 1, 2]
        assert (found.linked[2], found.relation[2]) == (0, Relation.RELATED)

    def test_related_duplicates_are_both_kept(self, find: Find, music: Any) -> None:
        pieces = [music.song(0), music.moved(music.song(0), 1)]
        assert find(pieces).kept.tolist() == [0, 0]
        assert find(pieces, related=[(0, 1)]).kept.tolist() == [0, 1]

    def test_different_ones_are_two_families(self, find: Find, music: Any) -> None:
        pieces = [music.song(0), music.performance(music.song(0)), music.moved(music.song(0), 2)]
        found = find(pieces, different=[(0, 1)])
        assert found.best[0] != found.best[1]
        assert found.best[2] == 0, "its link to the first one is stronger"
        assert found.linked[1] == -1

    def test_between_different_ones_the_weakest_link_is_cut(self, find: Find, check: Check, music: Any) -> None:
        """Three medleys in a chain, the second link of a shorter tune."""
        tunes = [music.melody(100 + seed, notes) for seed, notes in enumerate((80, 80, 40, 80))]
        pieces = [medley(music, *tunes[:2]), medley(music, *tunes[1:3]), medley(music, *tunes[2:])]
        assert groups(find(pieces)) == {frozenset({0, 1, 2})}
        found = find(pieces, different=[(0, 2)])
        assert groups(found) == {frozenset({0, 1})}
        check(pieces, found)

    def test_different_edits_are_two_families(self, find: Find, music: Any) -> None:
        """Also where all their features are equal."""
        pieces = [music.song(0), music.moved(music.song(0), 5)]
        assert find(pieces, different=[(0, 1)]).best.tolist() == [0, 1]


class TestFewPieces:
    @pytest.mark.parametrize("n", [0, 1])
    def test_are_families_of_one(self, find: Find, music: Any, n: int) -> None:
        found = find([music.song(0)] * n)
        assert found.best.tolist() == found.kept.tolist() == list(range(n))
        assert found.linked.tolist() == [-1] * n

    def test_without_features_are_equal_to_nothing(self, find: Find, music: Any) -> None:
        found = find([music.melody(seed, 4) for seed in (0, 0, 1)])
        assert found.best.tolist() == [0, 1, 2]

    def test_of_one_feature_are_too_little_to_be_linked(self, find: Find, music: Any) -> None:
        assert find([music.melody(0, 5), music.song(0)]).best.tolist() == [0, 1]
