"""Blends: the weights of styles along a piece."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.controls import Blend, parse_blend


def test_weights_are_shares() -> None:
    blend = Blend([(0, {"pop": 3.0, "chopin": 1.0, "jazz": 0.0})])
    assert blend.styles == ("chopin", "pop")
    assert blend.weights(np.array([0.0, 99.0])).tolist() == [[0.25, 0.75], [0.25, 0.75]]


def test_they_change_linearly_between_points() -> None:
    blend = Blend([(30, {"chopin": 1.0}), (40, {"pop": 1.0})])
    assert blend.weights(np.array([0.0, 30.0, 35.0, 40.0, 50.0]))[:, 1].tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        ([], "at one time at least"),
        ([(5, {"pop": 1.0}), (5, {"jazz": 1.0})], "the times of a blend rise, these do not: 5, 5"),
        ([(0, {"pop": 0.0})], "one is above it; at 0 s they are not"),
        ([(0, {"pop": 1.0, "jazz": -1.0})], "weights of a blend are at least 0"),
    ],
)
def test_others_are_refused(points: list[tuple[float, dict[str, float]]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Blend(points)


class TestText:
    @pytest.mark.parametrize(
        ("text", "points"),
        [
            ("chopin", [(0.0, {"chopin": 1.0})]),
            ("chopin=0.7, pop=0.3", [(0.0, {"chopin": 0.7, "pop": 0.3})]),
            ("0 chopin; 30 chopin=1, pop=2", [(0.0, {"chopin": 1.0}), (30.0, {"chopin": 1.0, "pop": 2.0})]),
        ],
    )
    def test_names_styles_with_weights_and_times(self, text: str, points: list[tuple[float, dict[str, float]]]) -> None:
        assert parse_blend(text).points == points

    @pytest.mark.parametrize("text", ["", "chopin=loud", "chopin,", "chopin, chopin=2", "30 pop; 0 chopin", "pop=-1"])
    def test_of_another_form_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"no blend|times of a blend rise|weights of a blend"):
            parse_blend(text)
