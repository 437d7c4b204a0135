"""Sampling: temperature, the nucleus, and only allowed tokens."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from modeling.generation.sampling import SamplingConfig, sample

FREE = SamplingConfig(top_p=1.0)


class TestSample:
    PROBABILITIES = torch.tensor([[0.1, 0.4, 0.3, 0.2]])

    def drawn(self, sampling: SamplingConfig, allowed: list[int], count: int = 4000) -> np.ndarray:
        mask = torch.zeros(count, 4, dtype=torch.bool)
        mask[:, allowed] = True
        logits = self.PROBABILITIES.log().repeat(count, 1)
        ids = sample(logits, mask, sampling, torch.Generator().manual_seed(0))
        return np.bincount(ids.numpy(), minlength=4) / count

    def test_tokens_come_as_often_as_they_are_probable(self) -> None:
        assert self.drawn(FREE, [0, 1, 2, 3]).tolist() == pytest.approx([0.1, 0.4, 0.3, 0.2], abs=0.04)

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
        assert found.tolist() == pytest.approx([0, 0, 0.6, 0.4], abs=0.04)

    def test_low_temperatures_take_the_most_probable(self) -> None:
        assert self.drawn(SamplingConfig(temperature=0.01, top_p=1.0), [0, 1, 2, 3]).tolist() == [0, 1, 0, 0]

    def test_high_temperatures_level(self) -> None:
        found = self.drawn(SamplingConfig(temperature=1000.0, top_p=1.0), [0, 1, 2, 3])
        assert found.tolist() == pytest.approx([0.25] * 4, abs=0.04)

    @pytest.mark.parametrize(
        ("setting", "value"),
        [*itertools.product(["temperature", "top_p"], [0.0, -1.0, math.nan, math.inf, -math.inf]), ("top_p", 1.1)],
    )
    def test_settings_without_meaning_are_refused(self, setting: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"{setting} must be above 0"):
            SamplingConfig(**{setting: value})
