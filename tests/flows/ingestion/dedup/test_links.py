"""Links: which pairs are related or duplicates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup.index import build_index
from flows.ingestion.dedup.links import MEASURES, Relation, Rules, measure, relation_of
from flows.ingestion.dedup.sketches import Sketches
from tokenization.fingerprint import Match
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]
RULES = Rules(related=1.7, duplicate=0.7)


def all_pairs(sketches: Sketches, rules: Rules = RULES) -> pl.DataFrame:
    pairs = np.array([*combinations(range(len(sketches.first_voice) - 1), 2)], np.int64).reshape(-1, 2)
    return measure(sketches, build_index(sketches), pairs[:, 0].copy(), pairs[:, 1].copy(), rules)


@pytest.fixture
def relation(sketch_all: SketchAll) -> Callable[..., Relation]:
    """The relation of two pieces, with nothing else there."""

    def of(one: Notes, other: Notes, rules: Rules = RULES) -> Relation:
        return Relation(all_pairs(sketch_all([one, other]), rules)["relation"].item())

    return of


class TestRelation:
    def test_edits_are_duplicates(self, relation: Any, music: Any) -> None:
        song = music.song(1)
        assert relation(song, song) == Relation.DUPLICATE
        assert relation(song, music.moved(song, 5)) == Relation.DUPLICATE
        assert relation(song, music.moved(song, -2, 1.3)) == Relation.DUPLICATE
        assert relation(song, music.thinned(song, 0.01)) == Relation.DUPLICATE

    def test_another_performance_is_related(self, relation: Any, music: Any) -> None:
        """All the features are there, but not at one steady tempo."""
        assert relation(music.song(1), music.performance(music.song(1))) == Relation.RELATED

    def test_an_excerpt_is_related(self, relation: Any, music: Any) -> None:
        assert relation(music.song(1), music.excerpt(music.song(1), 0.4, 0.6)) == Relation.RELATED

    @pytest.mark.parametrize("low", [40, 75])
    def test_a_melody_is_related_to_its_arrangement(self, relation: Any, music: Any, low: int) -> None:
        """Also where chords above it hide it in the whole."""
        melody = music.melody(1)
        arranged = music.joined(melody, music.chords(1, melody.onset[-1], low))
        assert relation(music.moved(melody, 3, 0.9), arranged) == Relation.RELATED

    def test_other_music_is_not_related(self, relation: Any, music: Any) -> None:
        assert {relation(music.song(a), music.song(b)) for a, b in combinations(range(8), 2)} == {Relation.NONE}

    def test_the_same_part_in_two_pieces_makes_no_duplicates(self, relation: Any, music: Any) -> None:
        """One melody with two accompaniments above it: a voice of each is equal, the whole is not."""
        melody = music.melody(1)
        one, other = (music.joined(melody, music.chords(seed, melody.onset[-1], 80)) for seed in (1, 2))
        assert relation(one, other) == Relation.RELATED

    @pytest.mark.parametrize(("evidence", "expected"), [(5.0, Relation.NONE), (7.0, Relation.RELATED)])
    def test_an_instrument_alone_needs_more_in_common(
        self, sketch_all: SketchAll, music: Any, evidence: float, expected: Relation
    ) -> None:
        """A ground bass has few features, all of which are in other pieces on the same bass."""
        found = sketch_all([music.song(1), music.song(2)])
        whole, other = found.first_voice[:2].tolist()
        all_of_one = Match(evidence, 1.0, 0.2, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 9.0, 0.0, 9.0)
        assert found.piece[whole + 1] == found.piece[whole], "the second voice is an instrument of the same piece"
        assert relation_of(found, whole, other, all_of_one, RULES) == Relation.RELATED
        assert relation_of(found, whole + 1, other, all_of_one, RULES) == expected

    def test_thresholds_decide(self, relation: Any, music: Any) -> None:
        song, thinned = music.song(1), music.thinned(music.song(1), 0.1)
        assert relation(song, thinned, Rules(1.7, 0.3)) == Relation.DUPLICATE
        assert relation(song, thinned, Rules(1.7, 0.9)) == Relation.RELATED
        assert relation(song, thinned, Rules(1000.0, 0.3)) == Relation.NONE


class TestMeasure:
    def test_has_a_row_for_each_pair_in_order(self, sketch_all: SketchAll, music: Any) -> None:
        found = all_pairs(sketch_all([music.song(seed) for seed in (0, 1, 0)]))
        assert found.columns == ["left", "right", "relation", *MEASURES]
        assert found.select("left", "right").rows() == [(0, 1), (0, 2), (1, 2)]
        assert found["relation"].to_list() == [0, 2, 0]

    def test_says_where_the_common_music_is(self, sketch_all: SketchAll, music: Any) -> None:
        song = music.song(1)
        (row,) = all_pairs(sketch_all([song, music.moved(music.excerpt(song, 0.5, 0.8), 4)])).to_dicts()
        assert row["transposition"] == 4
        assert row["begin_a"] - row["begin_b"] == pytest.approx(0.5 * song.onset[-1], abs=1)
        assert row["containment"] > 0.9 > 0.6 > row["resemblance"]

    def test_of_pieces_without_features_there_is_nothing(self, sketch_all: SketchAll, music: Any) -> None:
        (row,) = all_pairs(sketch_all([music.melody(0, 3), music.melody(0, 3)])).to_dicts()
        assert (row["relation"], row["evidence"]) == (0, 0)

    def test_of_no_pairs_there_are_no_rows(self, sketch_all: SketchAll) -> None:
        assert len(all_pairs(sketch_all([]))) == 0
