"""The map of styles: styles that are alike stand near each other, and the same model gives the same map."""

from __future__ import annotations

import numpy as np

from registry.serving.style_map import style_map


def similarities(groups: list[int]) -> np.ndarray:
    """Styles of one group are alike, others are not."""
    group = np.array(groups)
    return np.where(group[:, None] == group, 0.95, 0.0).astype(np.float32) + 0.05 * np.eye(len(group), dtype=np.float32)


def test_styles_that_are_alike_stand_near_each_other() -> None:
    groups = [0, 0, 0, 0, 1, 1, 1, 1]
    names = list("abcdefgh")
    found = style_map(names, similarities(groups)).styles
    places = np.array([(each.x, each.y) for each in found])
    assert np.abs(places).max() == 1
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    is_same = np.equal.outer(groups, groups)
    assert distance[is_same].max() < distance[~is_same].min()
    assert {*found[0].nearest[:3]} == {"b", "c", "d"}
    assert style_map(names, similarities(groups)).styles == found


def test_a_few_stand_in_a_line() -> None:
    found = style_map(["a", "b", "c"], similarities([0, 1, 2])).styles
    assert [(each.x, each.y) for each in found] == [(-1, 0), (0, 0), (1, 0)]
    assert [(each.x, each.nearest) for each in style_map(["a"], similarities([0])).styles] == [(0, [])]
    assert style_map([], np.empty((0, 0), np.float32)).styles == []
