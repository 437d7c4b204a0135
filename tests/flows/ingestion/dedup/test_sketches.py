"""Sketches as columns, held against the fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup.sketches import Sketches
from tokenization.fingerprint import fingerprint
from tokenization.midi.notes import Notes

SketchAll = Callable[[Sequence[Notes]], Sketches]


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
