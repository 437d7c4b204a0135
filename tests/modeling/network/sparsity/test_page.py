"""The page of layouts: what is drawn, by whom it is used, and how much of dense attention it is."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from modeling.config import ModelConfig, SparsityConfig
from modeling.network.sparsity.page import SIDE, model_page, modes_page

VOID = {"meta", "path", "rect"}


class Checker(HTMLParser):
    """Fails on elements that are not closed or loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img")
        assert not any(name in ("src", "href") for name, _ in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag


def model(layers: int = 4, heads: int = 4, **sparsity: Any) -> ModelConfig:
    config = SparsityConfig.model_validate(sparsity)
    return ModelConfig(layers=layers, heads=heads, d_model=8 * heads, context=64, sparsity=config)


def captions(page: str) -> list[str]:
    return re.findall("<figcaption>(.*?)</figcaption>", page)


def shares(page: str) -> list[str]:
    return re.findall(r"<td>([\d.]+%)</td>", page)


def seen_area(page: str) -> float:
    """The area of the first picture's layout as a share of its triangle; each outline has four corners or three."""
    outlines = re.findall('class="seen" d="([^"]*)"', page)[0].split("Z")[:-1]
    area = 0.0
    for outline in outlines:
        x = y = 0.0
        corners = []
        for command, numbers in re.findall(r"([MLHV])([\d. ]+)", outline):
            values = [float(number) for number in numbers.split()]
            x, y = (values[0], y) if command == "H" else (x, values[0]) if command == "V" else (values[0], values[1])
            corners.append((x, y))
        area += abs(sum(a * d - b * c for (a, b), (c, d) in zip(corners, corners[1:] + corners[:1]))) / 2
    return area / (SIDE * SIDE / 2)


def test_the_page_of_modes_has_each_of_them() -> None:
    page = modes_page(256)
    Checker().feed(page)
    modes = ["dense", "local", "strided", "fixed", "variable", "bigbird", "bslongformer"]
    assert re.findall("<h2>(.*?)</h2>", page) == modes
    assert captions(page)[:3] == ["all layers", "all layers", "layers 1, 3, 5, …"]
    assert page.count("<svg") == 9


def test_shares_at_the_drawn_length_and_at_long_ones() -> None:
    page = model_page("mine", model(mode="local", block=2), 4)
    # of 10 pairs of 4 positions all are seen; of longer sequences two blocks, on average two and a half positions
    assert shares(page) == ["100.00%", "0.17%", "0.04%", "0.02%"]
    assert re.findall("<tr><td>([\\d,]+)</td>", page) == ["4", "4,096", "16,384", "32,768"]


@pytest.mark.parametrize("mode", ["dense", "local", "variable", "bigbird", "bslongformer"])
def test_the_drawn_area_is_the_share(mode: str) -> None:
    page = model_page("mine", model(mode=mode, block=16), 400)
    assert seen_area(page) == pytest.approx(float(shares(page)[0].rstrip("%")) / 100, abs=0.005)


def test_columns_are_lines_of_positions() -> None:
    page = model_page("mine", model(mode="strided", stride=8), 64)
    (lines,) = re.findall('class="line" stroke-width="([^"]*)" d="([^"]*)"', page)
    assert lines[0] == f"{SIDE / 64:.2f}"
    assert lines[1].count("M") == 8
    assert lines[1].startswith(f"M0 0.00L{SIDE}.00 {SIDE}M0 40.00L280.00 {SIDE}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mode": "dense"}, ["all 4 layers"]),
        ({"mode": "dense", "layers": 1}, ["the only layer"]),
        ({"mode": "strided"}, ["layers 1, 3", "layers 2, 4"]),
        ({"mode": "strided", "layers": 3}, ["layers 1, 3", "layer 2"]),
        ({"mode": "fixed", "layers": 72}, ["layers 1, 3, 5, … 71", "layers 2, 4, 6, … 72"]),
        ({"mode": "fixed", "factors": "heads"}, ["all 4 layers, heads 1 to 2", "all 4 layers, heads 3 to 4"]),
        ({"mode": "strided", "factors": "heads", "heads": 2}, ["all 4 layers, head 1", "all 4 layers, head 2"]),
        ({"mode": "bigbird", "different_layout_per_head": True}, [f"all 4 layers: head {head}" for head in (1, 2, 3)]),
    ],
)
def test_who_uses_a_layout(changes: dict[str, Any], expected: list[str]) -> None:
    page = model_page("mine", model(**changes), 64)
    Checker().feed(page)
    assert captions(page) == expected


def test_it_tells_the_settings_that_matter() -> None:
    page = model_page("my <model>", model(mode="bslongformer", global_block_indices=(0, 5), stride=7), 64)
    assert "global_block_indices=0,5" in page
    assert "stride" not in page
    assert "my &lt;model&gt;" in page and "<model>" not in page
