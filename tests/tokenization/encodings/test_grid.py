"""The grid in beats by hand: where beats lie, what tempos become, how seconds come back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tokenization.encodings import HEADER, Time, get_encoding
from tokenization.encodings.grid import LEGATO_TICKS, legato, quantise, to_notes
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Vocabulary

MakeNotes = Callable[..., Notes]
PIANO = 0


def with_tempos(notes: Notes, *changes: tuple[float, float]) -> Notes:
    """The notes with (second, beats per minute) changes."""
    seconds, tempo = (np.array(column, np.float64) for column in zip(*changes))
    return Notes(
        *(getattr(notes, name) for name in ("onset", "duration", "pitch", "velocity", "program", "drum")),
        tempo=float(tempo[0]),
        tempo_map=TempoMap(seconds, tempo),
    )


def in_beats(notes: Notes, vocabulary: Vocabulary) -> str:
    encoding = get_encoding("combined", vocabulary, Time.BEATS)
    return vocabulary.to_text(encoding.encode(notes)[HEADER - 1 : -1])


class TestBeats:
    @pytest.mark.parametrize("tempo", [60, 120, 200])
    def test_a_beat_is_48_ticks_at_any_tempo(self, tempo: int, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        beat = 60 / tempo
        notes = make_notes([(0, beat, 60, 72, 0, False), (beat, beat / 2, 62, 72, 0, False)], tempo=tempo)
        assert in_beats(notes, vocabulary) == (
            f"tempo{tempo} piano:v72:C4 wait:48 piano:v0:C4 piano:v72:D4 wait:24 piano:v0:D4"
        )

    @pytest.mark.parametrize(("part", "ticks"), [(2, 24), (3, 16), (4, 12), (6, 8), (8, 6), (12, 4), (16, 3)])
    def test_usual_parts_of_a_beat_are_exact(
        self, part: int, ticks: int, vocabulary: Vocabulary, make_notes: MakeNotes
    ) -> None:
        step = 0.5 / part
        notes = make_notes([(i * step, step, 60 + i, 72, 0, False) for i in range(part)], tempo=120)
        grid = quantise(notes, vocabulary, Time.BEATS)
        assert grid.start.tolist() == [i * ticks for i in range(part)]

    def test_a_piece_begins_with_its_first_notes_beat(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        # an upbeat of an eighth before the third beat: the two beats of silence are left out, the half is not
        notes = make_notes([(1.25, 0.25, 60, 72, 0, False), (1.5, 0.5, 65, 72, 0, False)], tempo=120)
        assert in_beats(notes, vocabulary) == (
            "tempo120 wait:24 piano:v72:C4 wait:24 piano:v0:C4 piano:v72:F4 wait:48 piano:v0:F4"
        )

    def test_a_first_note_that_is_rounded_to_the_next_beat_begins_there(
        self, vocabulary: Vocabulary, make_notes: MakeNotes
    ) -> None:
        notes = make_notes([(0.4999, 0.5, 60, 72, 0, False)], tempo=120)
        assert quantise(notes, vocabulary, Time.BEATS).start.tolist() == [0]


class TestTempoChanges:
    def test_they_are_tokens_where_they_happen(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        # four beats: two at 120 (0.5 s each), two at 60 (1 s each)
        rows = [(0, 0.5, 60), (0.5, 0.5, 62), (1, 1, 64), (2, 1, 65)]
        notes = with_tempos(make_notes([(on, long, key, 72, 0, False) for on, long, key in rows]), (0, 120), (1, 60))
        assert in_beats(notes, vocabulary) == (
            "tempo120 piano:v72:C4 wait:48 piano:v0:C4 piano:v72:D4 wait:48 tempo60 piano:v0:D4 piano:v72:E4 "
            "wait:48 piano:v0:E4 piano:v72:F4 wait:48 piano:v0:F4"
        )

    def test_seconds_come_back_through_them(self, vocabulary: Vocabulary) -> None:
        encoding = get_encoding("combined", vocabulary, Time.BEATS)
        text = "bach piano start tempo120 piano:v72:C4 wait:96 tempo60 piano:v0:C4 piano:v72:E4 wait:48 piano:v0:E4 end"
        notes = encoding.decode(vocabulary.from_text(text))
        assert notes.onset.tolist() == [0, 1]
        assert notes.duration.tolist() == [1, 1]
        assert notes.tempos.seconds.tolist() == [0, 1]
        assert notes.tempos.tempo.tolist() == [120, 60]
        assert notes.tempo == 120, "the fastest of those that hold equally long"

    def test_a_note_across_a_change_keeps_its_beats(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(0, 3, 60, 72, 0, False)]), (0, 120), (1, 60))  # two beats and two
        grid = quantise(notes, vocabulary, Time.BEATS)
        assert (grid.start.tolist(), grid.end.tolist()) == ([0], [4 * 48])

    def test_only_another_bucket_is_a_change(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(0, 4, 60, 72, 0, False)]), (0, 118), (1, 121), (2, 124), (3, 126))
        assert quantise(notes, vocabulary, Time.BEATS).tempo.tolist() == [vocabulary.tempos.index(120), 11]

    def test_of_several_at_one_tick_the_last_counts(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(0, 4, 60, 72, 0, False)]), (0, 120), (1, 60), (1.001, 90))
        grid = quantise(notes, vocabulary, Time.BEATS)
        assert [vocabulary.tempos[bucket] for bucket in grid.tempo] == [120, 90]

    def test_one_before_the_first_beat_is_the_headers(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(4, 1, 60, 72, 0, False)]), (0, 120), (2, 60))
        assert in_beats(notes, vocabulary).startswith("tempo60 piano:v72:C4 wait:48")

    @pytest.mark.parametrize(("name", "last"), [("combined", True), ("onset", False)])
    def test_one_behind_the_last_event_is_left_out(
        self, name: str, last: bool, vocabulary: Vocabulary, make_notes: MakeNotes
    ) -> None:
        # while the only note sounds, which `onset` does not write
        notes = with_tempos(make_notes([(0, 2, 60, 72, 0, False)]), (0, 120), (1, 60), (9, 90))
        tokens = get_encoding(name, vocabulary, Time.BEATS).encode(notes)
        assert (vocabulary.tempo_id(60) in tokens) == last
        assert vocabulary.tempo_id(90) not in tokens

    def test_in_seconds_they_are_no_tokens(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        notes = with_tempos(make_notes([(0, 2, 60, 72, 0, False)]), (0, 120), (1, 60))
        tokens = get_encoding("combined", vocabulary).encode(notes)
        assert vocabulary.to_text(tokens[HEADER - 1 :]) == "tempo120 piano:v72:C4 wait:128 wait:64 piano:v0:C4 end"


class TestSources:
    def test_every_note_on_the_grid_says_which_one_it_was(self, vocabulary: Vocabulary) -> None:
        # out of order, and the second and third are one note to a piano
        notes = Notes(
            onset=np.array([1.0, 0.0, 0.001]),
            duration=np.array([0.5, 0.5, 0.7]),
            pitch=np.array([64, 60, 60], np.uint8),
            velocity=np.array([72, 40, 90], np.uint8),
            program=np.zeros(3, np.uint8),
            drum=np.zeros(3, np.bool_),
        )
        grid = quantise(notes, vocabulary, Time.SECONDS)
        assert grid.source.tolist() == [1, 0]
        assert vocabulary.row_velocity[grid.row].tolist() == [88, 72], "the loudest of both"


class TestLegato:
    """Where notes end if nothing says it."""

    @pytest.mark.parametrize(
        ("starts", "ends"),
        [
            ([0], [LEGATO_TICKS]),
            ([0, 20], [20, 20 + LEGATO_TICKS]),
            ([0, 0, 20], [20, 20, 20 + LEGATO_TICKS]),
            ([0, 400], [LEGATO_TICKS, 400 + LEGATO_TICKS]),
        ],
    )
    def test_at_the_instruments_next_start_or_after_a_second(
        self, starts: list[int], ends: list[int], vocabulary: Vocabulary, make_notes: MakeNotes
    ) -> None:
        rows = [(start / 96, 0.1, 60 + i, 72, 0, False) for i, start in enumerate(starts)]
        grid = legato(quantise(make_notes(rows), vocabulary, Time.SECONDS), vocabulary)
        assert grid.end.tolist() == ends

    def test_other_instruments_do_not_matter(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        rows = [(0, 1, 60, 72, 0, False), (0.5, 1, 72, 72, 40, False), (0.75, 1, 36, 72, 0, True)]
        notes = to_notes(
            legato(quantise(make_notes(rows), vocabulary, Time.SECONDS), vocabulary), vocabulary, Time.SECONDS
        )
        assert notes.duration.tolist() == [1, 1, 0.125]
