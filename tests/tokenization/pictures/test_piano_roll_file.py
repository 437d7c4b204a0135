"""Piano rolls: looked at as pixels, because that is what a person gets."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.pictures.piano_roll import COLOURS
from tokenization.pictures.piano_roll_file import DRUM_COLOUR, draw_piano_roll
from tokenization.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load("musenet")
PIANO, VIOLIN, FLUTE = COLOURS[0], COLOURS[1], COLOURS[5]
Pixels = NDArray[np.float32]


def tune(programs: list[int], drum: list[bool] | None = None) -> Notes:
    count = len(programs)
    pitches, onsets = np.arange(60, 60 + count), np.arange(count)
    return Notes.from_columns(onsets, [0.9] * count, pitches, [127] * count, programs, drum or [False] * count)


def drawn(notes: Notes, title: str = "") -> Pixels:
    """The picture, shape (height, width, 3)."""
    return imread(io.BytesIO(draw_piano_roll(notes, VOCABULARY, title)))[..., :3]


def has(colour: str, picture: Pixels) -> NDArray[np.bool_]:
    """Where the picture has nearly this colour."""
    return np.abs(picture - np.array(to_rgb(colour))).max(-1) < 0.03


def without_texts(picture: Pixels) -> Pixels:
    """What is below the legend, above the times and to the right of the names."""
    return picture[37:-42, 150:]


class TestNotes:
    def test_each_instrument_has_its_colour(self) -> None:
        both = drawn(tune([0, 0, 40, 40]))
        assert has(PIANO, both).mean() > 0.005
        assert has(VIOLIN, both).mean() > 0.005
        assert not has(VIOLIN, drawn(tune([0, 0]))).any()

    def test_drums_are_below(self) -> None:
        picture = drawn(tune([0, 0, 0], [False, True, True]))
        bars, hits = (without_texts(has(colour, picture)).nonzero()[0] for colour in (PIANO, DRUM_COLOUR))
        assert len(hits) > 0
        assert bars.max() < hits.min()
        assert not without_texts(has(DRUM_COLOUR, drawn(tune([0])))).any()

    def test_drums_alone_have_no_pitches_above(self) -> None:
        alone, together = drawn(tune([0] * 3, [True] * 3)), drawn(tune([0] * 4, [True] * 3 + [False]))
        assert 80 < len(alone) < len(together) / 3
        assert has(DRUM_COLOUR, alone).any()

    @pytest.mark.parametrize(("pitch", "program", "colour"), [(0, 0, PIANO), (127, 73, FLUTE)])
    def test_the_outermost_pitches_are_whole(self, pitch: int, program: int, colour: str) -> None:
        def height(key: int) -> int:
            picture = drawn(Notes.from_columns([0.0], [2.0], [key], [127], [program], [False]))
            return int(without_texts(has(colour, picture)).any(1).sum())

        assert height(pitch) == pytest.approx(height(60), abs=1)

    def test_repeated_notes_are_apart(self) -> None:
        notes = Notes.from_columns(np.arange(10), [1.0] * 10, [60] * 10, [127] * 10, [0] * 10, [False] * 10)
        columns = without_texts(has(PIANO, drawn(notes))).any(0)
        assert np.count_nonzero(np.diff(columns.astype(int)) == -1) == 10

    def test_a_short_note_of_an_hour_is_seen(self) -> None:
        notes = Notes.from_columns([0, 1800.0], [3600, 0.01], [60, 80], [127, 127], [0, 40], [False, False])
        picture = drawn(notes)
        assert 1000 < picture.shape[1] < 4000
        assert 1 <= without_texts(has(VIOLIN, picture)).any(0).sum() <= 3

    def test_louder_notes_are_less_faint(self) -> None:
        def darkest(velocity: int) -> float:
            notes = Notes.from_columns([0.0], [1.0], [60], [velocity], [0], [False])
            return float(without_texts(drawn(notes)).sum(-1).min())

        assert darkest(127) < darkest(64) < darkest(20)


class TestPicture:
    @pytest.mark.parametrize("notes", [tune([]), tune([0])], ids=["none", "one"])
    def test_it_is_wider_than_high(self, notes: Notes) -> None:
        height, width, _ = drawn(notes, "a title").shape
        assert 300 < height < width

    def test_a_long_piece_has_a_wide_picture_within_limits(self) -> None:
        hours = Notes.from_columns([0, 9000], [1, 1], [60, 62], [80, 80], [0, 0], [False, False])
        assert drawn(tune([0] * 10)).shape[1] < drawn(hours).shape[1] < 4000

    @pytest.mark.parametrize(
        "title", ["$x_1$ and $\\frac{", "さくら", "two\nlines\x00", "<script>-->", "long " * 1000, "\ud800"]
    )
    def test_any_title_is_only_text(self, title: str) -> None:
        assert drawn(tune([0]), title).shape[1] == drawn(tune([0])).shape[1]
        ElementTree.fromstring(draw_piano_roll(tune([0]), VOCABULARY, title, "svg"))

    def test_all_families_with_drums(self) -> None:
        families = Vocabulary.load("general_midi")
        programs = np.arange(0, 128, 8)
        notes = Notes.from_columns(np.arange(16), [0.9] * 16, 50 + np.arange(16), [127] * 16, programs, [False] * 16)
        picture = imread(io.BytesIO(draw_piano_roll(notes, families)))[..., :3]
        used = {int(families.program_instrument[program]) for program in programs}
        assert len(used) == 16
        for index in used:
            assert has(COLOURS[index], picture).mean() > 0.001

    def test_the_same_notes_give_the_same_bytes(self) -> None:
        for picture in ("png", "svg"):
            first, second = (draw_piano_roll(tune([0, 40]), VOCABULARY, "title", picture) for _ in range(2))
            assert first == second

    @settings(max_examples=20)
    @given(st.data())
    def test_any_piece_can_be_drawn(self, pieces: st.SearchStrategy[Notes], data: st.DataObject) -> None:
        ElementTree.fromstring(draw_piano_roll(data.draw(pieces), VOCABULARY, picture="svg"))
