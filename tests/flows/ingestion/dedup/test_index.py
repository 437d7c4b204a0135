"""The index of features, held against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from flows.ingestion.dedup import keys as module
from flows.ingestion.dedup.groups import GROUP, MOST_TOGETHER, are_together
from flows.ingestion.dedup.grown_index import REGROUPED, REWEIGHED, Growth, grow_index
from flows.ingestion.dedup.index import (
    ALONE,
    PRIOR,
    Index,
    Standing,
    build_index,
    size_class,
    voice_names,
)
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
    return groups_of(build_index(found))


def groups_of(index: Index) -> list[list[int]]:
    together: list[list[int]] = []
    for posting in index.posting.tolist():
        if posting & GROUP:
            together.append([])
        together[-1].append(posting & (GROUP - 1))
    return together


def grown(found: Sketches, is_old: NDArray[np.bool_]) -> Index:
    """The index of pieces of which the others came after those with `is_old`."""
    before = build_index(found.take(np.flatnonzero(is_old)))
    return grow_index(found, Standing(before.weight, before.depth), Growth(is_old, is_old))


def entries(found: Sketches) -> list[int]:
    """The places of all entries among the words, voice by voice."""
    return [word for first, end in zip(found.start, found.end, strict=True) for word in range(first, end)]


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
                    assert int(index.posting[place - 1]) & (GROUP - 1) == voice

    @pytest.mark.parametrize(
        ("frequency", "weight"),
        [(1, 1.0), (2, 1 - 1.75 / 10), (7, 1 - 1.75 / 10), (8, 1 - 3.75 / 10), (31, 1 - 3.75 / 10)],
    )
    def test_weighs_a_feature_by_the_class_of_the_number_of_pieces_that_have_it(
        self, frequency: int, weight: float
    ) -> None:
        """Pieces of two features each, one of their own; up to some 1,400 pieces count as 2¹⁰."""
        pieces = sharing(range(frequency))
        found = build_index(pieces).weight[entries(pieces)]
        assert set(found[::2].tolist()) == {255}
        assert set(found[1::2].tolist()) == {round(255 * weight)}

    def test_a_piece_counts_once_for_a_tune_that_several_of_its_voices_have(self, found: Sketches) -> None:
        weight, having = build_index(found).weight, voices_by_hash(found)
        for number in entries(found):
            pieces = {int(found.piece[voice]) for voice in having[int(found.words[number]) >> 32]}
            assert (weight[number] == 255) == (len(pieces) == 1)

    def test_the_number_of_all_pieces_counts_by_its_octave(self) -> None:
        assert [size_class(2**power - PRIOR) for power in (10, 15, 20)] == [10, 15, 20]
        assert size_class(12_000) == size_class(20_000) < size_class(24_000)

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

    @pytest.mark.parametrize("missing", [1, 3, 20])
    def test_is_the_same_where_keys_have_no_room_for_places(
        self, found: Sketches, missing: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, is_old = build_index(found), np.arange(len(found.total)) % 3 > 0
        of_growth = grown(found, is_old)
        room = len(found.piece).bit_length() + module.packing_of(found).bits
        monkeypatch.setattr(module, "LOW", max(room - missing, len(found.piece).bit_length()))
        assert module.packing_of(found).coarse > 0
        for index, again in ((whole, build_index(found)), (of_growth, grown(found, is_old))):
            assert all(np.array_equal(one, other) for one, other in zip(index, again, strict=True))


class TestGroups:
    """Pieces are known by their own features, and so are the members of a group."""

    @staticmethod
    def of(own: Sequence[int]) -> set[frozenset[int]]:
        return {frozenset(own[voice] for voice in group) for group in groups(sharing(own))}

    def test_up_to_the_most_voices_are_in_one(self) -> None:
        assert self.of(range(MOST_TOGETHER)) == {frozenset(range(MOST_TOGETHER))}

    @pytest.mark.parametrize("voices", [MOST_TOGETHER + 1, 500, 3000])
    def test_of_more_each_is_in_one_of_several(self, voices: int) -> None:
        found = self.of(range(voices))
        assert sorted(voice for group in found for voice in group) == [*range(voices)]
        assert max(map(len, found)) <= MOST_TOGETHER
        assert len(found) < 4 * voices / MOST_TOGETHER

    def test_do_not_depend_on_the_order_of_pieces(self) -> None:
        assert self.of(np.random.default_rng(0).permutation(500).tolist()) == self.of(range(500))

    @pytest.mark.parametrize("further", [1, 80, 1000])
    def test_are_only_divided_when_pieces_come(self, further: int) -> None:
        before = self.of(range(300))
        grown = {group & frozenset(range(300)) for group in self.of(range(300 + further))}
        assert all(any(group <= other for other in before) for group in grown)

    def test_of_other_features_are_other_ones(self) -> None:
        one, other = (
            {frozenset(group) for group in groups(sharing(range(100), common))} for common in (2**31, 2**31 + 1)
        )
        assert not one & other

    @pytest.mark.parametrize("others", [100, 1986])
    def test_hold_those_with_the_same_smallest_hash_together(self, others: int) -> None:
        """Fourteen pieces have one, so they are a group of it; and they are together in one of the other."""
        found = groups(sharing([*range(others), *[7_000_000] * 14]))
        alike = set(range(others, others + 14))
        assert sum(alike <= set(group) for group in found) == 2

    def test_of_very_many_with_the_same_smallest_hash_are_bounded_too(self) -> None:
        """Pieces with a feature in common besides the smallest, and a third one of their own by which they differ."""
        heads = [1, 3 | 400 << 16 | 1 << 31]
        words = [np.array([*heads, 5 << 32, 9 << 32, 100 + i << 32], np.uint64).tobytes() for i in range(300)]
        assert max(map(len, groups(Sketches.of(pl.Series(words, dtype=pl.Binary))))) <= MOST_TOGETHER

    def test_are_known_by_the_depths_of_two_voices(self) -> None:
        """Also for very many voices with one smallest hash, which are divided by their names."""
        own = [*range(300), *[7_000_000] * 300]
        heads = [1, 3 | 400 << 16 | 1 << 31]
        words = [np.array([*heads, hash_ << 32, 2**31 << 32, 2**31 + i + 1 << 32]) for i, hash_ in enumerate(own)]
        found = Sketches.of(pl.Series([word.astype(np.uint64).tobytes() for word in words], dtype=pl.Binary))
        index, names = build_index(found), voice_names(found)
        (common,) = np.unique(found.words[entries(found)][1::3] >> np.uint64(32))
        depth = index.depth[entries(found)][1::3]
        assert depth.max() > 32
        by_place = {voice: number for number, group in enumerate(groups_of(index)) for voice in group}
        for one, other in np.random.default_rng(0).integers(0, len(own), (2000, 2)).tolist():
            together = depth[one] == depth[other] and are_together(common, depth[one], one, other, found, names)
            assert together == (by_place[one] == by_place[other])


class TestGrown:
    """The index that is made for new pieces alone says of their features what that of all pieces says."""

    @pytest.mark.parametrize("new", [0, 1, 5])
    def test_every_word_stands_as_in_the_index_of_all(self, found: Sketches, new: int) -> None:
        is_old = np.arange(len(found.total)) >= new
        index, whole = grown(found, is_old), build_index(found)
        assert index.weight[entries(found)].tolist() == whole.weight[entries(found)].tolist()
        assert index.depth.tolist() == whole.depth.tolist()

    @pytest.mark.parametrize("new", [1, 30, 400])
    def test_also_in_groups_of_which_it_has_those_with_new_voices(self, new: int) -> None:
        found = sharing(range(500))
        index, whole = grown(found, np.arange(500) >= new), build_index(found)
        assert index.depth.tolist() == whole.depth.tolist() != [0] * len(whole.depth)
        assert groups_of(index) == [group for group in groups_of(whole) if min(group) < new]

    def test_has_the_features_of_new_voices_and_hardly_any_other(self, found: Sketches) -> None:
        is_old = np.arange(len(found.total)) > 0
        having = {hash_: voices for hash_, voices in voices_by_hash(found).items() if len(voices) > 1}
        wanted = [voices for _, voices in sorted(having.items()) if any(not is_old[found.piece[v]] for v in voices)]
        have = groups_of(grown(found, is_old))
        assert all(voices in have for voices in wanted)
        assert len(wanted) <= len(have) < (len(wanted) + len(having)) / 2


class TestTouched:
    """What new pieces, the last ones, do to the words of the others. Every second word is the common feature."""

    @staticmethod
    def by(new: int, pieces: int) -> list[int]:
        is_old = np.arange(pieces) < pieces - new
        found = sharing(range(pieces))
        return grown(found, is_old).touched[entries(found)][1::2][is_old].tolist()

    def test_nothing_where_the_class_of_the_number_of_pieces_stays(self) -> None:
        assert set(self.by(1, 7)) == {0}

    def test_weights_where_it_changes(self) -> None:
        assert set(self.by(1, 8)) == {REWEIGHED}

    def test_groups_that_are_divided(self) -> None:
        assert set(self.by(1, MOST_TOGETHER)) == {0}
        assert set(self.by(1, MOST_TOGETHER + 1)) == {REGROUPED}

    @pytest.mark.parametrize("new", [1, 60, 400])
    def test_exactly_the_members_of_divided_groups(self, new: int) -> None:
        own = range(500)
        before = {frozenset(group) for group in groups(sharing(own[: 500 - new])) if len(group) > 1}
        after = {frozenset(group) & frozenset(own[: 500 - new]) for group in groups(sharing(own))}
        divided = {voice for group in before - after for voice in group}
        touched = self.by(new, 500)
        assert {voice for voice, bits in enumerate(touched) if bits & REGROUPED} == divided

    def test_nothing_is_known_where_all_pieces_are_new(self, found: Sketches) -> None:
        assert len(build_index(found).touched) == 0
