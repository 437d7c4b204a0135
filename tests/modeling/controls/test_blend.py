"""Blends: the weights of styles along a piece."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.controls import Blend


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
