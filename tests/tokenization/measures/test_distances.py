"""Distances of sets: known values, no distance of a set from itself, and intervals that hold the distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from tokenization.measures import MEASURES, Distance, distance, measure_named, resampled
from tokenization.measures.distances import draw_weights

NAN = float("nan")
values = arrays(np.float64, st.integers(1, 30), elements=st.floats(-50, 50, allow_subnormal=False))


@given(values, values)
def test_values_are_compared_as_scipy_does(first: np.ndarray, second: np.ndarray) -> None:
    measure = measure_named("longest_silence")
    assert distance(measure, first, second) == pytest.approx(wasserstein_distance(first, second), abs=1e-9)


@given(st.lists(st.floats(0, 9), min_size=1, max_size=12), st.lists(st.floats(0, 9), min_size=1, max_size=12))
def test_weights_are_repetitions(first: list[float], second: list[float]) -> None:
    measure = measure_named("recurrence")
    random = np.random.default_rng(0)
    weights = draw_weights(len(first), 3, random), draw_weights(len(second), 3, random)
    found = resampled(measure, np.array(first), np.array(second), *weights)
    drawn = [[np.repeat(set_, row.astype(int)) for row in of] for set_, of in zip((first, second), weights)]
    assert found.resamples == pytest.approx([wasserstein_distance(a, b) for a, b in zip(*drawn)], abs=1e-9)


def test_shares_that_do_not_overlap_are_furthest_apart() -> None:
    first, second = np.zeros((2, 12)), np.zeros((3, 12))
    first[:, 0] = 1
    second[:, 5] = 1
    assert distance(measure_named("harmony"), first, second) == pytest.approx(1.0)
    pitch = measure_named("pitch")
    low, high = np.zeros((2, 128)), np.zeros((1, 128))
    low[:, 60] = 1
    high[:, 67] = 1
    assert distance(pitch, low, high) == pytest.approx(7.0)


def test_a_mean_leaves_out_pieces_without_a_value() -> None:
    measure = measure_named("self_similarity")
    first = np.full((2, 8), 0.5)
    first[1, 3:] = NAN
    assert distance(measure, first, np.full((1, 8), 0.25)) == pytest.approx(0.25)
    assert distance(measure_named("capped"), np.array([0.5, NAN]), np.array([0.25])) == pytest.approx(0.25)
    assert np.isnan(distance(measure_named("capped"), np.array([NAN]), np.array([0.25])))
    assert np.isnan(distance(measure_named("harmony"), np.full((2, 12), NAN), np.full((2, 12), 1 / 12)))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_a_set_has_no_distance_from_itself(measure) -> None:
    random = np.random.default_rng(1)
    rows = random.dirichlet(np.ones(measure.bins), 20) if measure.bins else random.random(20)
    assert distance(measure, rows, rows) == pytest.approx(0.0, abs=1e-7)
    assert distance(measure, rows, rows[::-1]) == pytest.approx(0.0, abs=1e-7)


def test_intervals_narrow_with_more_pieces_and_hold_the_distance() -> None:
    measure = measure_named("scale_share")
    assert measure.distance is Distance.VALUES
    widths = []
    for pieces in (10, 1000):
        random = np.random.default_rng(2)
        first, second = random.normal(0.8, 0.1, pieces), random.normal(0.5, 0.1, pieces)
        weights = draw_weights(pieces, 500, random), draw_weights(pieces, 500, random)
        found = resampled(measure, first, second, *weights)
        low, high = found.interval()
        assert 0 <= low <= found.value <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 4


def test_equal_seeds_draw_alike() -> None:
    first, second = (draw_weights(50, 20, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all() and (first.sum(axis=1) == 50).all()
