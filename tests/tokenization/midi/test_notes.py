"""Notes: equal columns, sorted by onset and pitch, and the length of a piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi.notes import DEFAULT_TEMPO, Notes

COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


def test_columns_are_cast_to_their_types() -> None:
    notes = Notes.from_columns([0], [1], [60], [72], [0], [0])
    types = {name: getattr(notes, name).dtype for name in COLUMNS}
    assert types == {
        "onset": np.float64,
        "duration": np.float64,
        "pitch": np.uint8,
        "velocity": np.uint8,
        "program": np.uint8,
        "drum": np.bool_,
    }


def test_notes_are_sorted_by_onset_then_pitch_and_rows_stay_together() -> None:
    notes = Notes.from_columns(
        onset=[1.0, 0.0, 1.0],
        duration=[0.1, 0.2, 0.3],
        pitch=[67, 72, 60],
        velocity=[10, 20, 30],
        program=[1, 2, 3],
        drum=[True, False, False],
    )
    assert notes.onset.tolist() == [0.0, 1.0, 1.0]
    assert notes.pitch.tolist() == [72, 60, 67]
    assert notes.duration.tolist() == [0.2, 0.3, 0.1]
    assert notes.velocity.tolist() == [20, 30, 10]
    assert notes.program.tolist() == [2, 3, 1]
    assert notes.drum.tolist() == [False, False, True]


def test_notes_of_one_onset_and_pitch_keep_their_order() -> None:
    notes = Notes.from_columns([0, 0, 0], [1, 2, 3], [60, 60, 60], [1, 2, 3], [0, 0, 0], [0, 0, 0])
    assert notes.duration.tolist() == [1, 2, 3]


def test_columns_of_different_lengths_are_refused_by_name() -> None:
    good = Notes.from_columns([0], [1], [60], [72], [0], [False])
    with pytest.raises(ValueError, match=r"differ in length.*'velocity': 2"):
        Notes(good.onset, good.duration, good.pitch, np.array([1, 2], np.uint8), good.program, good.drum)


def test_seconds_is_the_end_of_the_note_that_sounds_last_not_of_the_one_that_starts_last() -> None:
    notes = Notes.from_columns([0.0, 1.0], [5.0, 1.0], [60, 62], [72, 72], [0, 0], [False, False])
    assert notes.seconds == 5.0


def test_a_piece_without_notes_is_allowed_and_lasts_no_time(make_notes: Callable[..., Notes]) -> None:
    nothing = make_notes([])
    assert len(nothing) == 0
    assert nothing.seconds == 0.0
    assert nothing.tempo == DEFAULT_TEMPO


@given(data=st.data())
def test_from_columns_reorders_and_changes_nothing(data: st.DataObject, pieces: st.SearchStrategy[Notes]) -> None:
    notes = data.draw(pieces)
    shuffled = data.draw(st.permutations(range(len(notes))))
    again = Notes.from_columns(*(getattr(notes, name)[shuffled] for name in COLUMNS), tempo=notes.tempo)

    def rows(of: Notes) -> list[tuple[object, ...]]:
        return sorted(zip(*(getattr(of, name).tolist() for name in COLUMNS)))

    assert rows(again) == rows(notes)
    assert again.onset.tolist() == notes.onset.tolist()
    assert again.pitch.tolist() == notes.pitch.tolist()
