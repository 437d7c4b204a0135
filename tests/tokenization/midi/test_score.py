"""Scores: ticks to seconds as specified by numpy, and bytes that say all of it."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tokenization.midi.notes import Notes, TempoMap
from tokenization.midi.score import LARGEST, Repair, Score

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
    more = draw(st.none() | st.lists(TICKS, min_size=len(rows), max_size=len(rows))) if rows else None
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
        sustained=None if more is None else np.array(length, np.int64) + np.array(more, np.int64),
    )


def specified(score: Score, sustain: bool) -> Notes:
    """The definition, pass by pass over whole columns."""
    end = score.start + (score.sustained if sustain and score.sustained is not None else score.length)
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
    by_second = dict(zip(begins.tolist(), (60_000_000 / beats).tolist()))  # of several at one second the last holds
    changes = list(by_second.items())
    changes = changes[:1] + [change for before, change in pairwise(changes) if change[1] != before[1]]
    return Notes.from_columns(
        onset,
        np.maximum(seconds(end) - onset, 0.0),
        score.pitch,
        score.velocity,
        score.program,
        score.drum,
        60_000_000 / longest,
        TempoMap(*np.array(changes).T) if len(changes) > 1 else None,
    )


class TestSeconds:
    @given(score=scores(least=1), sustain=st.booleans())
    def test_they_are_exactly_the_specified_ones(self, score: Score, sustain: bool) -> None:
        found, wanted = score.to_notes(sustain), specified(score, sustain)
        for field in fields(Notes):
            if field.name != "tempo_map":
                np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name), field.name)
        assert (found.tempo_map is None) == (wanted.tempo_map is None)
        np.testing.assert_array_equal(found.tempos.seconds, wanted.tempos.seconds)
        np.testing.assert_array_equal(found.tempos.tempo, wanted.tempos.tempo)
        assert (np.diff(found.tempos.seconds) > 0).all()
        assert (np.diff(found.tempos.tempo) != 0).all()

    @given(score=scores(least=1))
    def test_without_the_pedal_durations_are_those_of_the_keys(self, score: Score) -> None:
        keys = replace(score, sustained=None)
        for sustain in (False, True):
            np.testing.assert_array_equal(keys.to_notes(sustain).duration, score.to_notes().duration)

    def test_with_the_pedal_they_are_those_of_the_sounds(self) -> None:
        score = replace(notes_at(0, 480), sustained=np.array([960, 1]))
        assert score.to_notes(sustain=True).duration.tolist() == [1.0, pytest.approx(1 / 960)]
        assert score.to_notes().duration == pytest.approx([1 / 960, 1 / 960])

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

    def test_the_tempo_map_is_in_seconds_and_beats_per_minute(self) -> None:
        # a beat at 120, two at 60, one at 240; what changes nothing is left out
        notes = with_tempos(
            (0, 500_000), (240, 500_000), (480, 1_000_000), (960, 1_000_000), (1440, 250_000)
        ).to_notes()
        assert notes.tempo_map is not None
        assert notes.tempo_map.seconds.tolist() == [0.0, 0.5, 2.5]
        assert notes.tempo_map.tempo.tolist() == [120.0, 60.0, 240.0]

    def test_a_tempo_that_comes_again_is_in_it_again(self) -> None:
        notes = with_tempos((0, 500_000), (480, 1_000_000), (960, 500_000)).to_notes()
        assert notes.tempos.tempo.tolist() == [120.0, 60.0, 120.0]

    @pytest.mark.parametrize("changes", [[(0, 400_000)], [(0, 400_000), (7, 400_000), (960, 400_000)]])
    def test_one_tempo_is_no_map(self, changes: list[tuple[int, float]]) -> None:
        notes = with_tempos(*changes).to_notes()
        assert (notes.tempo, notes.tempo_map) == (150.0, None)

    def test_a_note_at_a_change_begins_when_the_tempo_does(self) -> None:
        changes = [(0, 666_667), (480, 333_333), (960, 123_457), (1440, 700_001)]
        notes = with_tempos(*changes, notes=(0, 480, 960, 1440)).to_notes()
        assert notes.tempo_map is not None
        assert notes.tempo_map.seconds.tolist() == notes.onset.tolist()

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

    def test_a_note_takes_twelve_bytes_and_four_more_where_a_pedal_is(self) -> None:
        assert len(notes_at(0, 1).to_bytes()) - len(notes_at(0).to_bytes()) == 12
        held = replace(notes_at(0, 1), sustained=np.array([7, 8]))
        assert len(held.to_bytes()) - len(notes_at(0, 1).to_bytes()) == 8

    def test_the_last_tick_can_be_said_and_the_next_is_refused(self) -> None:
        assert Score.from_bytes(notes_at(LARGEST).to_bytes()).start.tolist() == [LARGEST]
        with pytest.raises(OverflowError, match="a score as bytes has ticks up to 2147483647"):
            notes_at(LARGEST + 1).to_bytes()

    @given(data=st.binary(max_size=60), cut=st.integers(1, 40))
    def test_other_bytes_are_refused(self, data: bytes, cut: int) -> None:
        with pytest.raises(ValueError, match="no score"):
            Score.from_bytes(data)
        for score in (notes_at(0), replace(notes_at(0), sustained=np.array([7]))):
            with pytest.raises(ValueError, match="score"):
                Score.from_bytes(score.to_bytes()[:-cut])

    def test_what_an_earlier_form_was_is_refused(self) -> None:
        with pytest.raises(ValueError, match="these bytes are no score"):
            Score.from_bytes(notes_at(0).to_bytes().replace(b"Sco2", b"Sco1"))


def notes_at(*ticks: int) -> Score:
    """Notes of one tick each."""
    byte = np.full(len(ticks), 60, np.uint8)
    return Score(
        *(np.array(ticks), np.ones(len(ticks), np.int64), byte, byte, byte, byte > 60),
        *(np.array([0]), np.array([500_000.0]), 480),
    )


def with_tempos(*changes: tuple[int, float], notes: tuple[int, ...] = (0,)) -> Score:
    """Notes of one tick each, and tempos from a tick on, in microseconds per beat."""
    ticks, beats = zip(*changes)
    return replace(notes_at(*notes), tempo_ticks=np.array(ticks), tempo_beats=np.array(beats, np.float64))
