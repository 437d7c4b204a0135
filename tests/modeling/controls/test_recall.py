"""The score of a piece: what can be recalled, and its metre."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.controls.form import NEW
from modeling.controls.recall import (
    METRE_BEATS,
    QUADRUPLE,
    REMEMBERED,
    TRIPLE,
    Score,
    empty_score,
    note_down,
    recall,
    tell_metre,
)

BEAT, SECTION = 12, 96
PLAN = np.array([NEW, 0, 1])


def score_of(*notes: tuple[int, int, int]) -> Score:
    """The score of one piece, its notes as ticks, instruments and pitches."""
    score = empty_score(1)
    for tick, instrument, pitch in notes:
        note_down(score, 0, tick, BEAT, instrument, pitch)
    return score


@pytest.mark.parametrize(("bar", "accent"), [(TRIPLE, 36), (QUADRUPLE, 36), (TRIPLE, 60), (QUADRUPLE, 60)])
def test_basses_and_chords_tell_the_metre(bar: int, accent: int) -> None:
    notes = [(beat * BEAT, 0, 72) for beat in range(METRE_BEATS)]
    score = score_of(*notes, *((beat * BEAT, 0, accent) for beat in range(0, METRE_BEATS, bar)))
    tell_metre(score, 0)
    assert score.bar.tolist() == [bar]


def test_where_nothing_tells_it_bars_have_four_beats() -> None:
    score = score_of(*((beat * BEAT, 0, 72) for beat in range(METRE_BEATS)))
    tell_metre(score, 0)
    assert score.bar.tolist() == [QUADRUPLE]


def test_of_a_long_piece_the_latest_notes_can_be_recalled() -> None:
    notes = [(0, 0, 60), (SECTION, 0, 62), *((2 * SECTION, 0, 61) for _ in range(REMEMBERED))]
    score, by_pitch, plan = score_of(*notes), np.zeros((1, 128)), np.array([NEW, NEW, NEW, 1, 2])
    assert recall(score, 0, 3 * SECTION, plan, SECTION, 2.0, by_pitch) == 0
    assert not by_pitch.any(), "the note is forgotten"
    score = score_of(*notes[:-2])
    recall(score, 0, 3 * SECTION, plan, SECTION, 2.0, by_pitch)
    assert by_pitch[0, 62] == 2


def test_a_wait_leads_no_further_than_to_the_end_of_its_section() -> None:
    score, by_pitch = score_of((0, 0, 60), (SECTION + 24, 0, 62)), np.zeros((1, 128))
    assert recall(score, 0, SECTION + 24 + 12, PLAN, SECTION, 2.0, by_pitch) == SECTION - 36
