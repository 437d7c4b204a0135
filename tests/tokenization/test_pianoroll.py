"""Piano rolls: looked at as pixels, because that is what a person gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from tokenization.notes import Notes
from tokenization.pianoroll import COLOURS, draw_piano_roll
from tokenization.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load("musenet")
PIANO, VIOLIN = COLOURS[0], COLOURS[1]


def tune(programs: list[int], drum: list[bool] | None = None) -> Notes:
    count = len(programs)
    pitches, onsets = np.arange(60, 60 + count), np.arange(count)
    return Notes.from_columns(onsets, [0.9] * count, pitches, [127] * count, programs, drum or [False] * count)


def share_of(colour: str, picture: Path) -> float:
    """Share of the picture's pixels that have nearly this colour."""
    pixels = imread(picture)[..., :3]
    return float((np.abs(pixels - np.array(to_rgb(colour))).max(-1) < 0.03).mean())


def drawn(notes: Notes, folder: Path, title: str = "") -> Path:
    draw_piano_roll(notes, VOCABULARY, folder / "roll.png", title)
    return folder / "roll.png"


def test_each_instrument_has_its_colour(tmp_path: Path) -> None:
    both = drawn(tune([0, 0, 40, 40]), tmp_path)
    assert share_of(PIANO, both) > 0.005
    assert share_of(VIOLIN, both) > 0.005
    assert share_of(VIOLIN, drawn(tune([0, 0]), tmp_path)) == 0


def test_drums_have_a_strip_of_their_own(tmp_path: Path) -> None:
    with_drums = drawn(tune([0, 0, 0], [False, True, True]), tmp_path)
    assert share_of("#333333", with_drums) > share_of("#333333", drawn(tune([0]), tmp_path))


@pytest.mark.parametrize("notes", [tune([]), tune([0] * 3, [True] * 3), tune([0])], ids=["none", "drums only", "one"])
def test_any_piece_can_be_drawn(notes: Notes, tmp_path: Path) -> None:
    height, width, _ = imread(drawn(notes, tmp_path, "a title")).shape
    assert 300 < height < width


def test_a_long_piece_has_a_wide_picture_within_limits(tmp_path: Path) -> None:
    short = imread(drawn(tune([0] * 10), tmp_path)).shape[1]
    hours = Notes.from_columns([0, 9000], [1, 1], [60, 62], [80, 80], [0, 0], [False, False])
    assert short < imread(drawn(hours, tmp_path)).shape[1] < 4000


def test_the_suffix_decides_the_format(tmp_path: Path) -> None:
    draw_piano_roll(tune([0]), VOCABULARY, tmp_path / "roll.svg")
    assert (tmp_path / "roll.svg").read_text().lstrip().startswith("<?xml")
