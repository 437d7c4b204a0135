"""Instruments: which class plays each General MIDI program, and which row a velocity takes."""

from __future__ import annotations

import numpy as np
import pytest

from tokenization.instruments import Instrument, program_table, velocity_table
from tokenization.vocabulary import Vocabulary, pitch_name

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


def class_of(program: int) -> str:
    return next((name for name, programs in CLASSES.items() if program in programs), "piano")


@pytest.fixture
def piano() -> Instrument:
    return Instrument("piano", "piano", 0, (0, 40, 80))


@pytest.fixture
def drums() -> Instrument:
    return Instrument("drums", "drums", 0, (80,), drum=True)


@pytest.mark.parametrize("program", range(128))
def test_every_general_midi_program_has_its_class(program: int, vocabulary: Vocabulary) -> None:
    index = vocabulary.program_instrument[program]
    assert vocabulary.instruments[index].name == class_of(program)


def test_an_instrument_is_written_with_a_program_that_it_plays(vocabulary: Vocabulary) -> None:
    for index, instrument in enumerate(vocabulary.instruments):
        if not instrument.drum:
            assert vocabulary.program_instrument[instrument.output_program] == index, instrument.name


def test_no_pitched_program_is_played_by_the_drums(piano: Instrument, drums: Instrument) -> None:
    violin = Instrument("violin", "strings", 40, (80, 0), programs=(40,))
    table = program_table((drums, violin, piano))
    assert table[40] == 1
    assert set(np.delete(table, 40).tolist()) == {2}


def test_two_instruments_cannot_claim_one_program(piano: Instrument) -> None:
    violin = Instrument("violin", "strings", 40, (80, 0), programs=(40, 41))
    viola = Instrument("viola", "strings", 41, (80, 0), programs=(41,))
    with pytest.raises(ValueError, match="program 41 is claimed by violin and viola"):
        program_table((piano, violin, viola))


def test_some_instrument_must_play_the_programs_that_no_other_claims(piano: Instrument, drums: Instrument) -> None:
    violin = Instrument("violin", "strings", 40, (80, 0), programs=(40,))
    with pytest.raises(ValueError, match="exactly one"):
        program_table((violin, drums))
    with pytest.raises(ValueError, match="exactly one"):
        program_table((piano, Instrument("organ", "organ", 16, (80, 0))))


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
def test_a_piano_note_takes_the_row_of_the_nearest_velocity(velocity: int, row: int, vocabulary: Vocabulary) -> None:
    assert vocabulary.on_row[0, velocity] == row


def test_instruments_with_one_velocity_take_their_row_for_all(vocabulary: Vocabulary) -> None:
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


def test_no_note_on_is_written_as_a_note_off(piano: Instrument, drums: Instrument) -> None:
    # Silence (velocity 0) too: a note is a note.
    assert velocity_table((piano, drums), (0, 3)).tolist() == [[1] * 61 + [2] * 67, [3] * 128]


def test_an_instrument_reads_what_a_vocabulary_file_states() -> None:
    read = Instrument.from_dict(
        {"name": "harp", "group": "harp", "output_program": 46, "programs": [46], "rows": [80, 0]}
    )
    assert read == Instrument("harp", "harp", 46, (80, 0), (46,), drum=False)
    assert read.range == (0, 127), "an instrument that states no range plays every pitch"


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


def test_the_ranges_of_musenets_instruments(vocabulary: Vocabulary) -> None:
    found = {i.name: tuple(pitch_name(pitch) for pitch in i.range) for i in vocabulary.instruments}
    assert found == RANGES


@pytest.mark.parametrize("bounds", [(60, 59), (-1, 60), (0, 128)])
def test_a_range_is_two_pitches_low_first(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="instrument 'harp': range"):
        Instrument("harp", "harp", 46, (80, 0), range=bounds)
