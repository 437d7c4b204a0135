"""Entries: what is asked for by name becomes likelier, and a required part enters in time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from modeling.controls.entries import DUE, NOTES, REQUIRED, SUGGESTED, Entries
from tokenization.encodings import Encoding, get_encoding
from tokenization.vocabulary import Vocabulary

PLANNED = 1004
"""Tokens, the header's four among them."""
HALF = 504


@pytest.fixture
def encoding(vocabulary: Vocabulary) -> Encoding:
    return get_encoding("combined", vocabulary)


class Stage:
    """One piece for which parts are asked for, its logits all zero and every plain id allowed."""

    def __init__(self, encoding: Encoding, *names: str, required: bool = True, lowest: int = 0) -> None:
        self.encoding, vocabulary = encoding, encoding.vocabulary
        parts = np.stack([vocabulary.named_instruments((name,)) for name in names])
        within = np.ones(vocabulary.size, np.bool_)
        within[: vocabulary.note_end] = np.arange(vocabulary.note_end) % 128 >= lowest
        everybody = np.ones((1, parts.shape[1]), np.bool_)
        self.entries = Entries(encoding, parts, everybody, within, required)

    def take(self, text: str) -> Stage:
        for token in self.encoding.vocabulary.from_text(text):
            self.entries.advance(np.array([token], np.int64))
        return self

    def look(self, filled: int, *without: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The logits and the ids that are left, behind so many tokens; `without`: words that may not come."""
        size = self.encoding.vocabulary.size
        values, may = np.zeros((1, size), np.float32), np.ones((1, size), np.bool_)
        for word in without:
            may[0, self.id(word)] = False
        self.entries.apply(values, may, filled, np.array([PLANNED]))
        return values[0], may[0]

    def id(self, word: str) -> int:
        return int(self.encoding.vocabulary.from_text(word)[0])

    def bonus(self, word: str, filled: int) -> float:
        return float(self.look(filled)[0][self.id(word)])


def test_the_bonus_of_a_silent_part_grows_to_the_time_when_it_is_due(encoding: Encoding) -> None:
    for required, most in ((True, REQUIRED), (False, SUGGESTED)):
        stage = Stage(encoding, "strings", required=required)
        assert stage.bonus("violin:v80:C4", 4) == 0
        assert stage.bonus("violin:v80:C4", 4 + int(DUE * 500)) == pytest.approx(most / 2)
        assert stage.bonus("cello:v80:C3", 900) == pytest.approx(most), "any instrument of the group"
        assert stage.bonus("piano:v64:C4", 900) == 0
        assert stage.bonus("violin:v0:C4", 900) == 0, "a note's end"


def test_each_note_takes_some_of_the_bonus_away_and_others_at_its_tick_have_none(encoding: Encoding) -> None:
    stage = Stage(encoding, "strings").take("violin:v80:C4")
    assert stage.bonus("violin:v80:E4", HALF) == 0
    stage.take("wait:5")
    assert stage.bonus("violin:v80:E4", HALF) == pytest.approx(REQUIRED * (NOTES - 1) / NOTES)
    stage.take(" ".join(["violin:v80:D4 wait:5"] * (NOTES - 1)))
    assert not stage.entries.are_awaited


class TestRequired:
    def test_once_a_part_is_due_nothing_comes_before_it(self, encoding: Encoding) -> None:
        stage = Stage(encoding, "strings", "piano").take("piano:v64:C4")
        assert stage.look(HALF - 1)[1][stage.id("piano:v64:E4")]
        _, may = stage.look(HALF)
        assert may[stage.id("violin:v80:C4")]
        assert not may[[stage.id(word) for word in ("piano:v64:E4", "piano:v0:C4", "wait:3")]].any()

    def test_where_it_cannot_enter_no_others_start_but_time_goes_on(self, encoding: Encoding) -> None:
        stage = Stage(encoding, "strings").take("piano:v64:C4")
        strings = [name for name in encoding.vocabulary.names if name.startswith(("violin:v80", "cello:v80"))]
        _, may = stage.look(HALF, *strings)
        assert may[stage.id("wait:3")]
        assert may[stage.id("piano:v0:C4")]
        assert not may[stage.id("piano:v64:E4")]

    def test_the_piece_does_not_end_before(self, encoding: Encoding) -> None:
        stage = Stage(encoding, "strings")
        end = encoding.vocabulary.end
        assert not stage.look(10)[1][end]
        assert stage.take("violin:v80:C4").look(10)[1][end]

    def test_parts_are_due_early_enough_for_all_of_a_short_piece(self, encoding: Encoding) -> None:
        stage = Stage(encoding, "strings", "drums")
        values, may = np.zeros((1, encoding.vocabulary.size), np.float32), np.ones((1, encoding.vocabulary.size), bool)
        stage.entries.apply(values, may, 5, np.array([17]))
        assert not may[0, stage.id("wait:3")]

    def test_one_without_a_note_within_the_limits_is_not_waited_for(self, encoding: Encoding) -> None:
        assert not Stage(encoding, "strings", lowest=128).entries.are_awaited


def test_a_suggested_part_may_stay_away(encoding: Encoding) -> None:
    _, may = Stage(encoding, "strings", required=False).look(1000)
    assert may.all()
