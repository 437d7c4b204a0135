"""Mixup: which windows are mixed, how the rate falls, and that the network mixes embeddings and loss alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modeling.config import MixupSchedule
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from modeling.network.mixup import Mix, draw_mix, mixup_rate
from modeling.network.transformer import MuseNet

MakeModel = Callable[..., MuseNet]
MakeBatch = Callable[..., Batch]
ALWAYS = MixupSchedule(rate=1.0)


class TestRate:
    @pytest.mark.parametrize(
        ("progress", "expected"), [(0.0, 0.4), (0.3, 0.4), (0.5, 0.4), (0.75, 0.2), (0.875, 0.1), (1.0, 0.0)]
    )
    def test_it_falls_to_0_from_its_place_on(self, progress: float, expected: float) -> None:
        assert mixup_rate(MixupSchedule(rate=0.4, anneal_from=0.5), progress) == pytest.approx(expected)

    def test_it_may_fall_from_the_start_or_stay(self) -> None:
        assert [mixup_rate(MixupSchedule(rate=1, anneal_from=0), p) for p in (0, 0.25, 1)] == [1, 0.75, 0]
        assert [mixup_rate(MixupSchedule(rate=1, anneal_from=1), p) for p in (0, 0.99, 1)] == [1, 1, 0]


class TestDraw:
    @given(
        size=st.integers(2, 40), seed=st.lists(st.integers(0, 2**40), min_size=1, max_size=4), rate=st.floats(0.1, 1)
    )
    def test_shares_are_a_half_at_most_and_partners_others(self, size: int, seed: list[int], rate: float) -> None:
        mix = draw_mix(MixupSchedule(rate=rate), 0.0, size, seed)
        if mix is None:
            return
        assert (tuple(mix.share_b.shape), tuple(mix.partner_b.shape)) == ((size,), (size,))
        assert bool(((mix.share_b >= 0) & (mix.share_b <= 0.5)).all())
        assert bool((mix.share_b > 0).any())
        assert sorted(mix.partner_b.tolist()) == list(range(size))
        assert all(partner != window for window, partner in enumerate(mix.partner_b.tolist()))

    def test_it_is_a_function_of_its_seed(self) -> None:
        first, second, other = (draw_mix(ALWAYS, 0.1, 8, seed) for seed in ([1, 2], [1, 2], [1, 3]))
        assert first is not None
        assert second is not None
        assert other is not None
        assert torch.equal(first.share_b, second.share_b)
        assert torch.equal(first.partner_b, second.partner_b)
        assert not torch.equal(first.share_b, other.share_b)

    @pytest.mark.parametrize(
        ("schedule", "progress", "size"), [(MixupSchedule(), 0.0, 8), (ALWAYS, 1.0, 8), (ALWAYS, 0.0, 1)]
    )
    def test_nothing_is_mixed_at_rate_0_at_the_end_and_alone(
        self, schedule: MixupSchedule, progress: float, size: int
    ) -> None:
        assert draw_mix(schedule, progress, size, [0]) is None

    def test_as_many_windows_as_the_rate_says_are_mixed(self) -> None:
        mix = draw_mix(MixupSchedule(rate=0.3), 0.0, 20_000, [0])
        assert mix is not None
        assert float((mix.share_b > 0).float().mean()) == pytest.approx(0.3, abs=0.02)

    def test_shares_follow_the_beta_distribution(self) -> None:
        mix = draw_mix(MixupSchedule(rate=1, alpha=1.0), 0.0, 20_000, [0])  # uniform
        assert mix is not None
        assert np.quantile(mix.share_b.numpy(), [0.25, 0.5, 0.75]) == pytest.approx([0.125, 0.25, 0.375], abs=0.01)


class TestNetwork:
    def test_all_embeddings_are_mixed_position_by_position(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        """The mixed network is the plain one on embeddings that were mixed by hand."""
        model, batch = make_model().double(), make_batch(3, 20)
        targets = batch.tokens.roll(-1, dims=1)
        targets[1, 4:] = IGNORED
        mix = Mix(torch.tensor([0.3, 0.0, 0.5]), torch.tensor([2, 0, 1]))
        found = model(batch, targets, mix)

        plain = model.embeddings(batch, model.embeddings.token(), batch.positions(), batch.labels(batch.positions()))
        share = mix.share_b.double()
        rows = [plain[b] * (1 - share[b]) + plain[mix.partner_b[b]] * share[b] for b in range(3)]
        model.embeddings.forward = lambda *_: torch.stack(rows)  # type: ignore[method-assign]
        log_probability = model.logits(model.states(batch)).log_softmax(-1)
        total, weights = torch.zeros((), dtype=torch.float64), 0.0
        for b in range(3):
            for row, weight in ((b, 1 - float(share[b])), (int(mix.partner_b[b]), float(share[b]))):
                for t in range(20):
                    if targets[row, t] != IGNORED:
                        total -= weight * log_probability[b, t, targets[row, t]]
                        weights += weight
        torch.testing.assert_close(found, total / weights)

    def test_a_share_of_0_changes_nothing(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, batch = make_model(), make_batch(3, 20)
        targets = batch.tokens.roll(-1, dims=1)
        mix = Mix(torch.zeros(3), torch.tensor([1, 2, 0]))
        assert model(batch, targets, mix).item() == pytest.approx(model(batch, targets).item())

    def test_to_be_mixed_with_a_twin_changes_nothing(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, one = make_model(), make_batch(1, 20)
        batch = Batch(*(x.repeat(2, 1) for x in one[:5]))
        targets = batch.tokens.roll(-1, dims=1)
        mix = Mix(torch.tensor([0.4, 0.1]), torch.tensor([1, 0]))
        assert model(batch, targets, mix).item() == pytest.approx(model(batch, targets).item(), rel=1e-5)

    def test_a_window_keeps_its_own_documents(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, batch = make_model(mode="dense").double(), make_batch(2, 20)
        document = torch.tensor([[0] * 10 + [1] * 10, [0] * 20])
        targets = torch.full((2, 20), IGNORED)
        targets[0, 15] = 7
        mix = Mix(torch.tensor([0.5, 0.0]), torch.tensor([1, 0]))
        before = model(batch._replace(document=document), targets, mix)
        changed = batch.tokens.clone()
        changed[:, :10] = make_batch(2, 10, seed=1).tokens
        torch.testing.assert_close(model(batch._replace(document=document, tokens=changed), targets, mix), before)
        assert not torch.isclose(model(batch._replace(tokens=changed), targets, mix), before)
