"""Instruments: which class plays each General MIDI program, and which row a velocity takes."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from tokenization.vocabulary import Vocabulary, pitch_name
from tokenization.vocabulary.instruments import Instrument, InstrumentError, program_table, velocity_table

# MuseNet's assignment of the General MIDI programs (0–127); every program not listed is a piano.
CLASSES = {
    "violin": {40, 41, 44, 45, 48, 49, 50, 51},
    "cello": {42, 43},
    "bass": {32, 33, 34, 35, 36, 37, 38, 39},
    "guitar": {24, 25, 26, 27, 28, 29, 30, 31},
    "flute": {72, 73, 74, 75, 76, 77, 78, 79},
    "clarinet": {64, 65, 66, 67, 68, 69, 70, 71},
    "trumpet": {56, 57, 58, 59, 60, 61, 62, 63},
    "harp": {46},
}

# The families of General MIDI, eight programs each, and the switch of each.
FAMILIES = {
    "piano": "piano",
    "mallets": "mallets",  # General MIDI: chromatic percussion
    "organ": "organ",
    "guitar": "guitar",
    "bass": "bass",
    "strings": "strings",
    "ensemble": "strings",
    "brass": "brass",
    "reed": "reed",
    "pipe": "pipe",
    "lead": "synth",
    "pad": "synth",
    "effects": "synth",
    "ethnic": "world",
    "percussive": "world",
    "sounds": "sounds",
}

PIANO = Instrument(name="piano", group="piano", output_program=0, rows=(0, 40, 80))
DRUMS = Instrument(name="drums", group="drums", output_program=0, rows=(80,), drum=True)
ORGAN = Instrument(name="organ", group="organ", output_program=16, rows=(80, 0))
VIOLIN = Instrument(name="violin", group="strings", output_program=40, rows=(80, 0), programs=(40, 41))
VIOLA = Instrument(name="viola", group="strings", output_program=41, rows=(80, 0), programs=(41,))


@pytest.fixture(scope="module")
def general_midi() -> Vocabulary:
    return Vocabulary.load("general_midi")


def class_of(program: int) -> str:
    return next((name for name, programs in CLASSES.items() if program in programs), "piano")


class TestPrograms:
    @pytest.mark.parametrize("program", range(128))
    def test_every_program_has_its_class_in_musenet(self, program: int, vocabulary: Vocabulary) -> None:
        index = vocabulary.program_instrument[program]
        assert vocabulary.instruments[index].name == class_of(program)

    @pytest.mark.parametrize("program", range(128))
    def test_every_program_has_its_family_in_general_midi(self, program: int, general_midi: Vocabulary) -> None:
        instrument = general_midi.instruments[general_midi.program_instrument[program]]
        assert (instrument.name, instrument.group) == list(FAMILIES.items())[program // 8]

    def test_an_instrument_is_written_with_a_program_that_it_plays(
        self, vocabulary: Vocabulary, general_midi: Vocabulary
    ) -> None:
        for each in (vocabulary, general_midi):
            pitched = [i for i, instrument in enumerate(each.instruments) if not instrument.drum]
            assert [each.program_instrument[each.instruments[i].output_program] for i in pitched] == pitched

    def test_no_pitched_program_is_played_by_the_drums(self) -> None:
        table = program_table((DRUMS, VIOLIN, PIANO))
        assert table[[40, 41]].tolist() == [1, 1]
        assert set(np.delete(table, [40, 41]).tolist()) == {2}

    def test_two_instruments_cannot_claim_one(self) -> None:
        with pytest.raises(InstrumentError, match="program 41 is claimed by violin and viola"):
            program_table((PIANO, VIOLIN, VIOLA))

    def test_every_program_must_be_played(self) -> None:
        with pytest.raises(InstrumentError, match="no instrument plays program 0"):
            program_table((VIOLIN, DRUMS))

    def test_only_one_can_play_the_rest(self) -> None:
        with pytest.raises(InstrumentError, match=r"one instrument at most.*not piano and organ"):
            program_table((PIANO, ORGAN))


class TestVelocities:
    @pytest.mark.parametrize(
        ("velocity", "row"),
        [
            (1, 1),  # softer than the softest bin, 24
            (24, 1),
            (27, 1),  # 24 is nearer than 32
            (28, 1),  # just between: the softer bin
            (29, 2),
            (72, 7),
            (75, 7),
            (77, 8),
            (80, 8),
            (120, 13),
            (127, 13),  # louder than the loudest bin, 120
        ],
    )
    def test_musenets_piano_takes_the_row_of_the_nearest(self, velocity: int, row: int, vocabulary: Vocabulary) -> None:
        assert vocabulary.on_row[0, velocity] == row

    def test_musenets_other_instruments_take_their_row_for_all(self, vocabulary: Vocabulary) -> None:
        rows = {vocabulary.instruments[i].name: set(vocabulary.on_row[i].tolist()) for i in range(1, 10)}
        assert rows == {
            "violin": {14},
            "cello": {16},
            "bass": {18},
            "guitar": {20},
            "flute": {22},
            "clarinet": {24},
            "trumpet": {26},
            "harp": {28},
            "drums": {30},
        }

    @pytest.mark.parametrize(
        ("velocity", "nearest"),
        [(1, 16), (24, 16), (25, 32), (64, 64), (72, 64), (73, 80), (112, 112), (119, 112), (120, 127), (127, 127)],
    )
    def test_all_families_and_drums_have_eight_in_general_midi(
        self, velocity: int, nearest: int, general_midi: Vocabulary
    ) -> None:
        heard = general_midi.row_velocity[general_midi.on_row[:, velocity]]
        assert heard.tolist() == [nearest] * 17

    def test_no_note_on_is_written_as_a_note_off(self) -> None:
        # Silence (velocity 0) too: a note is a note.
        assert velocity_table((PIANO, DRUMS), (0, 3)).tolist() == [[1] * 61 + [2] * 67, [3] * 128]


# Lowest and highest note as they sound, by name.
RANGES = {
    "piano": ("A0", "C8"),
    "violin": ("G3", "G7"),
    "cello": ("C2", "C6"),
    "bass": ("B0", "G4"),
    "guitar": ("E2", "E6"),
    "flute": ("C4", "C7"),
    "clarinet": ("D3", "A#6"),
    "trumpet": ("E3", "C6"),
    "harp": ("B0", "G#7"),  # its C flat is a B
    "drums": ("C-1", "G9"),
}


class TestRanges:
    def test_of_musenets_instruments(self, vocabulary: Vocabulary) -> None:
        found = {i.name: tuple(pitch_name(pitch) for pitch in i.range) for i in vocabulary.instruments}
        assert found == RANGES

    def test_every_pitch_unless_it_is_stated(self) -> None:
        assert PIANO.range == (0, 127)

    def test_two_instruments_with_other_ranges_mean_the_same(self) -> None:
        narrow = PIANO.model_copy(update={"range": (40, 80)})
        assert narrow == PIANO
        assert hash(narrow) == hash(PIANO)
        assert PIANO.model_copy(update={"rows": (0, 40, 81)}) != PIANO

    @pytest.mark.parametrize("bounds", [(60, 59), (-1, 60), (0, 128)])
    def test_a_range_is_two_pitches_low_first(self, bounds: tuple[int, int]) -> None:
        with pytest.raises(ValidationError, match="range"):
            Instrument(name="harp", group="harp", output_program=46, rows=(80, 0), range=bounds)
