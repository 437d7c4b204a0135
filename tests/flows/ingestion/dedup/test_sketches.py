"""Sketches as columns and the index of their features, held against the fingerprints and against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup import sketches as module
from flows.ingestion.dedup.sketches import ALONE, PRIOR, RUN, Sketches, build_index
from tokenization.fingerprint import fingerprint
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]


@pytest.fixture(scope="module")
def pieces(music: Any) -> list[Notes]:
    """Songs, two of them with a copy in another key, one with two, and a piece without a feature."""
    songs = [music.song(seed, 60) for seed in range(8)]
    copies = [music.moved(songs[seed], by) for seed, by in ((1, 2), (3, -3), (3, 4))]
    return [*songs, music.melody(0, 3), *copies]


@pytest.fixture(scope="module")
def found(pieces: list[Notes], sketch_all: SketchAll) -> Sketches:
    return sketch_all(pieces)


class TestSketches:
    def test_hold_the_words_of_the_fingerprints(self, pieces: list[Notes], found: Sketches) -> None:
        for number, notes in enumerate(pieces):
            words = fingerprint(notes)
            first, end = found.first_voice[number], found.first_voice[number + 1]
            count, total = int(words[0]) & 0xFFFFFFFF, int(words[0]) >> 32
            assert (end - first, found.total[number]) == (count, total)
            pitched = ~notes.drum
            assert total == len(set(zip(notes.onset[pitched], notes.pitch[pitched], strict=True)))
            assert found.piece[first:end].tolist() == [number] * count
            entries = [found.words[found.start[voice] : found.end[voice]] for voice in range(first, end)]
            assert np.concatenate([words[:0], *entries]).tolist() == words[1 + count :].tolist()

    def test_hold_what_is_told_of_each_voice(self, music: Any, sketch_all: SketchAll) -> None:
        found = sketch_all([music.melody(0, 8), music.melody(1, 200)])
        assert found.complete.tolist() == [True, False]
        assert found.drums.tolist() == [False, False]
        assert found.notes[0] == 8
        assert 190 <= found.notes[1] <= 200  # repeated pitches count once
        ends = [music.melody(0, 8).onset[-1], music.melody(1, 200).onset[-1]]
        assert found.unit == pytest.approx([end / 65535 for end in ends])

    def test_of_some_are_as_if_there_were_no_others(
        self, pieces: list[Notes], found: Sketches, sketch_all: SketchAll
    ) -> None:
        chosen = [0, 3, 8, 10]
        expected, part = sketch_all([pieces[i] for i in chosen]), found.take(np.array(chosen))
        assert part.words is found.words
        for have, want in zip(part[3:], expected[3:], strict=True):
            assert have.tolist() == want.tolist()
        for voice in range(len(part.piece)):
            entries = expected.words[expected.start[voice] : expected.end[voice]]
            assert part.words[part.start[voice] : part.end[voice]].tolist() == entries.tolist()

    def test_of_all_are_the_same(self, found: Sketches) -> None:
        assert found.take(np.arange(12)) is found

    @pytest.mark.parametrize("fingerprints", [[], [np.zeros(1, np.uint64).tobytes()] * 3])
    def test_of_no_music_are_empty(self, fingerprints: list[bytes]) -> None:
        found = Sketches.of(pl.Series(fingerprints, dtype=pl.Binary))
        assert len(found.piece) == 0
        assert found.first_voice.tolist() == [0] * (len(fingerprints) + 1)
        assert len(build_index(found).posting) == 0


def voices_by_hash(found: Sketches) -> dict[int, list[int]]:
    """The voices that have each feature."""
    having: dict[int, list[int]] = {}
    for voice in range(len(found.piece)):
        for entry in found.words[found.start[voice] : found.end[voice]]:
            having.setdefault(int(entry) >> 32, []).append(voice)
    return having


class TestIndex:
    def test_lists_the_voices_of_each_feature_that_several_have(self, found: Sketches) -> None:
        index = build_index(found)
        having = voices_by_hash(found)
        runs: list[list[int]] = []
        for posting in index.posting.tolist():
            if posting & RUN:
                runs.append([])
            runs[-1].append(posting & (RUN - 1))
        assert [sorted(run) for run in runs] == [voices for _, voices in sorted(having.items()) if len(voices) > 1]

    def test_gives_each_entry_its_place(self, found: Sketches) -> None:
        index = build_index(found)
        having = voices_by_hash(found)
        for voice in range(len(found.piece)):
            for number in range(found.start[voice], found.end[voice]):
                place = int(index.place[number])
                if place == ALONE:
                    assert having[int(found.words[number]) >> 32] == [voice]
                else:
                    assert int(index.posting[place]) & (RUN - 1) == voice

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

    def test_is_the_same_built_in_slices(self, found: Sketches, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = build_index(found)
        monkeypatch.setattr(module, "SLICE", 100)
        for have, want in zip(build_index(found), whole, strict=True):
            assert have.tolist() == want.tolist()
