"""Figures: the area under the ROC curve as a share of pairs, with an interval that holds it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modeling.criticism import auc, share_below


def test_it_is_the_area_under_the_curve() -> None:
    random = np.random.default_rng(0)
    real, other = random.normal(1, 1, 60).round(1), random.normal(0, 1, 40).round(1)
    found = auc(real, other)
    expected = roc_auc_score([1] * 60 + [0] * 40, [*real, *other])
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.25


def test_of_nothing_nothing_is_known() -> None:
    assert np.isnan(auc(np.zeros(0), np.ones(3)).value)
    assert np.isnan(share_below(np.zeros(0), np.ones(3)))


def test_pairs_are_counted() -> None:
    assert share_below(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.75
