"""Fingerprints: which voices a piece has, and what leaves their features as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.fingerprint import fingerprint
from tokenization.fingerprint.voices import DENSE, FEWEST, INSTRUMENT, VOICES, WHOLE
from tokenization.midi.notes import Notes

Edit = Callable[..., Notes]
Voices = Callable[[Notes], list[Any]]


def part(program: int, notes: int = 60, seed: int = 0, drum: bool = False, pitch: int = 60) -> Notes:
    """Quavers of one instrument."""
    pitches = pitch + np.random.default_rng(1000 * program + seed).integers(-12, 13, notes)
    onset = np.arange(notes) / 4
    return Notes.from_columns(onset, onset * 0 + 0.2, pitches, [64] * notes, [program] * notes, [drum] * notes)


def together(*parts: Notes) -> Notes:
    names = ("onset", "duration", "pitch", "velocity", "program", "drum")
    return Notes.from_columns(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


class TestVoices:
    def test_of_one_instrument_there_is_the_whole_piece(self, voices: Voices) -> None:
        (whole,) = voices(part(0, 60))
        assert len(whole.entries) == WHOLE
        assert not whole.complete
        assert 40 < whole.notes <= 60  # repeated pitches count once
        assert whole.unit == pytest.approx(59 / 4 / 65535)

    def test_of_several_there_is_one_for_each_besides(self, voices: Voices) -> None:
        """The whole piece first, then the instruments by their number of notes."""
        found = voices(together(part(0, 50, pitch=80), part(40, 90, pitch=60), part(73, 70, pitch=40)))
        assert [len(voice.entries) for voice in found] == [WHOLE, INSTRUMENT, INSTRUMENT, INSTRUMENT]
        alone = [voices(part(*args))[0] for args in ((40, 90), (73, 70))]
        for of_instrument, expected in zip(found[1:3], alone, strict=True):
            assert of_instrument.notes == expected.notes
            assert of_instrument.hashes.tolist() == expected.hashes[:INSTRUMENT].tolist()

    def test_a_part_that_others_cover_is_found_alone(self, voices: Voices) -> None:
        melody = part(40, 60, pitch=60)
        covered = together(melody, part(0, 60, pitch=100))
        assert voices(melody)[0].hashes[0] not in voices(covered)[0].hashes
        assert any(voices(melody)[0].hashes[0] in voice.hashes for voice in voices(covered)[1:])

    @pytest.mark.parametrize("program", [32, 39])
    def test_basses_have_none_of_their_own(self, voices: Voices, program: int) -> None:
        assert len(voices(together(part(0), part(40), part(program, 200)))) == 3
        (whole,) = voices(part(program))
        assert len(whole.entries) == WHOLE

    def test_an_instrument_of_few_notes_has_none(self, voices: Voices) -> None:
        assert len(voices(together(part(0), part(40, int(FEWEST) - 1)))) == 2
        assert len(voices(together(part(0), part(40, int(FEWEST))))) == 3

    def test_there_are_at_most_eight_instruments(self, voices: Voices) -> None:
        assert len(voices(together(*(part(program, 40 + program) for program in range(12))))) == 1 + VOICES

    def test_a_dense_piece_has_twice_the_entries(self, voices: Voices) -> None:
        sizes = {notes: len(voices(part(0, notes))[0].entries) for notes in (DENSE // 2, 2 * DENSE)}
        assert sizes == {DENSE // 2: WHOLE, 2 * DENSE: 2 * WHOLE}

    def test_a_short_piece_has_all_its_features(self, voices: Voices) -> None:
        (whole,) = voices(part(0, 8))
        assert whole.complete
        assert len(whole.entries) < WHOLE


class TestDrums:
    def test_are_left_out(self) -> None:
        assert fingerprint(together(part(0), part(0, drum=True))).tolist() == fingerprint(part(0)).tolist()

    def test_alone_are_a_voice_of_another_kind(self, voices: Voices) -> None:
        (drums,), (pitched,) = voices(part(0, drum=True)), voices(part(0))
        assert len(drums.entries) == len(pitched.entries)
        assert not set(drums.hashes.tolist()) & set(pitched.hashes.tolist())


class TestFewNotes:
    def test_no_feature_is_no_voice(self, make_notes: Callable[..., Notes]) -> None:
        for rows in (
            [],
            [(i, 0.4, 60 + i, 64, 0, False) for i in range(4)],
            [(i, 0.4, 60, 64, 0, False) for i in range(100)],  # one pitch, repeated
            [(0.0, 0.4, 30 + i, 64, 0, False) for i in range(60)],  # one chord
        ):
            assert fingerprint(make_notes(rows)).tolist() == [len({row[:3:2] for row in rows}) << 32]

    def test_five_notes_are_one_feature(self, make_notes: Callable[..., Notes]) -> None:
        tune = make_notes([(i / 2, 0.4, pitch, 64, 0, False) for i, pitch in enumerate([60, 62, 64, 65, 67])])
        words = fingerprint(tune)
        assert (int(words[0]), len(words)) == (5 << 32 | 1, 3)

    def test_at_one_time_have_one(self, make_notes: Callable[..., Notes]) -> None:
        """A piece that lasts no time at all is no division by zero."""
        assert fingerprint(make_notes([(0.0, 0.0, 60, 64, 0, False)])).tolist() == [1 << 32]


class TestFingerprint:
    def test_is_the_same_on_every_machine(self) -> None:
        """A change of this number is a change of VERSION."""
        i = np.arange(400)
        notes = Notes.from_columns(i / 4, i * 0 + 0.2, 48 + i**3 % 37 + i % 5, i * 0 + 64, i % 3, i * 0)
        digest = hashlib.sha256(fingerprint(notes).astype("<u8").tobytes()).hexdigest()
        assert digest[:16] == "1cb8712431bc016c"

    @given(data=st.data())
    def test_any_notes_have_one(self, data: st.DataObject, pieces: st.SearchStrategy[Notes], voices: Voices) -> None:
        notes = data.draw(pieces)
        words = fingerprint(notes)
        assert words.dtype == np.uint64
        assert 1 <= len(words) <= 1 + 9 + 768
        for voice in voices(notes):
            assert len(voice.entries) > 0
            assert (np.diff(voice.hashes.astype(np.int64)) > 0).all()

    def test_velocities_lengths_and_drums_change_nothing(self, music: Notes, chosen: Edit) -> None:
        generator = np.random.default_rng(0)
        other = replace(
            music,
            velocity=generator.integers(1, 128, len(music)).astype(np.uint8),
            duration=music.duration * generator.random(len(music)),
        )
        assert fingerprint(other).tolist() == fingerprint(music).tolist()
        assert fingerprint(chosen(music, ~music.drum)).tolist() == fingerprint(music).tolist()

    def test_other_instruments_leave_the_whole_as_it_is(self, music: Notes, voices: Voices) -> None:
        other = replace(music, program=np.random.default_rng(0).integers(0, 128, len(music)).astype(np.uint8))
        assert voices(other)[0].entries.tolist() == voices(music)[0].entries.tolist()

    def test_the_order_of_tracks_and_doubled_parts_change_nothing(self, music: Notes, chosen: Edit) -> None:
        order = np.random.default_rng(0).permutation(len(music))
        assert fingerprint(chosen(music, order)).tolist() == fingerprint(music).tolist()
        doubled = chosen(music, np.repeat(np.arange(len(music)), 2))
        assert fingerprint(doubled).tolist() == fingerprint(music).tolist()

    @settings(max_examples=20)
    @given(by=st.integers(-6, 6), stretch=st.floats(0.5, 2))
    def test_transposition_and_tempo_leave_all_features(
        self, music: Notes, move: Edit, voices: Voices, by: int, stretch: float
    ) -> None:
        for before, after in zip(voices(music), voices(move(music, by, stretch)), strict=True):
            assert after.hashes.tolist() == before.hashes.tolist()
