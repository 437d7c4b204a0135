"""Scores: ticks to seconds as specified by numpy, and bytes that say all of it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tokenization.notes import Notes
from tokenization.score import LARGEST, Repair, Score

TICKS = st.integers(0, 5000)


@st.composite
def scores(draw: st.DrawFn, least: int = 0) -> Score:
    """Scores that crowd few ticks, with tempos that change inside and outside of notes and come again."""
    rows = draw(
        st.lists(
            st.tuples(TICKS, st.integers(0, 127), st.booleans(), st.integers(0, 127), st.integers(1, 127), TICKS),
            min_size=least,
            max_size=30,
        )
    )
    start, pitch, drum, program, velocity, length = zip(*sorted(rows)) if rows else [()] * 6
    changes = [0, *sorted(draw(st.sets(st.integers(1, 12_000), max_size=12)))]
    beats = st.sampled_from([1.0, 250_000.0, 500_000.0, 666_667.0, 16_777_215.0]) | st.floats(1e3, 1e7)
    return Score(
        start=np.array(start, np.int64),
        length=np.array(length, np.int64),
        pitch=np.array(pitch, np.uint8),
        velocity=np.array(velocity, np.uint8),
        program=np.array(program, np.uint8),
        drum=np.array(drum, np.bool_),
        tempo_ticks=np.array(changes, np.int64),
        tempo_beats=np.array([draw(beats) for _ in changes]),
        ticks_per_beat=draw(st.sampled_from([1, 96, 480, 32767])),
        repairs=tuple(sorted(draw(st.sets(st.sampled_from(Repair))))),
    )


def specified(score: Score) -> Notes:
    """The definition, pass by pass over whole columns."""
    end = score.start + score.length
    ticks, beats = score.tempo_ticks, score.tempo_beats
    seconds_per_tick = beats / (1e6 * score.ticks_per_beat)
    begins = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * seconds_per_tick[:-1])])

    def seconds(at: NDArray[np.int64]) -> NDArray[np.float64]:
        segment = np.searchsorted(ticks, at, side="right") - 1
        return np.asarray(begins[segment] + (at - ticks[segment]) * seconds_per_tick[segment])

    onset = seconds(score.start)
    last = int(end.max())
    spans = np.diff(np.append(np.minimum(ticks, last), last)) * seconds_per_tick
    different, index = np.unique(beats, return_inverse=True)
    longest = different[np.bincount(index, weights=spans).argmax()]
    return Notes.from_columns(
        onset,
        np.maximum(seconds(end) - onset, 0.0),
        score.pitch,
        score.velocity,
        score.program,
        score.drum,
        60_000_000 / longest,
    )


class TestSeconds:
    @given(score=scores(least=1))
    def test_they_are_exactly_the_specified_ones(self, score: Score) -> None:
        found, wanted = score.to_notes(), specified(score)
        for field in fields(Notes):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name), field.name)

    def test_columns_keep_their_types(self) -> None:
        score = Score(
            start=np.array([0]),
            length=np.array([96]),
            pitch=np.array([60], np.uint8),
            velocity=np.array([80], np.uint8),
            program=np.array([40], np.uint8),
            drum=np.array([False]),
            tempo_ticks=np.array([0, 48]),
            tempo_beats=np.array([500_000.0, 1_000_000.0]),
            ticks_per_beat=96,
        )
        notes = score.to_notes()
        # half a beat at 120, half a beat at 60
        assert notes.duration.tolist() == [0.75]
        assert notes.tempo == 60.0
        assert [column.dtype for column in (notes.onset, notes.pitch, notes.drum)] == [np.float64, np.uint8, np.bool_]

    @given(score=scores())
    def test_without_notes_it_is_an_empty_piece(self, score: Score) -> None:
        assert len(score.to_notes()) == len(score)


class TestBytes:
    @given(score=scores(), wrap=st.sampled_from([bytes, bytearray, memoryview]))
    def test_they_say_all_of_it(self, score: Score, wrap: type[bytes]) -> None:
        back = Score.from_bytes(wrap(score.to_bytes()))
        for field in fields(Score):
            found, wanted = getattr(back, field.name), getattr(score, field.name)
            np.testing.assert_array_equal(found, wanted, field.name)
            assert getattr(found, "dtype", None) == getattr(wanted, "dtype", None)
        assert back.to_bytes() == score.to_bytes()

    def test_a_note_takes_twelve_bytes(self) -> None:
        assert len(notes_at(0, 1).to_bytes()) - len(notes_at(0).to_bytes()) == 12

    def test_the_last_tick_can_be_said_and_the_next_is_refused(self) -> None:
        assert Score.from_bytes(notes_at(LARGEST).to_bytes()).start.tolist() == [LARGEST]
        with pytest.raises(OverflowError, match="a score as bytes has ticks up to 2147483647"):
            notes_at(LARGEST + 1).to_bytes()

    @given(data=st.binary(max_size=60), cut=st.integers(1, 40))
    def test_other_bytes_are_refused(self, data: bytes, cut: int) -> None:
        with pytest.raises(ValueError, match="no score"):
            Score.from_bytes(data)
        with pytest.raises(ValueError, match="score"):
            Score.from_bytes(notes_at(0).to_bytes()[:-cut])


def notes_at(*ticks: int) -> Score:
    """Notes of one tick each."""
    byte = np.full(len(ticks), 60, np.uint8)
    return Score(
        *(np.array(ticks), np.ones(len(ticks), np.int64), byte, byte, byte, byte > 60),
        *(np.array([0]), np.array([500_000.0]), 480),
    )
