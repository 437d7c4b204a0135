"""Figures: the area under the ROC curve as a share of pairs, with an interval over families that holds it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from modeling.criticism import Scored, auc, share_below


def scored(scores: NDArray[np.float64], families: NDArray[np.int64] | None = None) -> Scored:
    """Scores of windows; of a family each unless given."""
    return Scored(scores, (np.arange(len(scores)) if families is None else families).astype(np.str_))


def test_it_is_the_area_under_the_curve() -> None:
    random = np.random.default_rng(0)
    real, other = random.normal(1, 1, 60).round(1), random.normal(0, 1, 40).round(1)
    found = auc(scored(real), scored(other))
    expected = roc_auc_score([1] * 60 + [0] * 40, [*real, *other])
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.25


def test_more_windows_of_the_same_families_are_no_more_certain() -> None:
    """Each of eight families has one score on each side; sixteen windows of each say no more than one."""
    random = np.random.default_rng(1)
    real, other = random.normal(0.5, 1, 8), random.normal(0, 1, 8)
    once = auc(scored(real), scored(other))
    family = np.repeat(np.arange(8), 16)
    often = auc(scored(real[family], family), scored(other[family], family))
    assert often.value == pytest.approx(once.value)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    as_many = auc(scored(real[family]), scored(other[family]))
    assert as_many.high - as_many.low < (once.high - once.low) / 2, "as if they were families of their own"


def test_a_family_is_drawn_with_all_its_windows() -> None:
    """Within a family real and other score alike, so that what is drawn moves both: all draws give one half."""
    family = np.arange(4)
    found = auc(scored(np.zeros(4), family), scored(np.zeros(4), family))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_of_nothing_nothing_is_known() -> None:
    assert np.isnan(auc(scored(np.zeros(0)), scored(np.ones(3))).value)
    assert np.isnan(share_below(np.zeros(0), np.ones(3)))


def test_pairs_are_counted() -> None:
    assert share_below(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.75
