"""The combined encoding: MuseNet's tokens of music written by hand, and what holds for any piece.

The ids (MuseNet, 2019): row · 128 + pitch, where row 0 is the piano's note-off, row 7 its velocity 72, rows 14/15
violin on/off, 18/19 bass on/off, row 30 drums; 3967 + k waits k ticks of 1/96 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tokenization.encodings import get_encoding
from tokenization.encodings.combined import Combined
from tokenization.encodings.encoding import HEADER
from tokenization.encodings.grid import DRUM_TICKS
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import Notes
from tokenization.vocabulary import NO_ROW, PITCHES, Vocabulary, VocabularyError

MakeNotes = Callable[..., Notes]
TICK = 1 / 96

PIANO, VIOLIN, BASS = 0, 40, 32


@dataclass(frozen=True)
class GridNotes:
    """Notes on the encoding's grid, sorted by instrument, pitch and start; arrays of shape (n,)."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]
    row: NDArray[np.int64]
    instrument: NDArray[np.int64]


def nearest(ticks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounded to whole ticks; the middle between two, and what is nearly there, goes up."""
    return np.floor(ticks + 0.5 + 1e-6).astype(np.int64)


def quantised(notes: Notes, vocabulary: Vocabulary) -> GridNotes:
    """What the encoding says of notes, written as array operations: the specification that the kernel follows."""
    instrument = vocabulary.program_instrument[notes.program].astype(np.int64)
    instrument[notes.drum] = vocabulary.drum_instrument
    onset = notes.onset - notes.onset.min()
    start = nearest(onset * vocabulary.ticks_per_second)
    end = nearest((notes.onset + notes.duration - notes.onset.min()) * vocabulary.ticks_per_second)
    held = vocabulary.off_row[instrument] != NO_ROW
    end = np.where(held, np.maximum(end, start + 1), start + DRUM_TICKS)

    key = instrument * PITCHES + notes.pitch
    order = np.lexsort((-end, start, key))
    key, start, end = key[order], start[order], end[order]
    first = np.flatnonzero(np.append(True, (np.diff(key) != 0) | (np.diff(start) != 0)))
    loudest = np.maximum.reduceat(notes.velocity[order], first)
    key, start, end, held = key[first], start[first], end[first], held[order][first]
    anew = np.append(np.diff(key) == 0, False) & held
    end = np.where(anew, np.minimum(end, np.append(start[1:], 0)), end)
    instrument = key // PITCHES
    return GridNotes(start, end, key % PITCHES, vocabulary.on_row[instrument, loudest].astype(np.int64), instrument)


def specified(notes: Notes, vocabulary: Vocabulary, style: str | None = None) -> list[int]:
    """The tokens that the encoding must give: all events sorted, waits between, header and `end` around them."""
    grid = quantised(notes, vocabulary)
    off_row = vocabulary.off_row[grid.instrument].astype(np.int64)
    held = np.flatnonzero(off_row != NO_ROW)
    tick = np.concatenate([grid.end[held], grid.start])
    pitch = np.concatenate([grid.pitch[held], grid.pitch])
    row = np.concatenate([off_row[held], grid.row])
    kind = np.concatenate([np.zeros(len(held), np.int64), np.where(off_row == NO_ROW, 2, 1)])
    order = np.lexsort((-row, pitch, kind, tick))
    mask = vocabulary.mask_of_instruments(np.unique(grid.instrument))
    tokens = [vocabulary.style_id(style), vocabulary.instrumentation_id(mask)]
    tokens += [vocabulary.start, vocabulary.tempo_id(notes.tempo)]
    now = 0
    for at, token in zip(tick[order].tolist(), (row * PITCHES + pitch)[order].tolist()):
        longest, rest = divmod(at - now, vocabulary.max_wait)
        tokens += [vocabulary.wait_base + vocabulary.max_wait] * longest
        tokens += [vocabulary.wait_base + rest] * (rest > 0)
        tokens.append(token)
        now = at
    return [*tokens, vocabulary.end]


def grid_rows(notes: Notes, vocabulary: Vocabulary) -> list[tuple[int, int, int, int, int]]:
    """Start, end, pitch, row and instrument of every note on the grid."""
    grid = quantised(notes, vocabulary)
    return list(zip(*(getattr(grid, name).tolist() for name in ("start", "end", "pitch", "row", "instrument"))))


@pytest.fixture
def body(encoding: Combined, make_notes: MakeNotes) -> Callable[..., str]:
    """The text of the music between header and `end`, for rows of notes timed in ticks."""

    def text(*rows: tuple[int, int, int, int, int, bool]) -> str:
        notes = make_notes([(on * TICK, ticks * TICK, *rest) for on, ticks, *rest in rows])
        return encoding.vocabulary.to_text(encoding.encode(notes)[HEADER:-1])

    return text


# One bar at 120 beats a minute (48 ticks a beat), then a long rest and a last short note.
BAR = [
    # onset, duration in seconds, pitch, velocity, program, drum
    (0.0, 0.5, 60, 72, PIANO, False),  # C4 for a beat
    (0.0, 1.0, 36, 100, BASS, False),  # C2 for two beats
    (0.0, 0.1, 36, 110, 0, True),  # bass drum
    (0.25, 0.1, 42, 70, 0, True),  # closed hi-hat
    (0.5, 0.5, 64, 75, PIANO, False),  # E4, its velocity nearest to 72
    (0.5, 0.5, 67, 72, PIANO, False),  # G4 on the piano
    (0.5, 0.5, 67, 50, VIOLIN, False),  # and on the violin, where all velocities are 80
    (4.125, 0.0, 72, 10, PIANO, False),  # C5, 300 ticks after the bar's last sound; no length, hardly a touch
]

# What it must become, word by word.
BAR_TOKENS = [
    ("bach", 4226),
    ("piano_strings_bass_drums", 4098 + 64 + 32 + 16 + 1),
    ("start", 4096),
    ("tempo120", 4226 + 512 + 10),  # behind 512 slots for styles
    # tick 0: notes from low to high, then drums
    ("bass:v80:C2", 18 * 128 + 36),
    ("piano:v72:C4", 7 * 128 + 60),
    ("drums:v80:C2", 3840 + 36),
    # tick 24
    ("wait:24", 3967 + 24),
    ("drums:v80:F#2", 3840 + 42),
    # tick 48: the end of C4 before what begins; drums have no end; violin G4 before piano G4
    ("wait:24", 3967 + 24),
    ("piano:v0:C4", 60),
    ("piano:v72:E4", 7 * 128 + 64),
    ("violin:v80:G4", 14 * 128 + 67),
    ("piano:v72:G4", 7 * 128 + 67),
    # tick 96
    ("wait:48", 3967 + 48),
    ("bass:v0:C2", 19 * 128 + 36),
    ("piano:v0:E4", 64),
    ("violin:v0:G4", 15 * 128 + 67),
    ("piano:v0:G4", 67),
    # tick 396: 300 ticks later = 128 + 128 + 44
    ("wait:128", 4095),
    ("wait:128", 4095),
    ("wait:44", 3967 + 44),
    ("piano:v24:C5", 1 * 128 + 72),
    # a note lasts at least one tick
    ("wait:1", 3968),
    ("piano:v0:C5", 72),
    ("end", 4097),
]


class TestABarByHand:
    def test_its_ids(self, encoding: Combined, make_notes: MakeNotes) -> None:
        tokens = encoding.encode(make_notes(BAR), style="bach")
        assert tokens.tolist() == [token for _, token in BAR_TOKENS]
        assert tokens.dtype == np.uint16

    def test_its_text(self, encoding: Combined, make_notes: MakeNotes) -> None:
        tokens = encoding.encode(make_notes(BAR), style="bach")
        assert encoding.vocabulary.to_text(tokens).split() == [word for word, _ in BAR_TOKENS]

    def test_it_decodes_to_what_the_tokens_say(self, encoding: Combined) -> None:
        notes = encoding.decode(np.array([token for _, token in BAR_TOKENS], np.uint16))
        found = zip(
            *(np.rint(column * 96).astype(int).tolist() for column in (notes.onset, notes.duration)),
            *(column.tolist() for column in (notes.pitch, notes.velocity, notes.program, notes.drum)),
        )
        assert sorted(found) == [
            (0, 12, 36, 80, 0, True),  # a decoded drum hit has a fixed length
            (0, 48, 60, 72, PIANO, False),
            (0, 96, 36, 80, BASS, False),
            (24, 12, 42, 80, 0, True),
            (48, 48, 64, 72, PIANO, False),
            (48, 48, 67, 72, PIANO, False),
            (48, 48, 67, 80, VIOLIN, False),
            (396, 1, 72, 24, PIANO, False),
        ]
        assert notes.tempo == 120


class TestHeader:
    def test_without_a_style_it_says_so(self, encoding: Combined, make_notes: MakeNotes) -> None:
        tokens = encoding.encode(make_notes([(0, 1, 60, 72, VIOLIN, False)], tempo=87))
        assert encoding.vocabulary.to_text(tokens[:HEADER]) == "no_style strings start tempo90"

    def test_an_unknown_style_is_refused(self, encoding: Combined, make_notes: MakeNotes) -> None:
        with pytest.raises(VocabularyError, match="no style 'abba'"):
            encoding.encode(make_notes(BAR), style="abba")

    def test_a_piece_without_notes_is_refused(self, encoding: Combined, make_notes: MakeNotes) -> None:
        with pytest.raises(ValueError, match="without notes"):
            encoding.encode(make_notes([]))


class TestTime:
    def test_it_starts_with_the_first_note(self, body: Callable[..., str]) -> None:
        assert body((500, 10, 60, 72, PIANO, False)) == "piano:v72:C4 wait:10 piano:v0:C4"

    def test_it_is_rounded_to_the_nearest_tick(self, encoding: Combined, make_notes: MakeNotes) -> None:
        notes = make_notes([(0, 0.4 * TICK, 60, 72, 0, False), (9.6 * TICK, 4.9 * TICK, 62, 72, 0, False)])
        # ends are rounded as ends: 9.6 + 4.9 = 14.5 is tick 15
        assert encoding.vocabulary.to_text(encoding.encode(notes)[HEADER:-1]) == (
            "piano:v72:C4 wait:1 piano:v0:C4 wait:9 piano:v72:D4 wait:5 piano:v0:D4"
        )

    @pytest.mark.parametrize(
        ("ticks", "words"),
        [
            (127, "wait:127"),
            (128, "wait:128"),
            (129, "wait:128 wait:1"),
            (256, "wait:128 wait:128"),
            (300, "wait:128 wait:128 wait:44"),
        ],
    )
    def test_longer_waits_repeat_the_longest(self, ticks: int, words: str, body: Callable[..., str]) -> None:
        assert body((0, ticks, 60, 72, PIANO, False)) == f"piano:v72:C4 {words} piano:v0:C4"


class TestOneTick:
    def test_offs_come_before_ons(self, body: Callable[..., str]) -> None:
        # the E4 that ends, though higher than the C4 that starts
        assert body((0, 10, 64, 72, PIANO, False), (10, 10, 60, 72, PIANO, False)) == (
            "piano:v72:E4 wait:10 piano:v0:E4 piano:v72:C4 wait:10 piano:v0:C4"
        )

    def test_a_repeated_note_is_ended_and_struck_anew(self, body: Callable[..., str]) -> None:
        assert body((0, 10, 60, 72, PIANO, False), (10, 10, 60, 72, PIANO, False)) == (
            "piano:v72:C4 wait:10 piano:v0:C4 piano:v72:C4 wait:10 piano:v0:C4"
        )

    def test_ons_go_from_low_to_high_and_drums_come_last(self, body: Callable[..., str]) -> None:
        chord = [(0, 10, 67, 72, PIANO, False), (0, 10, 60, 72, PIANO, False), (0, 10, 35, 72, 0, True)]
        assert body(*chord).startswith("piano:v72:C4 piano:v72:G4 drums:v80:B1 wait:10")

    def test_of_one_pitch_the_violin_comes_before_the_piano(self, body: Callable[..., str]) -> None:
        assert body((0, 10, 67, 72, PIANO, False), (0, 10, 67, 72, VIOLIN, False)) == (
            "violin:v80:G4 piano:v72:G4 wait:10 violin:v0:G4 piano:v0:G4"
        )

    def test_drums_have_no_note_off(self, body: Callable[..., str]) -> None:
        assert body((0, 500, 36, 72, 0, True)) == "drums:v80:C2"


class TestOneSoundAtATime:
    """Of one instrument and pitch at most one note sounds at any tick."""

    def test_a_note_that_still_sounds_is_cut_where_its_pitch_starts_anew(self, body: Callable[..., str]) -> None:
        assert body((0, 100, 60, 72, PIANO, False), (10, 5, 60, 80, PIANO, False)) == (
            "piano:v72:C4 wait:10 piano:v0:C4 piano:v80:C4 wait:5 piano:v0:C4"
        )

    def test_of_notes_with_one_start_the_longest_stays_with_the_loudest_touch(self, body: Callable[..., str]) -> None:
        assert body((0, 20, 60, 40, PIANO, False), (0, 10, 60, 96, PIANO, False)) == (
            "piano:v96:C4 wait:20 piano:v0:C4"
        )

    def test_programs_of_one_class_are_one_instrument(self, body: Callable[..., str]) -> None:
        # violin (40) and viola (41) share a class, an organ (16) is a piano
        assert body((0, 20, 60, 72, 40, False), (0, 10, 60, 72, 41, False), (0, 20, 60, 72, 16, False)) == (
            "violin:v80:C4 piano:v72:C4 wait:20 violin:v0:C4 piano:v0:C4"
        )

    def test_other_instruments_and_pitches_do_not_matter(self, body: Callable[..., str]) -> None:
        rows = [(0, 20, 60, 72, PIANO, False), (10, 10, 60, 72, VIOLIN, False), (10, 10, 61, 72, PIANO, False)]
        assert body(*rows) == (
            "piano:v72:C4 wait:10 violin:v80:C4 piano:v72:C#4 wait:10 violin:v0:C4 piano:v0:C4 piano:v0:C#4"
        )

    def test_quick_drum_hits_are_all_kept(self, body: Callable[..., str]) -> None:
        assert body((0, 50, 38, 72, 0, True), (2, 50, 38, 72, 0, True), (2, 50, 38, 72, 0, True)) == (
            "drums:v80:D2 wait:2 drums:v80:D2"
        )


class TestDecodingAnything:
    def decoded(self, text: str, encoding: Combined) -> list[tuple[int, int, int, int]]:
        """Onset and duration in ticks, pitch and velocity."""
        notes = encoding.decode(encoding.vocabulary.from_text(text))
        times = (np.rint(column * 96).astype(int).tolist() for column in (notes.onset, notes.duration))
        return list(zip(*times, notes.pitch.tolist(), notes.velocity.tolist()))

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("", [], id="nothing"),
            pytest.param("bach piano start tempo120 end", [], id="no music"),
            pytest.param("pad pad pad no_style end_sample", [], id="specials only"),
            pytest.param("piano:v0:C4 wait:5", [], id="a note-off without its note"),
            pytest.param("piano:v72:C4 wait:5", [(0, 5, 60, 72)], id="a note without a note-off ends with the piece"),
            pytest.param("wait:5 piano:v72:C4", [], id="a note that no time is left for"),
            pytest.param(
                "piano:v72:C4 wait:5 piano:v80:C4 wait:7 piano:v0:C4",
                [(0, 5, 60, 72), (5, 7, 60, 80)],
                id="struck again without a note-off",
            ),
            pytest.param("piano:v72:C4 piano:v0:C4 wait:5", [], id="ended at once"),
            pytest.param("piano:v72:C4 wait:5 violin:v0:C4 wait:5", [(0, 10, 60, 72)], id="another's note-off"),
            pytest.param("piano:v72:C4 wait:5 end piano:v0:C4 wait:5 piano:v72:E4", [(0, 5, 60, 72)], id="behind end"),
            pytest.param("piano:v72:C4 wait:5 end_sample wait:5", [(0, 5, 60, 72)], id="behind end_sample"),
            pytest.param("wait:5 drums:v80:C2", [(5, DRUM_TICKS, 36, 80)], id="a drum needs no time after it"),
            pytest.param("wait:128 wait:128 drums:v80:C2", [(256, DRUM_TICKS, 36, 80)], id="waits add up"),
        ],
    )
    def test_the_notes_that_are_there(
        self, text: str, expected: list[tuple[int, int, int, int]], encoding: Combined
    ) -> None:
        assert self.decoded(text, encoding) == expected

    def test_programs_are_those_of_the_vocabulary(self, encoding: Combined, make_notes: MakeNotes) -> None:
        programs = [0, 16, 40, 41, 42, 32, 24, 73, 72, 71, 56, 46]
        rows = [(i, 0.5, 60, 72, program, False) for i, program in enumerate(programs)]
        notes = encoding.decode(encoding.encode(make_notes(rows)))
        assert notes.program.tolist() == [0, 0, 40, 40, 42, 32, 24, 73, 73, 71, 56, 46]

    @given(data=st.data())
    def test_no_sequence_of_ids_fails(
        self, data: st.DataObject, encoding: Combined, token_arrays: st.SearchStrategy[np.ndarray]
    ) -> None:
        tokens = data.draw(token_arrays)
        notes = encoding.decode(tokens)
        assert len(notes) <= len(tokens)
        assert (notes.onset >= 0).all()
        assert (notes.duration >= TICK * 0.999).all()
        assert (notes.pitch <= 127).all()
        assert set(notes.velocity.tolist()) <= set(encoding.vocabulary.row_velocity.tolist()) - {0}
        assert set(notes.program.tolist()) <= {i.output_program for i in encoding.vocabulary.instruments}
        assert notes.tempo == 120 or notes.tempo in encoding.vocabulary.tempos
        assert (np.diff(notes.onset) >= 0).all()

    @given(data=st.data())
    def test_what_was_decoded_can_be_encoded(
        self, data: st.DataObject, encoding: Combined, token_arrays: st.SearchStrategy[np.ndarray]
    ) -> None:
        notes = encoding.decode(data.draw(token_arrays))
        if len(notes):
            tokens = encoding.encode(notes)
            assert encoding.encode(encoding.decode(tokens)).tolist() == tokens.tolist()


class TestExactness:
    @given(data=st.data())
    def test_no_note_is_lost_and_none_doubled(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        wanted = grid_rows(notes, encoding.vocabulary)
        assert grid_rows(encoding.decode(encoding.encode(notes)), encoding.vocabulary) == wanted

    @given(data=st.data())
    def test_tokens_survive_decoding(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        tokens = encoding.encode(data.draw(pieces), style="jazz")
        assert encoding.encode(encoding.decode(tokens), style="jazz").tolist() == tokens.tolist()

    @given(data=st.data())
    def test_one_note_of_an_instrument_and_pitch_at_a_time(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        rows = grid_rows(notes, encoding.vocabulary)
        assert 1 <= len(rows) <= len(notes)
        for (start, end, pitch, _, instrument), following in zip(rows, [*rows[1:], None]):
            assert start >= 0
            assert end > start
            if following and (following[4], following[2]) == (instrument, pitch):
                drum = instrument == encoding.vocabulary.drum_instrument
                assert following[0] >= (start + 1 if drum else end)

    @given(data=st.data())
    def test_every_note_starts_where_it_was_written(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        # an independent, note-by-note account of which (instrument, pitch, tick) must sound
        notes, vocabulary = data.draw(pieces), encoding.vocabulary
        wanted = set()
        for onset, pitch, program, drum in zip(notes.onset, notes.pitch, notes.program, notes.drum):
            instrument = 9 if drum else int(vocabulary.program_instrument[program])
            wanted.add((instrument, int(pitch), math.floor(float(onset - notes.onset[0]) * 96 + 0.5 + 1e-6)))
        assert {(row[4], row[2], row[0]) for row in grid_rows(notes, encoding.vocabulary)} == wanted

    @given(data=st.data())
    def test_the_shape_of_a_sequence(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        vocabulary = encoding.vocabulary
        tokens = encoding.encode(data.draw(pieces), style="bach").astype(int)
        assert tokens[0] == 4226
        assert 4099 <= tokens[1] <= 4225
        assert tokens[2] == 4096
        assert vocabulary.tempo_of(int(tokens[3])) is not None
        assert tokens[-1] == 4097
        assert tokens[4:-1].max() <= 4095, "music is notes and waits only"
        assert tokens[4] < 3968, "music begins with a note"
        assert tokens[-2] < 3968, "and ends with one"

    @given(data=st.data())
    def test_the_order_of_the_notes_given_does_not_matter(
        self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        shuffled = data.draw(st.permutations(range(len(notes))))
        columns = [getattr(notes, name)[shuffled] for name in ("onset", "duration", "pitch", "velocity", "program")]
        again = Notes(*columns, drum=notes.drum[shuffled], tempo=notes.tempo)
        assert encoding.encode(again).tolist() == encoding.encode(notes).tolist()


# Two instruments in one group, ids of velocities in no order, longer ticks.
ODD_VOCABULARY = {
    "name": "odd",
    "ticks_per_second": 7,
    "ticks_per_beat": 3,
    "max_wait": 3,
    "tempos": [60, 120],
    "groups": ["strings", "bells", "drums"],
    "instruments": [
        {"name": "viola", "group": "strings", "output_program": 41, "programs": [41], "rows": [90, 0, 30]},
        {"name": "bell", "group": "bells", "output_program": 14, "programs": [14, 46], "rows": [64, 0]},
        {"name": "drums", "group": "drums", "output_program": 0, "rows": [80, 40], "drum": True},
        {"name": "fiddle", "group": "strings", "output_program": 0, "rows": [0, 100]},
    ],
}


class TestTheKernelGivesWhatIsSpecified:
    @given(data=st.data())
    def test_for_random_pieces(self, data: st.DataObject, encoding: Combined, pieces: st.SearchStrategy[Notes]) -> None:
        notes = data.draw(pieces)
        assert encoding.encode(notes, "jazz").tolist() == specified(notes, encoding.vocabulary, "jazz")

    @given(data=st.data())
    def test_for_times_between_two_ticks(self, data: st.DataObject, encoding: Combined, make_notes: MakeNotes) -> None:
        # halves of ticks are ties, and notes that rounding brings to one tick were not sorted by pitch
        half = st.integers(0, 40).map(lambda ticks: ticks / 192)
        pitch, program = st.integers(60, 63), st.sampled_from([0, 40, 46])
        rows = st.lists(st.tuples(half, half, pitch, st.integers(1, 127), program, st.booleans()), min_size=1)
        notes = make_notes(data.draw(rows))
        assert encoding.encode(notes).tolist() == specified(notes, encoding.vocabulary)

    @given(data=st.data())
    def test_for_any_vocabulary(self, data: st.DataObject, pieces: st.SearchStrategy[Notes]) -> None:
        encoding = Combined(Vocabulary.from_dict(ODD_VOCABULARY))
        notes = data.draw(pieces)
        assert encoding.encode(notes).tolist() == specified(notes, encoding.vocabulary)

    @pytest.mark.parametrize("hours", [0.01, 1, 30])
    def test_for_thousands_of_notes_over_any_time(self, hours: float, encoding: Combined) -> None:
        rng = np.random.default_rng(7)
        count = 5000
        notes = Notes.from_columns(
            rng.random(count) * hours * 3600,
            rng.exponential(2.0, count),
            rng.integers(30, 90, count),
            rng.integers(1, 128, count),
            rng.integers(0, 128, count),
            rng.random(count) < 0.2,
        )
        assert encoding.encode(notes).tolist() == specified(notes, encoding.vocabulary)

    def test_for_the_projects_files(self, encoding: Combined, midi_folder: Path) -> None:
        compared = 0
        for file in sorted(path for path in midi_folder.iterdir() if path.is_file()):
            try:
                notes = read_midi(file.read_bytes())
            except MidiError:
                continue
            assert encoding.encode(notes).tolist() == specified(notes, encoding.vocabulary), file.name
            compared += 1
        assert compared > 40


class TestColumns:
    def test_read_only_and_strided_columns_are_notes_too(self, encoding: Combined, make_notes: MakeNotes) -> None:
        notes = make_notes(BAR)
        names = ("onset", "duration", "pitch", "velocity", "program", "drum")
        columns = {name: np.repeat(getattr(notes, name), 2)[::2] for name in names}
        columns["onset"] = notes.onset.copy()
        columns["onset"].setflags(write=False)
        assert encoding.encode(Notes(**columns)).tolist() == encoding.encode(notes).tolist()

    @pytest.mark.parametrize("column", ["pitch", "velocity", "program"])
    def test_values_that_midi_does_not_have_are_refused(
        self, column: str, encoding: Combined, make_notes: MakeNotes
    ) -> None:
        notes = make_notes(BAR)
        getattr(notes, column)[-1] = 128
        with pytest.raises(ValueError, match="above 127"):
            encoding.encode(notes)


class TestByName:
    def test_an_encoding_is_had_by_its_name(self, vocabulary: Vocabulary) -> None:
        found = get_encoding("combined", vocabulary)
        assert isinstance(found, Combined)
        assert found.vocabulary is vocabulary

    def test_an_unknown_encoding_is_refused_with_those_that_exist(self, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match=r"no encoding 'morse'; there are:.*combined"):
            get_encoding("morse", vocabulary)
