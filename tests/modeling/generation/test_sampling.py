"""Sampling: temperature, filters, only allowed tokens, and random numbers that belong to a candidate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from modeling.generation.sampling import SamplingConfig, sample, uniforms

FREE = SamplingConfig(top_p=1.0)


class TestSample:
    PROBABILITIES = np.array([0.1, 0.4, 0.3, 0.2], np.float32)

    def drawn(self, sampling: SamplingConfig, allowed: list[int], count: int = 4000) -> NDArray[np.float64]:
        """Return how often each id is drawn, at quantiles that are evenly spread."""
        mask = np.zeros((count, 4), np.bool_)
        mask[:, allowed] = True
        logits = np.tile(np.log(self.PROBABILITIES), (count, 1))
        ids = sample(logits, mask, sampling, (np.arange(count) + 0.5) / count)
        return np.bincount(ids, minlength=4) / count

    def test_tokens_come_as_often_as_they_are_probable(self) -> None:
        assert self.drawn(FREE, [0, 1, 2, 3]).tolist() == pytest.approx([0.1, 0.4, 0.3, 0.2], abs=0.001)

    @pytest.mark.parametrize(
        ("top_p", "kept"),
        [(0.01, [1]), (0.4, [1]), (0.41, [1, 2]), (0.7, [1, 2]), (0.9, [1, 2, 3]), (1.0, [0, 1, 2, 3])],
    )
    def test_the_nucleus_is_the_fewest_tokens_that_have_the_probability(self, top_p: float, kept: list[int]) -> None:
        # A hair less, since the nucleus 0.4 + 0.3 is 0.7 only up to rounding.
        found = self.drawn(SamplingConfig(top_p=top_p - 1e-5 if top_p < 1 else top_p), [0, 1, 2, 3])
        assert np.flatnonzero(found).tolist() == kept

    def test_only_allowed_tokens_are_drawn_and_share_the_nucleus(self) -> None:
        found = self.drawn(SamplingConfig(top_p=0.7), [0, 2, 3])
        # among 0.1, 0.3 and 0.2 of 0.6 the nucleus is 0.3 and 0.2
        assert found.tolist() == pytest.approx([0, 0, 0.6, 0.4], abs=0.001)

    @pytest.mark.parametrize(("top_k", "kept"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [0, 1, 2, 3])])
    def test_top_k_keeps_the_most_probable(self, top_k: int, kept: list[int]) -> None:
        assert np.flatnonzero(self.drawn(SamplingConfig(top_p=1.0, top_k=top_k), [0, 1, 2, 3])).tolist() == kept

    def test_min_p_is_a_share_of_the_most_probable(self) -> None:
        found = self.drawn(SamplingConfig(top_p=1.0, min_p=0.6), [0, 1, 2, 3])
        assert found.tolist() == pytest.approx([0, 4 / 7, 3 / 7, 0], abs=0.001)

    def test_typical_tokens_are_those_as_surprising_as_the_mean(self) -> None:
        # entropy 1.280 nats; surprises 2.303, 0.916, 1.204, 1.609: the third is the nearest, then 0.2, then 0.4
        for mass, kept in ((0.2, [2]), (0.4, [2, 3]), (0.8, [1, 2, 3])):
            found = self.drawn(SamplingConfig(top_p=1.0, typical=mass), [0, 1, 2, 3])
            assert np.flatnonzero(found).tolist() == kept

    def test_filters_follow_each_other(self) -> None:
        # top-k leaves 4/9, 3/9, 2/9, of which the nucleus of 0.5 is the first two
        found = self.drawn(SamplingConfig(top_k=3, top_p=0.5), [0, 1, 2, 3])
        assert found.tolist() == pytest.approx([0, 4 / 7, 3 / 7, 0], abs=0.001)

    def test_low_temperatures_take_the_most_probable(self) -> None:
        assert self.drawn(SamplingConfig(temperature=0.01, top_p=1.0), [0, 1, 2, 3]).tolist() == [0, 1, 0, 0]

    def test_high_temperatures_level(self) -> None:
        found = self.drawn(SamplingConfig(temperature=1000.0, top_p=1.0), [0, 1, 2, 3])
        assert found.tolist() == pytest.approx([0.25] * 4, abs=0.001)

    def test_what_is_found_by_partition_is_what_sorting_finds(self) -> None:
        random = np.random.default_rng(0)
        settings = itertools.product((0, 1, 7, 60), (0.1, 0.9, 1.0), (0.0, 0.05), (0.3, 1.0), (0.7, 1.0))
        for top_k, top_p, min_p, typical, temperature in settings:
            logits = random.normal(size=(2, 300)).astype(np.float32) * 3
            logits[:, 100:200] = logits[:, :100]  # many are equal
            allowed = random.random((2, 300)) < 0.6
            sampling = SamplingConfig(temperature, top_p, top_k=top_k, min_p=min_p, typical=typical)
            quantiles = random.random(2)
            expected = [sorted_sample(*row, sampling) for row in zip(logits, allowed, quantiles)]
            assert sample(logits, allowed, sampling, quantiles).tolist() == expected

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            *itertools.product(["temperature", "top_p", "typical"], [0.0, -1.0, math.nan, math.inf, -math.inf]),
            ("top_p", 1.1),
            ("typical", 1.1),
            ("top_k", -1),
            ("min_p", -0.1),
            ("min_p", 1.1),
            ("min_p", math.nan),
        ],
    )
    def test_settings_without_meaning_are_refused(self, setting: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"{setting} must be (above|at least|from) 0"):
            SamplingConfig(**{setting: value})  # type: ignore[arg-type]


def sorted_sample(
    logits: NDArray[np.float32], allowed: NDArray[np.bool_], quantile: float, sampling: SamplingConfig
) -> int:
    """The definition of a draw, with sorting."""
    ids = np.flatnonzero(allowed)
    weight = np.exp((logits[ids] - logits[ids].max()).astype(np.float64) / sampling.temperature)
    kept = np.arange(len(ids))

    def fewest(key: NDArray[np.float64], mass: NDArray[np.float64], target: float) -> NDArray[np.int64]:
        best = kept[np.lexsort((kept, -key[kept]))]
        return np.sort(best[: np.searchsorted(np.cumsum(mass[best]), target) + 1])

    if sampling.top_k:
        kept = fewest(weight, np.ones(len(ids)), sampling.top_k)
    if sampling.top_p < 1:
        kept = fewest(weight, weight, sampling.top_p * weight[kept].sum())
    kept = kept[weight[kept] >= sampling.min_p]
    if sampling.typical < 1:
        share = weight / weight[kept].sum()
        entropy = -(share[kept] * np.log(share[kept])).sum()
        kept = fewest(-np.abs(-np.log(share) - entropy), weight, sampling.typical * weight[kept].sum())
    reached = np.cumsum(weight[kept])
    return int(ids[kept[np.searchsorted(reached, quantile * reached[-1], side="right")]])


class TestUniforms:
    def test_each_belongs_to_its_candidate_and_step(self) -> None:
        eight, sixteen = (uniforms(5, np.arange(count), 10) for count in (8, 16))
        assert sixteen[:8].tolist() == eight.tolist()
        assert uniforms(5, np.array([3]), 10).tolist() == [eight[3]]
        others = [uniforms(*key)[0] for key in ((6, np.array([3]), 10), (5, np.array([3]), 11), (5, np.array([4]), 10))]
        assert len({eight[3], *others}) == 4

    def test_they_are_uniform_and_independent(self) -> None:
        grid = np.stack([uniforms(seed, np.arange(64), step) for seed in range(4) for step in range(64)])
        assert ((grid >= 0) & (grid < 1)).all()
        assert np.histogram(grid, 16, (0, 1))[0] / grid.size == pytest.approx(1 / 16, abs=0.008)
        flat = grid.ravel() - 0.5
        for distance in (1, 64, 64 * 64):  # candidate, step, seed
            assert abs((flat[distance:] * flat[:-distance]).mean() * 12) < 0.03

    def test_any_seed_is_taken(self) -> None:
        assert len({uniforms(seed, np.array([0]), 0)[0] for seed in (0, 1, 2**63, 2**64 - 1)}) == 4
