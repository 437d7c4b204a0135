"""The index of features, held against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup import index as module
from flows.ingestion.dedup.index import ALONE, GROUP, LONGEST, MOST_TOGETHER, PRIOR, build_index
from flows.ingestion.dedup.sketches import Sketches
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]


def voices_by_hash(found: Sketches) -> dict[int, list[int]]:
    """The voices that have each feature."""
    having: dict[int, list[int]] = {}
    for voice in range(len(found.piece)):
        for entry in found.words[found.start[voice] : found.end[voice]]:
            having.setdefault(int(entry) >> 32, []).append(voice)
    return having


def groups(found: Sketches) -> list[list[int]]:
    """The voices of each group of the index."""
    together: list[list[int]] = []
    for posting in build_index(found).posting.tolist():
        if posting & GROUP:
            together.append([])
        together[-1].append(posting & (GROUP - 1))
    return together


def sharing(own: Sequence[int], common: int = 2**31) -> Sketches:
    """Pieces of one voice, which have a small hash each and a common one."""
    heads = [1, 2 | 400 << 16 | 1 << 31]
    words = [np.array([*heads, hash_ << 32, common << 32], np.uint64).tobytes() for hash_ in own]
    return Sketches.of(pl.Series(words, dtype=pl.Binary))


class TestIndex:
    def test_lists_the_voices_of_each_feature_that_several_have(self, found: Sketches) -> None:
        having = voices_by_hash(found)
        assert groups(found) == [voices for _, voices in sorted(having.items()) if len(voices) > 1]

    def test_gives_each_entry_its_place(self, found: Sketches) -> None:
        index = build_index(found)
        having = voices_by_hash(found)
        for voice in range(len(found.piece)):
            for number in range(found.start[voice], found.end[voice]):
                place = int(index.place[number])
                if place == ALONE:
                    assert having[int(found.words[number]) >> 32] == [voice]
                else:
                    assert int(index.posting[place]) & (GROUP - 1) == voice

    def test_weighs_a_feature_by_the_pieces_that_have_it(self, found: Sketches) -> None:
        """Not by the voices: a tune is in the whole piece and in its instrument."""
        weight, pieces = build_index(found).weight, len(found.first_voice) - 1
        having = voices_by_hash(found)
        for voice in range(len(found.piece)):
            for number in range(found.start[voice], found.end[voice]):
                frequency = len({int(found.piece[other]) for other in having[int(found.words[number]) >> 32]})
                assert weight[number] == round(255 * (1 - log(frequency) / log(pieces + PRIOR)))

    def test_a_feature_of_one_piece_alone_weighs_one(self, music: Any, sketch_all: SketchAll) -> None:
        assert set(build_index(sketch_all([music.song(0)])).weight.tolist()) == {255}

    @pytest.mark.parametrize("fingerprints", [[], [np.zeros(1, np.uint64).tobytes()] * 3])
    def test_of_no_music_is_empty(self, fingerprints: list[bytes]) -> None:
        assert len(build_index(Sketches.of(pl.Series(fingerprints, dtype=pl.Binary))).posting) == 0

    def test_is_the_same_built_in_slices(self, found: Sketches, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = build_index(found)
        monkeypatch.setattr(module, "SLICE", 100)
        for have, want in zip(build_index(found), whole, strict=True):
            assert have.tolist() == want.tolist()


class TestGroups:
    """Pieces are known by their own features, and so are the members of a group."""

    @staticmethod
    def of(own: Sequence[int]) -> set[frozenset[int]]:
        return {frozenset(own[voice] for voice in group) for group in groups(sharing(own))}

    def test_up_to_the_most_voices_are_in_one(self) -> None:
        assert self.of(range(MOST_TOGETHER)) == {frozenset(range(MOST_TOGETHER))}

    def test_of_more_each_is_in_one_of_several(self) -> None:
        found = self.of(range(500))
        assert sorted(voice for group in found for voice in group) == [*range(500)]
        assert len(found) == 32
        assert max(map(len, found)) < 2.5 * MOST_TOGETHER

    def test_do_not_depend_on_the_order_of_pieces(self) -> None:
        assert self.of(np.random.default_rng(0).permutation(500).tolist()) == self.of(range(500))

    @pytest.mark.parametrize("further", [1, 80])
    def test_stay_when_pieces_come(self, further: int) -> None:
        grown = {group & frozenset(range(300)) for group in self.of(range(300 + further))}
        assert grown - {frozenset()} == self.of(range(300))

    def test_of_other_features_are_other_ones(self) -> None:
        one, other = (
            {frozenset(group) for group in groups(sharing(range(100), common))} for common in (2**31, 2**31 + 1)
        )
        assert not one & other

    def test_of_a_very_common_feature_hold_those_with_the_same_smallest_hash(self) -> None:
        """Fourteen of 2,000 pieces have one, so they are a group of it; and they are together in one of the other."""
        found = groups(sharing([*range(1986), *[7_000_000] * 14]))
        alike = set(range(1986, 2000))
        assert sum(alike <= set(group) for group in found) == 2
        assert max(map(len, found)) <= LONGEST
