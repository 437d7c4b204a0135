"""The file of tested pairs: what it keeps from one search to the next, and when it is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.ingestion.dedup import tested_pairs as module
from flows.ingestion.dedup.families import Families, find_families
from flows.ingestion.dedup.index import Index, build_index
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.pairs import Pairs
from flows.ingestion.dedup.search import find_links
from flows.ingestion.dedup.sketches import Sketches
from flows.ingestion.dedup.tested_pairs import read_pairs, write_pairs
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]
RULES = Rules(related=1.7, duplicate=0.7)


@pytest.fixture(scope="module")
def music_of_many(music: Any) -> list[Notes]:
    """Songs and performances with some notes left out, and one piece without a feature."""
    songs = [music.song(seed) for seed in range(12)]
    performances = [music.performance(music.thinned(song, 0.05, seed), seed) for seed, song in enumerate(songs[:6])]
    return [*songs, music.melody(0, 3), *performances]


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    return tmp_path / "links" / "songs.pairs"


def searched(collection: Sketches) -> tuple[Index, Pairs]:
    index = build_index(collection)
    return index, find_links(collection, index, RULES, np.arange(len(collection.total)))[2]


def of_piece(collection: Sketches, piece: int, values: NDArray[np.uint8]) -> list[int]:
    """The values of a piece's entries."""
    voices = range(*collection.first_voice[piece : piece + 2])
    return [value for voice in voices for value in values[collection.start[voice] : collection.end[voice]].tolist()]


def rows(pairs: Pairs) -> list[tuple[int, int, int]]:
    return [*zip(pairs.left.tolist(), pairs.right.tolist(), pairs.relation.tolist(), strict=True)]


class TestRead:
    def test_returns_more_standings_than_a_byte_tells_apart(
        self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        collection = sketch_all(music_of_many)
        index, pairs = searched(collection)
        random = np.random.default_rng(0)
        weight, depth = random.integers(0, 256, (2, len(index.weight)), np.uint8)
        write_pairs(pairs_file, collection, RULES, index._replace(weight=weight, depth=depth), pairs)
        known = read_pairs(pairs_file, collection, RULES)
        assert known is not None
        for piece in range(len(collection.total)):
            assert of_piece(collection, piece, known.standing.weight) == of_piece(collection, piece, weight)
            assert of_piece(collection, piece, known.standing.depth) == of_piece(collection, piece, depth)

    def test_returns_what_was_written(
        self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        collection = sketch_all(music_of_many)
        index, pairs = searched(collection)
        write_pairs(pairs_file, collection, RULES, index, pairs)
        known = read_pairs(pairs_file, collection, RULES)
        assert known is not None
        assert rows(known.pairs) == rows(pairs) != []
        has_voices = np.diff(collection.first_voice) > 0
        assert known.growth.is_known.tolist() == has_voices.tolist()

    def test_in_the_numbers_of_the_collection_that_grew(
        self, music: Any, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        """New pieces stand before, and the old ones in another order."""
        before = sketch_all(music_of_many)
        index, pairs = searched(before)
        index.depth[before.start] = 9
        write_pairs(pairs_file, before, RULES, index, pairs)
        further = [music.song(seed) for seed in range(50, 53)]
        after = sketch_all([*further, *reversed(music_of_many)])
        known = read_pairs(pairs_file, after, RULES)
        assert known is not None
        n = len(after.total)
        for piece in range(n):
            weight, depth = (of_piece(after, piece, values) for values in known.standing)
            if piece < 3:
                assert (set(weight), set(depth)) == ({255}, {0})
                continue
            assert weight == of_piece(before, n - 1 - piece, index.weight)
            assert depth == of_piece(before, n - 1 - piece, index.depth)
        expected = {
            frozenset((n - 1 - before.piece[left], n - 1 - before.piece[right])) for left, right, _ in rows(pairs)
        }
        ends = zip(after.piece[known.pairs.left], after.piece[known.pairs.right], strict=True)
        assert {frozenset(pair) for pair in ends} == expected

    def test_without_the_pairs_of_a_piece_in_whose_place_is_one_with_the_same_features(
        self, music: Any, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        """The same music in another key: its weights are known, but not its begins and pitches."""
        before = sketch_all(music_of_many)
        index, pairs = searched(before)
        write_pairs(pairs_file, before, RULES, index, pairs)
        after = sketch_all([music.moved(music_of_many[0], 2), *music_of_many[1:]])
        known = read_pairs(pairs_file, after, RULES)
        assert known is not None
        assert of_piece(after, 0, known.standing.weight) == of_piece(before, 0, index.weight)
        assert not known.growth.is_known[0]
        assert known.growth.is_known[1]
        assert not (after.piece[known.pairs.left] == 0).any()
        assert not (after.piece[known.pairs.right] == 0).any()

    def test_nothing_when_a_piece_is_gone(
        self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        """Then what it had in common with others weighs more than it did."""
        before = sketch_all(music_of_many)
        write_pairs(pairs_file, before, RULES, *searched(before))
        assert read_pairs(pairs_file, sketch_all(music_of_many[1:]), RULES) is None
        assert read_pairs(pairs_file, sketch_all([]), RULES) is None

    def test_nothing_of_other_rules(self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path) -> None:
        collection = sketch_all(music_of_many)
        write_pairs(pairs_file, collection, RULES, *searched(collection))
        assert read_pairs(pairs_file, collection, RULES._replace(related=2.0)) is None

    @pytest.mark.parametrize("name", ["_code", "size_class"])
    def test_nothing_of_other_code_or_another_class_of_sizes(
        self,
        name: str,
        music_of_many: list[Notes],
        sketch_all: SketchAll,
        pairs_file: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        collection = sketch_all(music_of_many)
        write_pairs(pairs_file, collection, RULES, *searched(collection))
        monkeypatch.setattr(module, name, lambda *_: "another")
        assert read_pairs(pairs_file, collection, RULES) is None

    def test_nothing_of_a_file_that_is_missing_torn_or_damaged(
        self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        collection = sketch_all(music_of_many)
        assert read_pairs(pairs_file, collection, RULES) is None
        write_pairs(pairs_file, collection, RULES, *searched(collection))
        data = pairs_file.read_bytes()
        for damaged in (b"", data[:10], data[:-1], data + b"\0", data[:-1] + bytes([data[-1] ^ 1]), b"M" + data[1:]):
            pairs_file.write_bytes(damaged)
            assert read_pairs(pairs_file, collection, RULES) is None

    def test_of_no_music(self, sketch_all: SketchAll, pairs_file: Path) -> None:
        nothing = sketch_all([])
        write_pairs(pairs_file, nothing, RULES, build_index(nothing), Pairs.none())
        known = read_pairs(pairs_file, nothing, RULES)
        assert known is not None
        assert len(known.pairs.left) == 0


class TestFamilies:
    """Families found with the file and without are the same."""

    def test_of_a_collection_that_grows_piece_by_piece(
        self, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        order = np.random.default_rng(0).permutation(len(music_of_many))
        for count in (1, 4, 9, 10, 15, len(order)):
            pieces = [music_of_many[i] for i in sorted(order[:count])]
            collection, rank = sketch_all(pieces), np.arange(count)
            assert same(
                find_families(collection, rank, RULES, tested=pairs_file), find_families(collection, rank, RULES)
            )

    def test_with_a_further_copy_that_comes_first(
        self, music: Any, music_of_many: list[Notes], sketch_all: SketchAll, pairs_file: Path
    ) -> None:
        collection = sketch_all(music_of_many)
        find_families(collection, np.arange(len(music_of_many)), RULES, tested=pairs_file)
        grown = sketch_all([music.moved(music_of_many[0], 2), *music_of_many])
        rank = np.arange(len(music_of_many) + 1)
        assert same(find_families(grown, rank, RULES, tested=pairs_file), find_families(grown, rank, RULES))


def same(one: Families, other: Families) -> bool:
    return all(
        np.array_equal(left, right) for left, right in zip(vars(one).values(), vars(other).values(), strict=True)
    )
