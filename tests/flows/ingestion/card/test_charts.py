"""Charts: lengths in proportion, numbers a person can read, well-formed whatever they are given."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.ingestion.card.charts import Tick, compact, histogram, named_bars


def bars(svg: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall(".//rect[@class='bar']")


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("text")]


def test_bars_stand_in_proportion_to_counts() -> None:
    svg = histogram("t", [10, 0, 20], ["a", "b", "c"], [], "x", "y")
    low, high = (float(bar.attrib["height"]) for bar in bars(svg))
    assert high == pytest.approx(2 * low, abs=0.2)


def test_values_are_under_the_pointer() -> None:
    titles = ElementTree.fromstring(histogram("t", [1, 3], ["a", "b"], [], "x", "y")).iter("title")
    assert [title.text for title in titles] == ["a: 1 (25.0%)", "b: 3 (75.0%)"]


def test_axes_are_named() -> None:
    svg = histogram("Tempo", [1500, 3], ["a", "b"], [Tick(1, "60")], "beats", "pieces")
    found = texts(svg)
    assert {"beats", "60", "0", "500", "1 k", "1.5 k"} <= set(found)
    caption = ElementTree.fromstring(svg).find("figcaption")
    assert caption is not None
    assert "".join(caption.itertext()) == "Tempo pieces"


def test_named_bars_show_their_share_of_the_whole() -> None:
    svg = named_bars("t", {"piano": 30, "drums": 15}, "pieces", whole=60)
    assert {"piano", "30 · 50.0%", "drums", "15 · 25.0%"} <= set(texts(svg))
    long, short = (float(bar.attrib["width"]) for bar in bars(svg))
    assert long == pytest.approx(2 * short, abs=0.2)


@given(st.lists(st.integers(0, 10**15), max_size=40), st.text())
def test_any_counts_can_be_drawn(counts: list[int], name: str) -> None:
    printable = "".join(sign for sign in name if sign.isprintable())  # as `tables.shown` gives it
    ElementTree.fromstring(histogram(printable, counts, [printable] * len(counts), [], printable, printable))
    ElementTree.fromstring(named_bars(printable, {printable: sum(counts)}, printable, whole=sum(counts)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (2.5, "2.5"),
        (999, "999"),
        (1000, "1 k"),
        (1234, "1.23 k"),
        (15_200_000, "15.2 M"),
        (999_700, "1 M"),
        (5e12, "5,000 G"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert compact(value) == text
