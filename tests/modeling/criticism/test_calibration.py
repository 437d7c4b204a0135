"""Calibration: probabilities that hold, for short and long windows, with the order of logits kept."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.criticism import (
    Calibration,
    calibration_floor,
    expected_calibration_error,
    fit_calibration,
    probability,
)


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits four times too large for short windows, right for long ones."""
    random = np.random.default_rng(seed)
    heard = random.choice([64.0, 512.0], count)
    truth = random.normal(0, 2, count)
    return truth * np.where(heard < 100, 4.0, 1.0), heard, random.random(count) < probability(truth)


def test_too_sure_a_critic_becomes_as_sure_as_it_may_be() -> None:
    fitted = fit_calibration(*drawn(4000, 0))
    logits, heard, is_real = drawn(4000, 1)
    before = expected_calibration_error(probability(logits), is_real)
    after = expected_calibration_error(probability(fitted.apply(logits, heard)), is_real)
    assert before > 0.08
    assert after < 0.03


def test_a_higher_logit_is_never_less_likely_real() -> None:
    worse = Calibration(low=-3.0, high=-1.0, offset=1.0)
    scores = worse.apply(np.array([-2.0, 0.0, 2.0]), np.full(3, 64.0))
    assert (np.diff(scores) > 0).all()


def test_by_default_logits_stay_as_they_are() -> None:
    logits = np.linspace(-30, 30, 13)
    np.testing.assert_allclose(Calibration().apply(logits, np.full(13, 300.0)), logits, atol=1e-9)


def test_it_may_be_sure_of_yes_and_unsure_of_no() -> None:
    """A third of the windows with the lowest logits are real, and all with the highest."""
    random = np.random.default_rng(3)
    logits, heard = random.uniform(-6, 6, 3000), np.full(3000, 256.0)
    is_real = random.random(3000) < np.where(logits < 0, 1 / 3, probability(2 * logits))
    scores = probability(fit_calibration(logits, heard, is_real).apply(np.array([-6.0, -3.0, 6.0]), np.full(3, 256.0)))
    assert 0.1 < scores[0] < scores[1] < 0.45
    assert scores[2] > 0.97


def test_whole_windows_may_count_more_than_their_prefixes() -> None:
    logits, heard, is_real = drawn(2000, 4)
    is_whole = heard > 100
    shifted = logits + np.where(is_whole, 0.0, 20.0)  # prefixes say nothing that holds
    plain, weighted = (fit_calibration(shifted, heard, is_real, np.where(is_whole, w, 1.0)) for w in (1.0, 1000.0))
    errors = [
        expected_calibration_error(probability(each.apply(shifted, heard))[is_whole], is_real[is_whole])
        for each in (plain, weighted)
    ]
    assert errors[1] <= errors[0] + 0.01
    assert errors[1] < 0.06


def test_without_one_of_the_kinds_nothing_can_be_fitted() -> None:
    with pytest.raises(ValueError, match="calibration needs windows that are real and others"):
        fit_calibration(np.zeros(3), np.full(3, 64.0), np.ones(3, bool))


def test_the_error_is_the_distance_of_scores_from_shares() -> None:
    scores = np.array([0.95, 0.95, 0.05, 0.05])
    assert expected_calibration_error(scores, np.array([True, True, False, False])) == pytest.approx(0.05)
    assert expected_calibration_error(scores, np.array([False, False, True, True])) == pytest.approx(0.95)


def test_few_windows_leave_an_error_to_chance() -> None:
    """Scores that hold: of 100 windows the error is near the floor, and both vanish with their number."""
    random = np.random.default_rng(2)
    for count, least, most in ((100, 0.06, 0.14), (40_000, 0.0, 0.01)):
        scores = random.random(count)
        floor = calibration_floor(scores, draws=40)
        assert least < floor < most
        assert expected_calibration_error(scores, random.random(count) < scores) == pytest.approx(floor, abs=0.05)
