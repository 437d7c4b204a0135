"""Augmentation: what a variant changes and what it never touches, and which variants a piece gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tokenization.augmentation import (
    ORIGINAL,
    AugmentationSchedule,
    AugmentationSettings,
    Choices,
    Variant,
    apply,
    apply_to_tokens,
    draw_variants,
    transpose_range,
    transpose_range_of_tokens,
    vary,
)
from tokenization.encodings import ENCODINGS, Encoding, Time, get_encoding, learn_tokens
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

MakeNotes = Callable[..., Notes]
PIANO, VIOLIN, CELLO, BASS = 0, 40, 42, 32
EVERYTHING = (-127, 127)


def rows(notes: Notes) -> list[tuple[object, ...]]:
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return list(zip(*(column.tolist() for column in columns)))


class TestApplying:
    def test_a_piece_by_hand(self, make_notes: MakeNotes) -> None:
        notes = make_notes(
            [
                (0.0, 1.0, 60, 72, PIANO, False),
                (0.0, 0.5, 36, 120, 0, True),
                (1.0, 0.5, 67, 100, VIOLIN, False),
            ],
            tempo=120,
        )
        varied = apply(notes, Variant(transpose=-5, velocity_shift=10, stretch=1.25))
        assert rows(varied) == [
            (0.0, 0.625, 36, 127, 0, True),  # a drum keeps its key; no velocity is above 127
            (0.0, 1.25, 55, 82, PIANO, False),
            (1.25, 0.625, 62, 110, VIOLIN, False),
        ]
        assert varied.tempo == 96

    def test_no_note_falls_silent(self, make_notes: MakeNotes) -> None:
        quiet = apply(make_notes([(0, 1, 60, 5, PIANO, False), (1, 1, 60, 30, PIANO, False)]), Variant(0, -20))
        assert quiet.velocity.tolist() == [1, 10]

    def test_the_original_is_the_piece_itself(self, make_notes: MakeNotes) -> None:
        notes = make_notes([(0, 1, 60, 72, PIANO, False)])
        assert apply(notes, ORIGINAL) is notes

    def test_nothing_stays_nothing(self, make_notes: MakeNotes) -> None:
        assert len(apply(make_notes([]), Variant(3, 3, 1.1))) == 0

    @pytest.mark.parametrize(("pitch", "transpose"), [(2, -3), (126, 2)])
    def test_pitches_that_midi_does_not_have_are_refused(
        self, pitch: int, transpose: int, make_notes: MakeNotes
    ) -> None:
        with pytest.raises(ValueError, match="semitones lead to pitches"):
            apply(make_notes([(0, 1, pitch, 72, PIANO, False)]), Variant(transpose))

    @pytest.mark.parametrize("stretch", [0.0, -1.0, float("inf"), float("nan")])
    def test_a_stretch_is_a_positive_factor(self, stretch: float) -> None:
        with pytest.raises(ValueError, match="a stretch is a positive factor"):
            Variant(stretch=stretch)

    @given(data=st.data(), semitones=st.integers(-127, 127))
    def test_up_and_back_is_the_same_piece(
        self, data: st.DataObject, semitones: int, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        pitched = notes.pitch[~notes.drum].astype(int) + semitones
        assume(((pitched >= 0) & (pitched <= 127)).all())
        there = apply(notes, Variant(semitones))
        assert there.pitch[~notes.drum].tolist() == pitched.tolist()
        assert rows(apply(there, Variant(-semitones))) == rows(notes)

    @given(data=st.data(), shift=st.integers(-64, 64), stretch=st.floats(0.5, 1.5))
    def test_drums_and_pitches_stay_whatever_else_changes(
        self, data: st.DataObject, shift: int, stretch: float, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        varied = apply(notes, Variant(0, shift, stretch))
        for column in ("pitch", "program", "drum"):
            assert getattr(varied, column).tolist() == getattr(notes, column).tolist()
        wanted = [min(max(velocity + shift, 1), 127) for velocity in notes.velocity.tolist()]
        assert varied.velocity.tolist() == wanted
        assert varied.tempo * stretch == pytest.approx(notes.tempo)
        assert varied.seconds == pytest.approx(notes.seconds * stretch)
        assert (np.diff(varied.onset) >= 0).all()

    def test_transposing_moves_the_tokens_and_nothing_else(self, encoding: Combined, make_notes: MakeNotes) -> None:
        notes = make_notes([(0, 1, 60, 72, PIANO, False), (0.5, 1, 48, 72, CELLO, False), (0.5, 1, 38, 90, 0, True)])
        text = encoding.vocabulary.to_text(encoding.encode(apply(notes, Variant(2))))
        assert text == (
            "no_style piano_strings_drums start tempo120 piano:v72:D4 wait:48 cello:v80:D3 drums:v80:D2 "
            "wait:48 piano:v0:D4 wait:48 cello:v0:D3 end"
        )


@pytest.fixture(scope="module", params=[(name, time) for name in ENCODINGS for time in Time], ids="-".join)
def any_encoding(request: pytest.FixtureRequest, vocabulary: Vocabulary, make_notes: MakeNotes) -> Encoding:
    """Each encoding in turn, with a few units."""
    name, time = request.param
    encoding = get_encoding(name, vocabulary, time)
    steps = [(0, 4, 7), (5, 9, 12), (7, 11, 14)] * 9
    chords = make_notes([(i / 2, 0.5, 60 + step, 72, 0, False) for i, chord in enumerate(steps) for step in chord])
    return learn_tokens(encoding, [encoding.encode(chords)] * 5, 50)


class TestApplyingToTokens:
    @given(data=st.data())
    def test_transposing_tokens_is_transposing_notes(
        self, data: st.DataObject, any_encoding: Encoding, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        variant = Variant(data.draw(st.integers(*transpose_range(notes, any_encoding.vocabulary))))
        varied = apply_to_tokens(any_encoding.encode(notes, "bach"), variant, any_encoding)
        assert varied.tolist() == any_encoding.encode(apply(notes, variant), "bach").tolist()

    @given(data=st.data(), shift=st.integers(-60, 60), stretch=st.sampled_from([1.0, 1.0, 0.9, 1.113]))
    def test_any_variant_is_what_the_decoded_notes_would_give(
        self, data: st.DataObject, shift: int, stretch: float, any_encoding: Encoding, pieces: st.SearchStrategy[Notes]
    ) -> None:
        tokens = any_encoding.encode(data.draw(pieces), "jazz")
        heard = any_encoding.decode(tokens)
        down, up = transpose_range(heard, any_encoding.vocabulary)
        variant = Variant(data.draw(st.integers(down, up)), shift, stretch)
        varied = apply_to_tokens(tokens, variant, any_encoding)
        assert varied.tolist() == any_encoding.encode(apply(heard, variant), "jazz").tolist()

    def test_velocities_stop_at_the_last_row(self, encoding: Combined) -> None:
        vocabulary = encoding.vocabulary
        tokens = vocabulary.from_text("bach piano start tempo120 piano:v24:C4 piano:v112:D4 violin:v80:E4 wait:9 end")
        louder = apply_to_tokens(tokens, Variant(velocity_shift=16), encoding)
        assert vocabulary.to_text(louder[4:-2]) == "piano:v40:C4 piano:v120:D4 violin:v80:E4"
        softer = apply_to_tokens(tokens, Variant(velocity_shift=-16), encoding)
        assert vocabulary.to_text(softer[4:-2]) == "piano:v24:C4 piano:v96:D4 violin:v80:E4"

    def test_pitches_that_midi_does_not_have_are_refused(self, encoding: Combined) -> None:
        tokens = encoding.vocabulary.from_text("bach piano start tempo120 piano:v72:C4 drums:v80:G9 wait:9 end")
        assert "drums:v80:G9" in encoding.vocabulary.to_text(apply_to_tokens(tokens, Variant(12), encoding))
        with pytest.raises(ValueError, match=r"\+68 semitones lead to pitches"):
            apply_to_tokens(tokens, Variant(68), encoding)

    @given(data=st.data())
    def test_the_range_is_the_notes(
        self, data: st.DataObject, any_encoding: Encoding, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        found = transpose_range_of_tokens(any_encoding.encode(notes), any_encoding)
        assert found == transpose_range(notes, any_encoding.vocabulary)


class TestVarying:
    """What the training loader does with a window's piece."""

    def test_the_uniform_number_reaches_all_variants(self, encoding: Combined, make_notes: MakeNotes) -> None:
        tokens = encoding.encode(make_notes([(0, 1, 60, 72, PIANO, False)]))
        settings = AugmentationSettings(transpose=1, velocity=0, stretch=0)
        found = [vary(tokens, 0, settings, encoding, uniform)[0][4] % 128 for uniform in (0.0, 0.34, 0.67, 0.999)]
        assert found == [59, 60, 61, 61]

    def test_a_place_stays_where_the_length_does(self, encoding: Combined, make_notes: MakeNotes) -> None:
        tokens = encoding.encode(make_notes([(i, 1, 60, 72, PIANO, False) for i in range(9)]))
        settings = AugmentationSettings(transpose=3, velocity=12, stretch=0)
        assert {vary(tokens, 7, settings, encoding, step / 100)[1] for step in range(100)} == {7}

    def test_in_a_stretched_piece_it_is_at_the_same_share(self, encoding: Combined, make_notes: MakeNotes) -> None:
        # a wait of 128 ticks is one token, a longer one is two
        tokens = encoding.encode(make_notes([(i * 4 / 3, 4 / 3, 60, 72, PIANO, False) for i in range(100)]))
        settings = AugmentationSettings(transpose=0, velocity=0, stretch=0.1)
        varied, start = vary(tokens, 150, settings, encoding, 0.999)
        assert len(varied) > len(tokens)
        assert start / (len(varied) - 4) == pytest.approx(150 / (len(tokens) - 4), abs=0.01)

    def test_beats_are_not_stretched(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        encoding = get_encoding("combined", vocabulary, Time.BEATS)
        tokens = encoding.encode(make_notes([(0, 1, 60, 72, PIANO, False)]))
        settings = AugmentationSettings(transpose=0, velocity=0, stretch=0.5)
        assert all(vary(tokens, 0, settings, encoding, i / 9)[0].tolist() == tokens.tolist() for i in range(9))


class TestSchedule:
    def test_transposition_becomes_less(self) -> None:
        schedule = AugmentationSchedule(transpose=6, final_transpose=1, anneal_from=0.5, velocity=8, stretch=0.02)
        assert [schedule.at(done / 10).transpose for done in range(11)] == [6, 6, 6, 6, 6, 6, 5, 4, 3, 2, 1]
        assert schedule.at(1.0) == AugmentationSettings(transpose=1, velocity=8, stretch=0.02)

    def test_it_may_begin_at_once_or_never(self) -> None:
        assert AugmentationSchedule(transpose=4, anneal_from=0).at(0.5).transpose == 2
        assert AugmentationSchedule(transpose=4, anneal_from=1).at(1.0).transpose == 4

    def test_without_settings_nothing_changes(self) -> None:
        assert len(Choices(AugmentationSchedule().at(0.3), EVERYTHING)) == 1


class TestTransposeRange:
    def ranged(self, vocabulary: Vocabulary, *notes: tuple[int, int, bool]) -> tuple[int, int]:
        """The range of notes given as program, pitch, drum."""
        columns = list(zip(*notes))
        count = len(notes)
        return transpose_range(
            Notes.from_columns(range(count), [1] * count, columns[1], [72] * count, columns[0], columns[2]), vocabulary
        )

    def test_of_one_instrument(self, vocabulary: Vocabulary) -> None:
        # a piano has 21 to 108
        assert self.ranged(vocabulary, (PIANO, 60, False), (PIANO, 72, False)) == (-39, 36)

    def test_the_tightest_instrument_decides(self, vocabulary: Vocabulary) -> None:
        # a violin's lowest string is 55, a cello's C6 is 84
        assert self.ranged(vocabulary, (VIOLIN, 57, False), (CELLO, 80, False), (PIANO, 60, False)) == (-2, 4)

    def test_drums_do_not_bound_it(self, vocabulary: Vocabulary) -> None:
        assert self.ranged(vocabulary, (VIOLIN, 60, False), (0, 1, True), (100, 127, True)) == (-5, 43)

    def test_drums_alone_go_nowhere(self, vocabulary: Vocabulary) -> None:
        assert self.ranged(vocabulary, (0, 36, True)) == (0, 0)

    def test_a_note_outside_its_range_closes_one_direction_only(self, vocabulary: Vocabulary) -> None:
        # a bass (23 to 67) that is written an octave too low
        assert self.ranged(vocabulary, (BASS, 12, False), (BASS, 40, False)) == (0, 27)
        assert self.ranged(vocabulary, (BASS, 70, False), (BASS, 40, False)) == (-17, 0)

    def test_a_piece_without_notes(self, vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
        assert transpose_range(make_notes([]), vocabulary) == (0, 0)

    @given(data=st.data())
    def test_no_instrument_leaves_its_range_and_one_semitone_more_would(
        self, data: st.DataObject, vocabulary: Vocabulary, pieces: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(pieces)
        down, up = transpose_range(notes, vocabulary)
        assert down <= 0 <= up
        voices = vocabulary.program_instrument[notes.program]
        bounds: dict[int, tuple[int, int]] = {}
        for voice in set(voices[~notes.drum].tolist()):
            played = notes.pitch[~notes.drum & (voices == voice)].tolist()
            low, high = vocabulary.instruments[voice].range
            bounds[voice] = min(low, *played, 127), max(high, *played, 0)

        def inside(semitones: int) -> bool:
            shifted = notes.pitch[~notes.drum].astype(int) + semitones
            return all(
                bounds[voice][0] <= pitch <= bounds[voice][1]
                for voice, pitch in zip(voices[~notes.drum].tolist(), shifted.tolist())
            )

        assert inside(down)
        assert inside(up)
        if bounds:
            assert not inside(down - 1)
            assert not inside(up + 1)


class TestDrawing:
    def test_the_original_comes_first(self) -> None:
        settings = AugmentationSettings()
        assert draw_variants("piece", 0, 0, settings, EVERYTHING) == [ORIGINAL]
        assert draw_variants("piece", 5, 0, settings, EVERYTHING)[0] == ORIGINAL

    def test_the_same_on_every_machine(self) -> None:
        # When this fails on purpose: raise augmentation.VERSION.
        drawn = draw_variants("4f2a", 3, 17, AugmentationSettings(), (-4, 6))
        assert drawn == [ORIGINAL, Variant(4, 5, 0.99), Variant(1, 5, 1.032), Variant(-2, -2, 1.004)]

    def test_more_copies_keep_the_first(self) -> None:
        settings = AugmentationSettings()
        many = draw_variants("piece", 20, 3, settings, EVERYTHING)
        assert len(many) == 21
        assert draw_variants("piece", 5, 3, settings, EVERYTHING) == many[:6]

    def test_another_seed_or_piece_is_another_draw(self) -> None:
        settings = AugmentationSettings()
        draws = {
            tuple(draw_variants(piece, 3, seed, settings, EVERYTHING)) for piece in ("a", "b") for seed in range(3)
        }
        assert len(draws) == 6

    @given(
        copies=st.integers(0, 40),
        transpose=st.integers(0, 12),
        velocity=st.integers(0, 5),
        stretch=st.sampled_from([0.0, 0.001, 0.05]),
        allowed=st.tuples(st.integers(-20, 0), st.integers(0, 20)),
        seed=st.integers(0, 2**32),
    )
    def test_they_stay_within_settings_and_range_and_differ(
        self, copies: int, transpose: int, velocity: int, stretch: float, allowed: tuple[int, int], seed: int
    ) -> None:
        settings = AugmentationSettings(transpose=transpose, velocity=velocity, stretch=stretch)
        variants = draw_variants("piece", copies, seed, settings, allowed)
        keys = min(-allowed[0], transpose) + min(allowed[1], transpose) + 1
        possible = keys * (2 * velocity + 1) * (2 * round(stretch * 1000) + 1)
        assert len(set(variants)) == len(variants) == min(copies + 1, possible)
        for variant in variants:
            assert max(allowed[0], -transpose) <= variant.transpose <= min(allowed[1], transpose)
            assert abs(variant.velocity_shift) <= velocity
            assert abs(variant.stretch - 1) <= stretch + 1e-9

    def test_all_that_is_possible_is_drawn_when_asked_for(self) -> None:
        settings = AugmentationSettings(transpose=2, velocity=1, stretch=0)
        variants = draw_variants("piece", 99, 0, settings, (-1, 12))
        assert sorted((v.transpose, v.velocity_shift) for v in variants) == [
            (transpose, shift) for transpose in (-1, 0, 1, 2) for shift in (-1, 0, 1)
        ]

    def test_every_change_is_drawn_equally_often(self) -> None:
        drawn = [draw_variants(f"{number:x}", 1, 0, AugmentationSettings(), EVERYTHING)[1] for number in range(13_000)]
        for values, counts in (
            (range(-6, 7), Counter(variant.transpose for variant in drawn)),
            (range(-12, 13), Counter(variant.velocity_shift for variant in drawn)),
            ([step / 1000 for step in range(950, 1051)], Counter(variant.stretch for variant in drawn)),
        ):
            assert set(counts) == set(values)
            expected = len(drawn) / len(values)
            assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5


class TestSettings:
    @pytest.mark.parametrize("wrong", [{"transpose": -1}, {"stretch": 0.9}, {"velocity": 100}, {"pitch": 3}])
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValidationError):
            AugmentationSettings(**wrong)
