"""The hash of notes: equal for equal music in any file, another for any change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.fingerprint import note_hash
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

Choose = Callable[..., Notes]


class TestNoteHash:
    def test_files_of_the_same_notes(self, midi_folder: Path) -> None:
        """One piece as type 0 and 1, with another title, other ticks per beat, running status."""
        names = ["dup_a", "dup_b_retitled", "dup_c_type1", "dup_d_tpb960", "dup_e_running"]
        pieces = [read_midi((midi_folder / f"{name}.mid").read_bytes()) for name in names]
        assert len({note_hash(notes) for notes in pieces}) == 1

    def test_near_duplicates_differ(self, midi_folder: Path) -> None:
        original = read_midi((midi_folder / "dup_a.mid").read_bytes())
        for name in ("near_dup_transposed", "near_dup_velocity"):
            assert note_hash(read_midi((midi_folder / f"{name}.mid").read_bytes())) != note_hash(original)

    def test_is_64_hexadecimal_digits(self, music: Notes) -> None:
        assert len(note_hash(music)) == 64
        assert int(note_hash(music), 16)

    @given(seed=st.integers(0, 1000))
    def test_ignores_order_and_rounding(self, music: Notes, chosen: Choose, seed: int) -> None:
        generator = np.random.default_rng(seed)
        jitter = replace(
            music,
            onset=music.onset + generator.uniform(-1e-12, 1e-12, len(music)),
            duration=music.duration + generator.uniform(-1e-12, 1e-12, len(music)),
        )
        assert note_hash(chosen(jitter, generator.permutation(len(music)))) == note_hash(music)

    def test_notes_of_one_onset_and_pitch_in_any_order(self, make_notes: Callable[..., Notes]) -> None:
        """A thousand, and in reverse: more than are moved one by one."""
        rows = [(1.0, i / 100, 60, 1 + i % 100, i % 7, False) for i in range(1000)]
        assert note_hash(make_notes(rows)) == note_hash(make_notes(rows[::-1]))

    def test_time_counts_from_the_first_onset(self, music: Notes) -> None:
        assert note_hash(replace(music, onset=music.onset + 2.5)) == note_hash(music)

    def test_a_file_of_the_notes_has_the_same(self, music: Notes) -> None:
        on_ticks = replace(music, onset=np.rint(music.onset * 1920) / 1920, duration=np.full(len(music), 0.25))
        again = read_midi(write_midi(on_ticks))
        assert note_hash(read_midi(write_midi(again))) == note_hash(again)

    @pytest.mark.parametrize("column", ["onset", "duration", "pitch", "velocity", "program", "drum"])
    def test_every_column_counts(self, music: Notes, column: str) -> None:
        changed = getattr(music, column).copy()
        where = np.flatnonzero(~music.drum)[10]
        changed[where] = ~changed[where] if column == "drum" else changed[where] + changed.dtype.type(1)
        assert note_hash(replace(music, **{column: changed})) != note_hash(music)

    def test_the_program_of_drums_does_not(self, music: Notes) -> None:
        other = replace(music, program=np.where(music.drum, 99, music.program).astype(np.uint8))
        assert note_hash(other) == note_hash(music)

    def test_no_notes_have_one(self, make_notes: Callable[..., Notes]) -> None:
        assert len(note_hash(make_notes([]))) == 64
