"""The measures of pieces made by hand, with values that follow from the definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.measures import MEASURES, Extract, PieceInfo, measure, measure_named
from tokenization.midi.notes import Notes, TempoMap

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MakeNotes = Callable[..., Notes]


def line(*pitches: int, step: float = 0.5, length: float = 0.5, first: float = 0.0, program: int = 0) -> list[tuple]:
    """Rows of one voice: so many seconds from note to note."""
    return [(first + step * number, length, pitch, 80, program, False) for number, pitch in enumerate(pitches)]


def value(notes: Notes, name: str, **given: object) -> float:
    return float(measure(notes, **given).values[name])  # type: ignore[arg-type]


def shares(notes: Notes, name: str) -> dict[int, float]:
    """The bins of a histogram that hold anything."""
    histogram = np.asarray(measure(notes).values[name])
    return {int(bin): round(float(histogram[bin]), 6) for bin in np.flatnonzero(histogram)}


def test_every_measure_has_a_value_of_its_own_shape(make_notes: MakeNotes) -> None:
    values = measure(make_notes(line(60, 62, 64) * 4)).values
    assert list(values) == [each.name for each in MEASURES]
    assert all(np.shape(values[each.name]) == ((each.bins,) if each.bins else ()) for each in MEASURES)


def test_pitch_classes_count_from_the_tonic_of_the_best_major_scale(make_notes: MakeNotes) -> None:
    in_d = make_notes(line(*(62 + step for step in MAJOR), 62, 74))
    assert shares(in_d, "pitch_class") == {
        0: pytest.approx(1 / 3),
        **{step: pytest.approx(1 / 9) for step in MAJOR[1:]},
    }
    assert value(in_d, "scale_share") == 1.0
    assert value(make_notes(line(*range(60, 72))), "scale_share") == pytest.approx(7 / 12)
    assert value(make_notes(line(*range(60, 72))), "pitch_entropy") == pytest.approx(np.log2(12))
    assert value(make_notes(line(60, 72, 84)), "pitch_entropy") == 0.0


def test_harmonic_minor_is_a_scale(make_notes: MakeNotes) -> None:
    assert value(make_notes(line(57, 59, 60, 62, 64, 65, 68, 69)), "scale_share") == 1.0


def test_intervals_lead_along_the_highest_notes_of_a_program(make_notes: MakeNotes) -> None:
    upper, lower, other = line(72, 74, 71), line(48, 36, 48), line(20, 100, 20, program=40)
    assert shares(make_notes(upper + lower), "interval") == {24 + 2: 0.5, 24 - 3: 0.5}
    assert shares(make_notes(upper + other), "interval") == {26: 0.25, 21: 0.25, 0: 0.25, 48: 0.25}


def test_harmony_is_what_sounds_above_the_lowest_note(make_notes: MakeNotes) -> None:
    held_bass = [(0.0, 2.0, 48, 80, 0, False), *line(64, 67, first=0.5)]
    assert shares(make_notes(held_bass), "harmony") == {4: 0.5, 7: 0.5}
    assert np.isnan(np.asarray(measure(make_notes(line(60, 64, 67))).values["harmony"])).all()  # legato is no chord


def test_times_fall_into_quarter_octaves(make_notes: MakeNotes) -> None:
    quavers = make_notes(line(60, 62, 64, 65, step=0.25, length=1.0))
    bins = measure_named("onset_interval").bins
    assert shares(quavers, "onset_interval") == {4 * 4: 1.0}  # 2⁻² s is four octaves above 2⁻⁶ s
    assert shares(quavers, "duration") == {6 * 4: 1.0}
    assert shares(make_notes(line(60, 62, step=100.0)), "onset_interval") == {bins - 1: 1.0}


def test_notes_that_start_within_30_ms_are_one_onset(make_notes: MakeNotes) -> None:
    chord = [(0.0, 1.0, 60, 80, 0, False), (0.02, 1.0, 64, 80, 0, False), (1.0, 1.0, 67, 80, 0, False)]
    assert shares(make_notes(chord), "notes_per_onset") == {0: 0.5, 1: 0.5}


def test_density_and_polyphony(make_notes: MakeNotes) -> None:
    notes = make_notes(line(60, 62, 64, 65, 67, 69, 71, 72, 60, step=0.25, length=0.125))
    assert shares(notes, "density") == {8: 1.0}  # 4 notes a second, in halves
    voices = [(0.0, 4.0, 48, 80, 0, False), (1.0, 1.0, 60, 80, 0, False), (3.0, 1.0, 62, 80, 9, True)]
    assert shares(make_notes(voices), "polyphony") == {1: 0.75, 2: 0.25}


def test_groove_follows_the_tempo_map(make_notes: MakeNotes) -> None:
    # Two beats at 120, then at 60: onsets on the four beats of a bar.
    tempo = TempoMap(np.array([0.0, 1.0]), np.array([120.0, 60.0]))
    rows = [(second, 0.1, 60, 80, 0, False) for second in (0.0, 0.5, 1.0, 2.0)]
    notes = Notes.from_columns(*zip(*rows), tempo_map=tempo)
    assert shares(notes, "groove") == dict.fromkeys((0, 12, 24, 36), 0.25)
    assert value(notes, "onset_grid") == pytest.approx(0.0, abs=1e-9)


def test_repeated_bars_are_alike_and_others_are_not(make_notes: MakeNotes) -> None:
    bar, other = (60, 64, 67, 72), (61, 63, 66, 70)
    same = measure(make_notes(line(*bar * 4))).values
    assert np.asarray(same["self_similarity"])[:3] == pytest.approx(1.0)
    assert (same["bar_order"], same["recurrence"], same["groove_consistency"]) == pytest.approx((0.0, 1.0, 1.0))
    in_turn = measure(make_notes(line(*(bar + other) * 2))).values
    assert np.asarray(in_turn["self_similarity"])[:3] == pytest.approx([0.0, 1.0, 0.0])
    assert in_turn["recurrence"] == pytest.approx(2 / 3)
    assert float(in_turn["bar_order"]) < 0  # neighbours differ more than others
    rising = measure(make_notes(line(*(40 + step for step in range(32))))).values
    assert float(rising["bar_order"]) > 0.1


def test_groove_consistency_counts_the_sixteenths_that_differ(make_notes: MakeNotes) -> None:
    two_bars = [(0.0, 0.1, 60, 80, 0, False), (2.0, 0.1, 60, 80, 0, False), (2.5, 0.1, 60, 80, 0, False)]
    assert value(make_notes(two_bars), "groove_consistency") == pytest.approx(1 - 1 / 16)


def test_runs_are_counted_within_a_program(make_notes: MakeNotes) -> None:
    repeated, other = line(*[60] * 8, 62), line(*[40] * 9, program=32)
    assert measure(make_notes(repeated)).longest_run == 8
    assert measure(make_notes(repeated + other)).longest_run == 9
    assert value(make_notes(repeated), "longest_run") == 3.0
    assert measure(make_notes([(0.5 * n, 0.1, 36, 80, 0, True) for n in range(9)])).longest_run == 0


def test_a_stay_lasts_until_a_fourth_pitch_class_is_struck(make_notes: MakeNotes) -> None:
    chord, fourth = line(*[60, 64, 67, 72] * 2), [(4.0, 0.5, 65, 80, 0, False)]
    assert value(make_notes(chord), "longest_stay") == pytest.approx(4.0), "from the first onset to the end"
    assert value(make_notes(chord + fourth), "longest_stay") == pytest.approx(4.0)
    assert value(make_notes(line(60, 62, 64, 65, 67, 69, step=1.0)), "longest_stay") == pytest.approx(3.0)
    drums = [(0.5 * beat, 0.1, 36, 80, 0, True) for beat in range(20)]
    assert value(make_notes(chord + fourth + drums), "longest_stay") == value(
        make_notes(chord + fourth), "longest_stay"
    )
    assert np.isnan(value(make_notes(drums), "longest_stay"))


def test_silence_is_inside_and_drums_break_it(make_notes: MakeNotes) -> None:
    apart = line(60, 62, step=5.0, length=1.0)
    assert value(make_notes(apart), "longest_silence") == pytest.approx(4.0)
    assert value(make_notes([*apart, (3.0, 0.1, 36, 80, 0, True)]), "longest_silence") == pytest.approx(2.0)


def test_notes_at_the_cap(make_notes: MakeNotes) -> None:
    notes = make_notes([(0.0, 8.0, 60, 80, 0, False), (0.0, 7.0, 64, 80, 0, False)])
    assert value(notes, "capped") == 0.5
    assert value(notes, "capped", cap=7.0) == 1.0
    # In beats the cap is 16 of them, 8 s at this tempo of 120 and 16 s at 60.
    assert value(notes, "capped", in_beats=True) == 0.5
    assert (
        value(
            Notes(*(getattr(notes, n) for n in ("onset", "duration", "pitch", "velocity", "program", "drum")), 60.0),
            "capped",
            in_beats=True,
        )
        == 0.0
    )


def test_the_same_part_of_every_piece_is_measured(make_notes: MakeNotes) -> None:
    long = make_notes(line(*[60] * 30, *[72] * 70, step=0.1))
    assert measure(long, Extract(notes=30)).notes == 30
    assert measure(long, Extract(notes=None)).notes == 100
    after = measure(long, Extract(notes=30, after=3.0))
    assert np.flatnonzero(np.asarray(after.values["pitch"])).tolist() == [72]
    assert measure(long, Extract(notes=10, after=60.0)).notes == 0


def test_a_chord_is_not_cut(make_notes: MakeNotes) -> None:
    chords = [(float(beat), 1.0, pitch, 80, 0, False) for beat in range(4) for pitch in (60, 64, 67)]
    assert measure(make_notes(chords), Extract(notes=4)).notes == 6


def test_what_is_not_known_has_no_value(make_notes: MakeNotes) -> None:
    notes = make_notes(line(60, 62))
    assert all(np.isnan(value(notes, name)) for name in ("sounding_at_end", "asked_sounding", "copied"))
    known = PieceInfo(sounding_at_end=2, asked_sounding=0.5, copied_notes=15)
    assert value(notes, "copied", info=known) == 4.0
    drums = measure(make_notes([(0.5 * n, 0.1, 36, 80, 0, True) for n in range(9)])).values
    assert all(np.isnan(drums[name]).all() for name in ("pitch", "interval", "duration", "scale_share", "capped"))


@given(st.data())
def test_histograms_sum_to_one_whatever_the_notes(pieces: st.SearchStrategy[Notes], data: st.DataObject) -> None:
    values = measure(data.draw(pieces)).values
    for each in MEASURES:
        found = np.asarray(values[each.name])
        if each.bins and each.name != "self_similarity":
            assert np.isnan(found).all() or found.sum() == pytest.approx(1.0)
            assert np.isnan(found).all() or (found >= 0).all()


@given(st.data(), st.integers(1, 4))
def test_transposing_changes_pitch_alone(pieces: st.SearchStrategy[Notes], data: st.DataObject, up: int) -> None:
    notes = data.draw(pieces.filter(lambda notes: int(notes.pitch.max()) < 120))
    pitch = np.where(notes.drum, notes.pitch, notes.pitch + up).astype(np.uint8)
    columns = (notes.onset, notes.duration, pitch, notes.velocity, notes.program, notes.drum, notes.tempo)
    before, after = measure(notes).values, measure(Notes.from_columns(*columns)).values
    for name in ("interval", "harmony", "duration", "recurrence", "scale_share", "longest_run", "polyphony"):
        np.testing.assert_allclose(before[name], after[name], atol=1e-6, equal_nan=True)
