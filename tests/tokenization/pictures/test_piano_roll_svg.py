"""Piano rolls as SVG: well-formed, small, every note there, texts escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi.notes import Notes
from tokenization.pictures.piano_roll import COLOURS, FEWEST_PITCHES, MOST_NAMED_KEYS, Roll
from tokenization.pictures.piano_roll_svg import MOST_NOTES, PITCH_UNITS, piano_roll_svg
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
    (low_left, low, short), (high_left, high, long) = strokes(piano_roll_svg(notes, vocabulary), PIANO)
    assert low_left < high_left
    assert low - high == 12 * PITCH_UNITS
    assert abs(long - 2 * short) <= 2


def test_each_instrument_has_its_colour_and_its_name(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = piano_roll_svg(make_notes([(0, 1, 60, 80, 0, False), (0, 1, 67, 80, 40, False)]), vocabulary)
    assert len(strokes(svg, PIANO)) == len(strokes(svg, VIOLIN)) == 1
    assert {"piano", "violin"} <= set(texts(svg))


def test_drums_are_apart(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = piano_roll_svg(make_notes([(0, 1, 60, 80, 0, False), (0.5, 0.1, 36, 80, 0, True)]), vocabulary)
    (hit,), (note,) = strokes(svg, "currentColor"), strokes(svg, PIANO)
    assert hit[1] > note[1] + FEWEST_PITCHES // 2 * PITCH_UNITS - PITCH_UNITS
    assert "bass drum 1" in texts(svg)


def test_many_drums_have_one_name(vocabulary: Vocabulary) -> None:
    def kit(count: int) -> Notes:
        keys = 35 + np.arange(count)
        return Notes.from_columns(np.arange(count), [0.1] * count, keys, [80] * count, [0] * count, [True] * count)

    few, many = (piano_roll_svg(kit(count), vocabulary) for count in (MOST_NAMED_KEYS, MOST_NAMED_KEYS + 1))
    assert {"closed hi-hat", "acoustic bass drum"} <= set(texts(few))
    assert "drums" not in texts(few)
    assert [text for text in texts(many) if ":" not in text] == ["drums"]
    # The lowest key is the lowest row, where its name is.
    rows = [at for _, at, _ in strokes(few, "currentColor")]
    assert rows == sorted(rows, reverse=True)
    names = [text for text in texts(few) if ":" not in text]
    assert (names[0], names[-1]) == ("high tom", "acoustic bass drum")


def test_drums_alone_have_no_pitches(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = piano_roll_svg(make_notes([(0.5, 0.1, 42, 80, 0, True)]), vocabulary)
    assert texts(svg) == ["0:00", "0:01", "closed hi-hat"]
    assert len(strokes(svg, "currentColor")) == 1


def test_louder_notes_are_less_faint(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    svg = piano_roll_svg(make_notes([(0, 1, 60, 20, 0, False), (1, 1, 60, 127, 0, False)]), vocabulary)
    group = ElementTree.fromstring(svg).find(f"g[@stroke='{PIANO}']")
    assert group is not None
    assert [float(path.attrib["opacity"]) for path in group] == [0.5, 1.0]


def test_only_the_beginning_is_shown(vocabulary: Vocabulary) -> None:
    svg = piano_roll_svg(tune(100), vocabulary, seconds=30)
    assert len(strokes(svg, PIANO)) == 30
    assert "0:30" in texts(svg) and "0:35" not in texts(svg)


def test_a_dense_piece_gives_a_small_picture(vocabulary: Vocabulary) -> None:
    svg = piano_roll_svg(tune(20_000, step=0.003), vocabulary)
    assert len(strokes(svg, PIANO)) <= MOST_NOTES
    assert len(svg) < 60_000


def test_everything_at_once_is_drawn_too(vocabulary: Vocabulary) -> None:
    count = 2 * MOST_NOTES
    notes = Notes.from_columns(
        [0] * count, [1] * count, np.arange(count) % 128, [80] * count, [0] * count, [False] * count
    )
    assert len(strokes(piano_roll_svg(notes, vocabulary), PIANO)) == 128


def test_a_title_is_only_text(vocabulary: Vocabulary) -> None:
    root = ElementTree.fromstring(piano_roll_svg(tune(3), vocabulary, title="<script>&\"'"))
    title = root.find("title")
    assert title is not None
    assert title.text == "<script>&\"'"
    assert root.find(".//script") is None


@given(st.data())
def test_any_piece_can_be_drawn(vocabulary: Vocabulary, pieces: st.SearchStrategy[Notes], data: st.DataObject) -> None:
    ElementTree.fromstring(piano_roll_svg(data.draw(pieces), vocabulary))


def test_no_notes_give_an_empty_roll(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    assert strokes(piano_roll_svg(make_notes([]), vocabulary), PIANO) == []


def test_a_legend_of_all_families_takes_two_lines(make_notes: Callable[..., Notes]) -> None:
    families = Vocabulary.load("general_midi")
    svg = piano_roll_svg(make_notes([(i, 1, 40 + i, 80, 8 * i, False) for i in range(16)]), families)
    squares = ElementTree.fromstring(svg).findall("rect")
    assert len({square.attrib["fill"] for square in squares}) == 16
    assert len({square.attrib["y"] for square in squares}) == 2
    first_bar = min(at for colour in COLOURS for _, at, _ in strokes(svg, colour))
    assert first_bar > max(int(square.attrib["y"]) + 40 for square in squares)


@pytest.mark.parametrize(
    ("pitches", "shown"),
    [
        ([60], range(49, 73)),  # 24 in all: 59–61, then 10 below and 11 above
        ([40, 80], range(39, 82)),
        ([0], range(24)),  # what there is not is not shown
        ([127], range(104, 128)),
        ([0, 127], range(128)),
    ],
)
def test_the_pitches_in_use_are_shown(
    pitches: list[int], shown: range, vocabulary: Vocabulary, make_notes: Callable[..., Notes]
) -> None:
    roll = Roll.of(make_notes([(0, 1, pitch, 80, 0, False) for pitch in pitches]), vocabulary)
    assert roll.pitches == shown


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.5, ["0:00", "0:01"]),
        (10, ["0:00", "0:01", "0:02", "0:03", "0:04", "0:05", "0:06", "0:07", "0:08", "0:09", "0:10"]),
        (150, ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30", "1:45", "2:00", "2:15", "2:30"]),
        (2.5 * 3600, ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00"]),
        (86_400, [f"{hour}:00:00" if hour else "0:00" for hour in range(0, 25, 2)]),
    ],
)
def test_times_are_round(
    seconds: float, labels: list[str], vocabulary: Vocabulary, make_notes: Callable[..., Notes]
) -> None:
    roll = Roll.of(make_notes([(0, seconds, 60, 80, 0, False)]), vocabulary)
    assert [label for _, label in roll.times(12)] == labels


def test_a_piece_of_weeks_has_few_times(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    assert len(Roll.of(make_notes([(0, 1e7, 60, 80, 0, False)]), vocabulary).times(12)) <= 13


def linear(colour: str) -> np.ndarray:
    """Red, green and blue as amounts of light (sRGB, IEC 61966-2-1)."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(colour: str) -> np.ndarray:
    """Lightness and two opponent colours, in which distances are alike to the eye (Ottosson 2020)."""
    cones = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ linear(colour)
    mixed = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(mixed) @ np.cbrt(cones)


class TestColours:
    def test_there_is_one_for_each_family_and_one_more(self) -> None:
        assert len(set(COLOURS)) == len(COLOURS) >= 17

    def test_any_two_are_clearly_different(self) -> None:
        colours = np.stack([oklab(colour) for colour in (*COLOURS, "#222222", "#ffffff", "#dddddd")])
        distances = np.linalg.norm(colours[:, None] - colours, axis=-1)[:-1, : len(COLOURS)]
        assert distances[distances > 0].min() > 0.1

    @pytest.mark.parametrize("colour", COLOURS)
    def test_each_is_readable_on_white(self, colour: str) -> None:
        luminance = float(linear(colour) @ [0.2126, 0.7152, 0.0722])
        assert 1.05 / (luminance + 0.05) > 2.4
