"""Piano rolls as SVG: well-formed, small, every note there, texts escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenization.notes import Notes
from tokenization.pianoroll_svg import COLOURS, FEWEST_PITCHES, MOST_NOTES, PITCH_UNITS, pianoroll_svg
from tokenization.vocabulary import Vocabulary

Strokes = list[tuple[int, int, int]]
PIANO, VIOLIN = COLOURS[0], COLOURS[1]


def strokes(svg: str, colour: str) -> Strokes:
    """Left, height and length of every stroke of a colour, by time."""
    group = ElementTree.fromstring(svg).find(f"g[@stroke='{colour}']")
    paths = "" if group is None else "".join(path.attrib["d"] for path in group)
    found = re.findall(r"M(\d+) (\d+)[hv](\d+)", paths)
    return sorted((int(left), int(at), int(length)) for left, at, length in found)


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("text")]


def tune(count: int, step: float = 1.0) -> Notes:
    onsets = np.arange(count) * step
    return Notes.from_columns(
        onsets, np.full(count, step), np.arange(count) % 60 + 30, [80] * count, [0] * count, [False] * count
    )


def test_time_goes_right_and_pitch_goes_up(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    notes = make_notes([(0, 1, 60, 80, 0, False), (1, 2, 72, 80, 0, False)])
    (low_left, low, short), (high_left, high, long) = strokes(pianoroll_svg(notes, vocabulary), PIANO)
    assert low_left < high_left
    assert low - high == 12 * PITCH_UNITS
    assert abs(long - 2 * short) <= 2


def test_each_instrument_has_its_colour_and_its_name(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = pianoroll_svg(make_notes([(0, 1, 60, 80, 0, False), (0, 1, 67, 80, 40, False)]), vocabulary)
    assert len(strokes(svg, PIANO)) == len(strokes(svg, VIOLIN)) == 1
    assert {"piano", "violin"} <= set(texts(svg))


def test_drums_are_apart(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = pianoroll_svg(make_notes([(0, 1, 60, 80, 0, False), (0.5, 0.1, 36, 80, 0, True)]), vocabulary)
    (hit,), (note,) = strokes(svg, "currentColor"), strokes(svg, PIANO)
    assert hit[1] > note[1] + FEWEST_PITCHES // 2 * PITCH_UNITS - PITCH_UNITS
    assert "drums" in texts(svg)


def test_louder_notes_are_less_faint(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = pianoroll_svg(make_notes([(0, 1, 60, 20, 0, False), (1, 1, 60, 127, 0, False)]), vocabulary)
    group = ElementTree.fromstring(svg).find(f"g[@stroke='{PIANO}']")
    assert group is not None
    assert [float(path.attrib["opacity"]) for path in group] == [0.5, 1.0]


def test_only_the_beginning_is_shown(vocabulary: Vocabulary) -> None:
    svg = pianoroll_svg(tune(100), vocabulary, seconds=30)
    assert len(strokes(svg, PIANO)) == 30
    assert "0:30" in texts(svg) and "0:35" not in texts(svg)


def test_a_dense_piece_gives_a_small_picture(vocabulary: Vocabulary) -> None:
    svg = pianoroll_svg(tune(20_000, step=0.003), vocabulary)
    assert len(strokes(svg, PIANO)) <= MOST_NOTES
    assert len(svg) < 60_000


def test_everything_at_once_is_drawn_too(vocabulary: Vocabulary) -> None:
    count = 2 * MOST_NOTES
    notes = Notes.from_columns(
        [0] * count, [1] * count, np.arange(count) % 128, [80] * count, [0] * count, [False] * count
    )
    assert len(strokes(pianoroll_svg(notes, vocabulary), PIANO)) == 128


def test_a_title_is_only_text(vocabulary: Vocabulary) -> None:
    root = ElementTree.fromstring(pianoroll_svg(tune(3), vocabulary, title="<script>&\"'"))
    title = root.find("title")
    assert title is not None
    assert title.text == "<script>&\"'"
    assert root.find(".//script") is None


@given(st.data())
def test_any_piece_can_be_drawn(vocabulary: Vocabulary, pieces: st.SearchStrategy[Notes], data: st.DataObject) -> None:
    ElementTree.fromstring(pianoroll_svg(data.draw(pieces), vocabulary))


def test_no_notes_give_an_empty_roll(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    assert strokes(pianoroll_svg(make_notes([]), vocabulary), PIANO) == []
