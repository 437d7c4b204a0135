"""Comparing: what two pieces have in common, where, in which key, at which tempo, and what is chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.fingerprint import Match, compare
from tokenization.midi.notes import Notes

Edit = Callable[..., Notes]
Voices = Callable[[Notes], list[Any]]
Compare = Callable[..., Match]
NOTHING = Match(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


class TestTheSameMusic:
    def test_is_wholly_in_itself(self, music: Notes, match: Compare) -> None:
        found = match(music, music)
        assert found.containment == found.resemblance == 1
        assert found.evidence > 50
        assert (found.transposition, found.tempo) == (0, pytest.approx(1, abs=1e-3))
        assert found.deviation < 0.01
        assert found.begin_a == found.begin_b
        assert found.end_a == found.end_b

    @settings(max_examples=30)
    @given(by=st.integers(-12, 12), stretch=st.floats(0.4, 2.5))
    def test_in_another_key_and_tempo(self, music: Notes, match: Compare, move: Edit, by: int, stretch: float) -> None:
        found = match(music, move(music, by, stretch))
        assert found.transposition == by
        assert found.tempo == pytest.approx(stretch, rel=0.01)
        assert found.containment == pytest.approx(1, abs=0.02)
        assert found.deviation < 0.02
        assert found.begin_b == pytest.approx(found.begin_a * stretch, abs=0.02)

    def test_later(self, music: Notes, match: Compare, move: Edit) -> None:
        found = match(music, move(music, later=20))
        assert found.begin_b - found.begin_a == pytest.approx(20, abs=0.01)
        assert found.end_b - found.end_a == pytest.approx(20, abs=0.01)
        assert found.containment == pytest.approx(1, abs=0.02)

    def test_quantised_is_at_one_steady_tempo(self, music: Notes, match: Compare, chosen: Edit) -> None:
        """Played with some 10 ms of freedom, then put on the grid again."""
        freedom = np.random.default_rng(0).normal(0, 0.01, len(music))
        played = chosen(replace(music, onset=music.onset + 1 + freedom), np.arange(len(music)))
        grid = chosen(replace(played, onset=np.rint(played.onset * 8) / 8), np.arange(len(music)))
        found = match(played, grid)
        assert found.resemblance > 0.75
        assert found.deviation < 0.05


class TestAnExcerpt:
    @pytest.mark.parametrize(("begin", "end"), [(0.0, 0.2), (0.4, 0.6), (0.8, 1.0)])
    def test_is_wholly_in_the_piece_and_its_place_is_found(
        self, music: Notes, match: Compare, chosen: Edit, begin: float, end: float
    ) -> None:
        first, last = begin * music.onset[-1], end * music.onset[-1]
        part = chosen(music, (music.onset >= first) & (music.onset <= last))
        excerpt = replace(part, onset=part.onset - part.onset[0])
        found = match(excerpt, music)
        assert found.containment > 0.85
        assert found.resemblance < 0.4
        assert found.begin_b - found.begin_a == pytest.approx(first, abs=1.0)
        assert first - 0.1 <= found.begin_b < found.end_b <= last + 0.1
        assert found.end_b - found.begin_b > 0.5 * (last - first)


class TestAnotherPerformance:
    def test_has_the_features_but_no_steady_tempo(self, music: Notes, match: Compare, chosen: Edit) -> None:
        """Rubato: 15 % faster and slower in the course of phrases."""
        time = music.onset + 0.15 * 20 / (2 * np.pi) * np.sin(2 * np.pi * music.onset / 20)
        found = match(music, chosen(replace(music, onset=time), np.arange(len(music))))
        assert found.containment > 0.9
        assert found.deviation > 0.2
        assert found.tempo == pytest.approx(1, abs=0.05)

    def test_of_a_transcriber_who_lost_and_invented_notes(self, match: Compare, chosen: Edit, make_piece: Edit) -> None:
        music, generator = make_piece(5, 400), np.random.default_rng(0)
        found = match(*(self.transcribed(music, chosen, generator) for _ in range(2)))
        assert found.evidence > 5
        assert found.transposition == 0
        assert found.tempo == pytest.approx(1, abs=0.02)
        assert found.deviation < 0.1

    @staticmethod
    def transcribed(music: Notes, chosen: Edit, generator: np.random.Generator) -> Notes:
        heard = chosen(music, generator.random(len(music)) > 0.05)
        return chosen(replace(heard, onset=heard.onset + generator.normal(0, 0.008, len(heard))), np.arange(len(heard)))


class TestChance:
    def test_unrelated_music_has_next_to_nothing_in_common(self, match: Compare, make_piece: Edit) -> None:
        pieces = [make_piece(seed) for seed in range(10)]
        found = [match(a, b) for i, a in enumerate(pieces) for b in pieces[:i]]
        assert max(m.evidence * m.containment for m in found) < 0.3

    def test_features_in_another_order_are_little_evidence(self, match: Compare, music: Notes) -> None:
        """The bars of a piece shuffled: the same phrases, but no stretch of them in one order."""
        bar = (music.onset // 4).astype(np.int64)
        order = np.random.default_rng(0).permutation(bar.max() + 1)
        onset = order[bar] * 4 + music.onset % 4
        shuffled = Notes.from_columns(onset, music.duration, music.pitch, music.velocity, music.program, music.drum)
        found, whole = match(music, shuffled), match(music, music)
        assert found.evidence < 0.35 * whole.evidence
        assert found.containment < 0.35

    def test_equal_features_in_many_keys_are_chance(self, voices: Voices, music: Notes) -> None:
        """The features of a piece, each a semitone or more off another way: no key has many of them."""
        (voice, *_) = voices(music)
        generator = np.random.default_rng(0)
        pitches = generator.integers(0, 128, len(voice.entries)).astype(np.uint64)
        scattered = voice.entries & ~np.uint64(127) | pitches
        ones = np.full(len(scattered), 255, np.uint8)
        found = compare(voice.entries, scattered, ones, False, False, voice.unit, voice.unit, 0.0)
        assert found.evidence < 10

    def test_less_than_the_least_is_nothing(self, match: Compare, music: Notes, make_piece: Edit) -> None:
        assert match(music, make_piece(2), 3.5) == NOTHING
        assert match(music, music, 3.5).containment == 1


class TestWeights:
    def test_common_features_count_less(self, voices: Voices, music: Notes) -> None:
        (voice, *_) = voices(music)

        def weighed(weight: int) -> Match:
            weights = np.full(len(voice.entries), weight, np.uint8)
            entries = voice.entries
            return compare(entries, entries, weights, False, False, voice.unit, voice.unit, 0.0)

        assert weighed(51).evidence == pytest.approx(weighed(255).evidence / 5)
        assert weighed(51).containment == pytest.approx(1)

    def test_an_empty_sketch_matches_nothing(self, voices: Voices, music: Notes) -> None:
        (voice, *_) = voices(music)
        none, ones = voice.entries[:0], np.full(len(voice.entries), 255, np.uint8)
        assert compare(none, voice.entries, ones[:0], True, False, 1.0, voice.unit, 0.0) == NOTHING
        assert compare(voice.entries, none, ones, False, True, voice.unit, 1.0, 0.0) == NOTHING


class TestSymmetry:
    @settings(max_examples=30)
    @given(seed=st.integers(0, 10_000), by=st.integers(-12, 12), stretch=st.sampled_from([0.5, 0.8, 1.0, 1.25, 2.0]))
    def test_the_other_way_round_all_is_mirrored(
        self, match: Compare, move: Edit, make_piece: Edit, seed: int, by: int, stretch: float
    ) -> None:
        music = make_piece(seed, 80)
        there, back = match(music, move(music, by, stretch)), match(move(music, by, stretch), music)
        assert back.evidence == pytest.approx(there.evidence, rel=0.02)
        assert back.containment == pytest.approx(there.containment, abs=0.02)
        assert back.resemblance == pytest.approx(there.resemblance, abs=0.02)
        assert back.transposition == -there.transposition
        assert back.tempo == pytest.approx(1 / there.tempo, rel=0.01)
        assert (back.begin_a, back.end_a) == pytest.approx((there.begin_b, there.end_b), abs=0.01)

    @given(data=st.data())
    def test_any_notes_match_themselves(
        self, data: st.DataObject, pieces: st.SearchStrategy[Notes], voices: Voices, match: Compare
    ) -> None:
        notes = data.draw(pieces)
        if not voices(notes):
            return
        found = match(notes, notes)
        assert found.transposition == 0
        assert 0 < found.containment <= 1.0001
        assert found.evidence > 0
