"""Calibration: each half's scores come from what was fitted to the other half."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flows.criticism import calibrating
from flows.criticism.calibrating import calibrate_crosswise
from modeling.criticism import probability

HEARD = 64.0
"""Tokens at which neither growth nor drift of a calibration counts."""


def half(logits: list[list[float]], real: int) -> calibrating._Half:
    values = np.array(logits)
    return calibrating._Half(values, np.full(values.shape, HEARD), np.arange(len(values)) < real)


def test_each_half_is_scored_by_the_other_s_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    halves = [half([[x] for x in random.normal([1] * 40 + [-1] * 40, 1)], 40)]
    halves.append(half([[x] for x in random.normal([3] * 30 + [2] * 30, 1)], 30))
    monkeypatch.setattr(calibrating, "_hear", lambda critic, split, generations: halves[split])
    found = calibrate_crosswise(SimpleNamespace(), [(0, []), (1, [])])
    first, second = (each.fitted() for each in halves)
    expected = [second.apply(halves[0].logits[:, 0], halves[0].sizes[:, 0])]
    expected.append(first.apply(halves[1].logits[:, 0], halves[1].sizes[:, 0]))
    np.testing.assert_allclose(found.scores, probability(np.concatenate(expected)))
    assert found.is_real.sum() == 70 and len(found.is_real) == 140
    between = np.array([1.25]), halves[0].sizes[:1, 0]  # real by the first half, not by the second one
    scores = [float(each.apply(*between)[0]) for each in (second, found.calibration, first)]
    assert scores == sorted(scores)


def test_windows_are_counted_by_their_scores() -> None:
    found = calibrating.Crosswise(
        SimpleNamespace(), np.array([0.05, 0.07, 0.95, 1.0]), np.array([False, True, True, True])
    )
    low, high = found.reliability()
    assert (low.score, low.real, low.windows) == (pytest.approx(0.06), 0.5, 2)
    assert (high.score, high.real, high.windows) == (pytest.approx(0.975), 1.0, 2)
