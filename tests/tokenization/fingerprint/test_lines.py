"""The top line: what of a piece is heard as its melody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.fingerprint.lines import TOGETHER, top_line

Line = list[tuple[float, int]]


def line(*notes: tuple[float, int]) -> Line:
    """The top line of notes (onset, pitch)."""
    onsets, pitches = top_line(np.array([on for on, _ in notes]), np.array([pitch for _, pitch in notes], np.uint8))
    return list(zip(onsets.tolist(), pitches.tolist(), strict=True))


class TestChords:
    def test_leave_their_highest_note(self) -> None:
        assert line((0, 48), (0, 64), (0, 72), (1, 50), (1, 71)) == [(0, 72), (1, 71)]

    def test_in_any_order_of_their_notes(self) -> None:
        assert line((0, 72), (0, 48), (0, 64)) == [(0, 72)]

    @pytest.mark.parametrize(("gap", "hides"), [(0.0, True), (0.054, True), (0.056, False), (0.2, False)])
    def test_that_are_not_quite_together(self, gap: float, hides: bool) -> None:
        before = line((1, 60), (1 + gap, 72))
        assert before == [(1 + gap, 72)] if hides else [(1, 60), (1 + gap, 72)]
        after = line((1, 72), (1 + gap, 60))
        assert after == [(1, 72)] if hides else [(1, 72), (1 + gap, 60)]

    def test_a_note_that_is_hidden_itself_hides_a_lower_one(self) -> None:
        """A chord rolled from the bottom, each note 40 ms after the one before."""
        assert line((0, 60), (0.04, 64), (0.08, 67)) == [(0.08, 67)]

    def test_a_part_below_adds_nothing(self) -> None:
        melody = [(i / 2, 70 + i % 3) for i in range(8)]
        below = [(on + 0.01, pitch - 12) for on, pitch in melody]
        assert line(*sorted(melody + below)) == melody


class TestRepeatedPitches:
    def test_count_once(self) -> None:
        assert line((0, 60), (1, 60), (2, 62), (3, 62), (4, 60)) == [(0, 60), (2, 62), (4, 60)]

    def test_two_instruments_on_one_note_count_once(self) -> None:
        assert line((0, 60), (0, 60), (1, 62), (1.01, 62)) == [(0, 60), (1, 62)]

    def test_a_hidden_note_between_them_does_not_matter(self) -> None:
        assert line((0, 60), (1, 50), (1.01, 60), (2, 64)) == [(0, 60), (2, 64)]


class TestGhosts:
    def test_near_a_higher_note_are_hidden(self) -> None:
        assert line((0, 72), (0.03, 41), (1, 74)) == [(0, 72), (1, 74)]

    def test_alone_are_notes_as_any_other(self) -> None:
        assert line((0, 72), (0.5, 41), (1, 74)) == [(0, 72), (0.5, 41), (1, 74)]


def test_no_notes_have_none() -> None:
    assert line() == []


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(50, 60)), max_size=40))
def test_is_what_a_definition_in_plain_words_gives(rows: list[tuple[int, int]]) -> None:
    """Times of 10 ms, so that many notes are near each other."""
    notes = [(time / 100, pitch) for time, pitch in sorted(rows)]
    expected: Line = []
    for on, pitch in notes:
        is_hidden = any(other > pitch and abs(time - on) <= TOGETHER for time, other in notes)
        if not is_hidden and (not expected or expected[-1][1] != pitch):
            expected.append((on, pitch))
    assert line(*notes) == expected
