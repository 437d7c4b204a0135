"""Fingerprints: what leaves them as they are, what changes them a little, and what makes them others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.fingerprint import SIZE, VALUES, fingerprint, note_hash, similarity, values
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

ALIKE = 0.25
"""More than unlike pieces have in common by far, less than any edit leaves."""


def piece(seed: int, chords: int = 300) -> Notes:
    """Music of four parts: a tune that wanders, a bass that leaps, two parts between them; drums on every beat."""
    generator = np.random.default_rng(seed)
    start = np.cumsum(generator.choice([0.25, 0.5, 1.0], chords))
    tune = 72 + np.clip(np.cumsum(generator.integers(-4, 5, chords)), -10, 14)
    parts = [tune, tune - generator.integers(3, 6, chords), tune - generator.integers(7, 10, chords)]
    parts.append(40 + generator.integers(-7, 8, chords))
    beats = np.arange(0, start[-1], 0.5)
    return Notes.from_columns(
        np.concatenate([start] * 4 + [beats]),
        np.full(4 * chords + len(beats), 0.2),
        np.concatenate([*parts, np.full(len(beats), 36)]),
        generator.integers(40, 100, 4 * chords + len(beats)),
        np.repeat([40, 41, 42, 0, 0], [chords] * 4 + [len(beats)]),
        np.arange(4 * chords + len(beats)) >= 4 * chords,
    )


def chosen(notes: Notes, which: np.ndarray) -> Notes:
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return replace(Notes.from_columns(*(column[which] for column in columns)), tempo=notes.tempo)


def transposed(notes: Notes, by: int) -> Notes:
    return replace(notes, pitch=np.where(notes.drum, notes.pitch, notes.pitch + np.uint8(by % 256)).astype(np.uint8))


def stretched(notes: Notes, by: float) -> Notes:
    return replace(notes, onset=notes.onset * by, duration=notes.duration * by, tempo=notes.tempo / by)


@pytest.fixture(scope="module")
def music() -> Notes:
    return piece(1)


def alike(left: Notes, right: Notes) -> float:
    return float(similarity(fingerprint(left), fingerprint(right)))


class TestFingerprint:
    def test_is_a_row_of_words(self, music: Notes) -> None:
        found = fingerprint(music)
        assert found.shape == (SIZE,)
        assert found.dtype == np.uint32
        assert values(found).shape == (VALUES,)

    def test_is_the_same_on_every_machine(self) -> None:
        """A change of this number is a change of VERSION."""
        i = np.arange(400)
        notes = Notes.from_columns(i / 4, i * 0 + 0.2, 48 + i**3 % 37 + i % 5, i * 0 + 64, i * 0, i * 0)
        digest = hashlib.sha256(fingerprint(notes).astype("<u4").tobytes()).hexdigest()
        assert digest[:16] == "f863271db4743f6d"

    @given(by=st.integers(-6, 6), stretch=st.floats(0.5, 2))
    def test_transposition_and_tempo_change_nothing(self, music: Notes, by: int, stretch: float) -> None:
        assert alike(music, stretched(transposed(music, by), stretch)) == 1

    def test_velocities_instruments_lengths_and_drums_change_nothing(self, music: Notes) -> None:
        generator = np.random.default_rng(0)
        other = replace(
            music,
            velocity=generator.integers(1, 128, len(music)).astype(np.uint8),
            program=generator.integers(0, 128, len(music)).astype(np.uint8),
            duration=music.duration * generator.random(len(music)),
        )
        assert alike(music, other) == 1
        assert alike(music, chosen(music, ~music.drum)) == 1

    def test_the_order_of_tracks_changes_nothing(self, music: Notes) -> None:
        assert alike(music, chosen(music, np.random.default_rng(0).permutation(len(music)))) == 1

    def test_a_doubled_part_changes_nothing(self, music: Notes) -> None:
        assert alike(music, chosen(music, np.repeat(np.arange(len(music)), 2))) == 1

    def test_parts_not_quite_together_change_nothing(self, music: Notes) -> None:
        late = np.random.default_rng(0).uniform(0, 0.02, len(music))
        assert alike(music, chosen(replace(music, onset=music.onset + late), np.arange(len(music)))) > 0.9

    def test_a_cut_tenth_leaves_most(self, music: Notes) -> None:
        tenth = music.onset[-1] / 10
        assert alike(music, chosen(music, music.onset > tenth)) > 0.6
        assert alike(music, chosen(music, music.onset < 9 * tenth)) > 0.6

    def test_dropped_notes_leave_enough(self, music: Notes) -> None:
        assert alike(music, chosen(music, np.random.default_rng(0).random(len(music)) > 0.05)) > ALIKE

    def test_quantised_playing_stays_alike(self, music: Notes) -> None:
        """Played with up to 60 ms of freedom, and then put on the grid again, notes of a chord one by one."""
        freedom = np.random.default_rng(0).normal(0, 0.02, len(music)).clip(-0.06, 0.06)
        played = chosen(replace(music, onset=music.onset + 1 + freedom), np.arange(len(music)))
        grid = chosen(replace(played, onset=np.rint(played.onset * 8) / 8), np.arange(len(music)))
        assert alike(played, grid) > 2 * ALIKE
        assert alike(music, played) > 2 * ALIKE

    def test_different_music_is_not_alike(self) -> None:
        found = np.stack([fingerprint(piece(seed)) for seed in range(12)])
        pairs = similarity(found[:, None], found[None])
        assert pairs[~np.eye(12, dtype=bool)].max() < ALIKE / 2

    def test_estimates_the_share_of_common_music(self) -> None:
        """Two thirds of each are the same: of four thirds in all a half is common."""
        first, common, last = piece(1, 200), piece(2, 400), piece(3, 200)

        def joined(left: Notes, right: Notes) -> Notes:
            later = replace(right, onset=right.onset + left.onset[-1] + 1)
            both = [np.concatenate([getattr(left, name), getattr(later, name)]) for name in COLUMNS]
            return Notes(both[0], both[1], both[2], both[3], both[4], both[5])

        assert alike(joined(first, common), joined(common, last)) == pytest.approx(0.5, abs=0.12)


COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


class TestShortPieces:
    def test_are_alike_only_if_equal(self, make_notes: Callable[..., Notes]) -> None:
        def tune(pitches: list[int]) -> Notes:
            return make_notes([(i / 2, 0.4, pitch, 64, 0, False) for i, pitch in enumerate(pitches)])

        assert alike(tune([60, 62, 64, 65]), tune([62, 64, 66, 67])) == 1  # transposed
        assert alike(tune([60, 62, 64, 65]), tune([60, 62, 64, 67])) < 0.1
        assert alike(tune([60] * 100), tune([60] * 101)) < 0.1  # one feature, a hundred times
        assert alike(tune([60] * 100), tune([64] * 100)) == 1

    def test_drums_alone_are_compared_by_their_keys(self, make_notes: Callable[..., Notes]) -> None:
        keys = np.random.default_rng(0).choice([36, 38, 42, 46], 200).tolist()
        drums = make_notes([(i / 4, 0.1, key, 64, 0, True) for i, key in enumerate(keys)])
        pitched = make_notes([(i / 4, 0.1, key, 64, 0, False) for i, key in enumerate(keys)])
        assert alike(drums, stretched(drums, 1.1)) == 1
        assert alike(drums, pitched) < 0.1

    @given(data=st.data())
    def test_any_notes_have_one(self, data: st.DataObject, pieces: st.SearchStrategy[Notes]) -> None:
        notes = data.draw(pieces)
        assert fingerprint(notes).shape == (SIZE,)
        assert alike(notes, notes) == 1

    def test_no_notes_have_one(self, make_notes: Callable[..., Notes]) -> None:
        assert fingerprint(make_notes([])).shape == (SIZE,)


class TestNoteHash:
    def test_files_of_the_same_notes(self, midi_folder: Path) -> None:
        """One piece as type 0 and 1, with another title, other ticks per beat, running status."""
        names = ["dup_a", "dup_b_retitled", "dup_c_type1", "dup_d_tpb960", "dup_e_running"]
        pieces = [read_midi((midi_folder / f"{name}.mid").read_bytes()) for name in names]
        assert len({note_hash(notes) for notes in pieces}) == 1

    def test_near_duplicates_differ_in_hash_but_not_in_fingerprint(self, midi_folder: Path) -> None:
        original = read_midi((midi_folder / "dup_a.mid").read_bytes())
        for name in ("near_dup_transposed", "near_dup_velocity"):
            edited = read_midi((midi_folder / f"{name}.mid").read_bytes())
            assert note_hash(edited) != note_hash(original)
            assert alike(original, edited) == 1

    def test_is_64_hexadecimal_digits(self, music: Notes) -> None:
        assert len(note_hash(music)) == 64
        assert int(note_hash(music), 16)

    @given(seed=st.integers(0, 1000))
    def test_ignores_order_and_rounding(self, music: Notes, seed: int) -> None:
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
