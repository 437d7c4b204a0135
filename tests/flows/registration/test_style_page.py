"""The page of styles: every style with its neighbours, in a file that needs no other."""

from __future__ import annotations

import numpy as np

from flows.registration.style_page import style_page
from registry.style_map import StyleMap


def test_every_style_shows_its_neighbours() -> None:
    vectors = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.0]])
    html = style_page(StyleMap.of_vectors(("bach", "handel", "jazz", "big_band", "<rock>"), vectors), "tiny-1")
    assert "http" not in html and "<script" not in html and "<rock>" not in html
    assert html.count('class="style" tabindex') == 5
    assert ">big band: jazz 1.00, bach 0.20, handel 0.10<" in html
    assert html.count("<line") == 15, "three from each"


def test_one_style_alone_has_none() -> None:
    assert ">none<" in style_page(StyleMap.of_vectors(("bach",), np.ones((1, 4))), "tiny-1")
