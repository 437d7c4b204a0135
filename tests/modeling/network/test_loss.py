"""The loss in chunks: what a plain cross-entropy over all logits gives, gradients too, whatever the chunks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modeling.network import loss
from modeling.network.loss import IGNORED, Melody, mean_loss, position_losses
from tokenization.vocabulary import PITCHES

POSITIONS, VOCABULARY, WIDTH = 23, 40, 8


@pytest.fixture(params=[1, 10 * VOCABULARY, 2**23], ids=["single", "tens", "whole"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One position at a time, ten at most, all."""
    monkeypatch.setattr(loss, "CHUNK_ELEMENTS", request.param)


def problem(dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """States, table and two rows of targets, a few of them ignored."""
    torch.manual_seed(seed)
    states = torch.randn(POSITIONS, WIDTH).to(dtype).requires_grad_()
    table = torch.randn(VOCABULARY, WIDTH).to(dtype).requires_grad_()
    targets = torch.randint(0, VOCABULARY, (2, POSITIONS))
    targets[0, 3], targets[1, 5], targets[:, 7] = IGNORED, IGNORED, IGNORED
    return states, table, targets


def gradients(value: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value * 3, of)


@pytest.mark.usefixtures("chunks")
class TestMean:
    def test_it_is_the_cross_entropy_of_the_targets_that_count(self) -> None:
        states, table, targets = problem()
        found = mean_loss(states, table, targets[:1], torch.ones(1, POSITIONS))
        expected = cross_entropy(states @ table.T, targets[0], ignore_index=IGNORED)
        torch.testing.assert_close(found, expected)
        for one, other in zip(gradients(found, states, table), gradients(expected, states, table)):
            torch.testing.assert_close(one, other)

    def test_several_targets_of_a_position_weigh_as_told(self) -> None:
        states, table, targets = problem()
        weights = torch.rand(2, POSITIONS, dtype=torch.float64)
        found = mean_loss(states, table, targets, weights)
        losses = torch.stack([cross_entropy(states @ table.T, row, reduction="none") for row in targets])
        expected = (losses * weights).sum() / weights[targets != IGNORED].sum()
        torch.testing.assert_close(found, expected)
        for one, other in zip(gradients(found, states, table), gradients(expected, states, table)):
            torch.testing.assert_close(one, other)

    def test_without_gradients_it_is_the_same(self) -> None:
        states, table, targets = problem()
        weights = torch.ones(2, POSITIONS)
        with torch.inference_mode():
            plain = mean_loss(states, table, targets, weights)
        assert plain.item() == mean_loss(states, table, targets, weights).item()

    def test_targets_of_32_bits_are_the_same(self) -> None:
        states, table, targets = problem()
        weights = torch.rand(2, POSITIONS, dtype=torch.float64)
        found, expected = (mean_loss(states, table, x, weights) for x in (targets.int(), targets))
        for one, other in zip(gradients(found, states, table), gradients(expected, states, table)):
            assert torch.equal(one, other)
        assert torch.equal(found, expected)

    def test_where_nothing_counts_it_is_0(self) -> None:
        states, table, targets = problem()
        found = mean_loss(states, table, torch.full_like(targets, IGNORED), torch.ones(2, POSITIONS))
        assert found.item() == 0
        assert all(not gradient.any() for gradient in gradients(found, states, table))

    def test_the_softmax_of_16_bit_logits_is_computed_in_32(self) -> None:
        states, table, targets = problem(torch.bfloat16)
        found = mean_loss(states, table, targets[:1], torch.ones(1, POSITIONS))
        expected = cross_entropy((states @ table.T).float(), targets[0], ignore_index=IGNORED)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)
        for one, other in zip(gradients(found, states, table), gradients(expected, states, table)):
            assert one.dtype == torch.bfloat16
            torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)


@pytest.mark.usefixtures("chunks")
class TestPositions:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_each_has_its_own_loss_and_0_where_it_is_ignored(self, dtype: torch.dtype) -> None:
        states, table, targets = problem(dtype)
        found = position_losses(states, table, targets[0].to(torch.int32))
        logits = (states @ table.T).to(torch.promote_types(dtype, torch.float32))
        torch.testing.assert_close(found, cross_entropy(logits, targets[0], reduction="none"))
        assert [int(i) for i in (found == 0).nonzero()] == [3, 7]


ROWS, NOTES = 2, 2 * PITCHES


def with_melody(seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Melody]:
    """States, a table of two rows of notes and nine other ids, targets, and what a melody head adds."""
    torch.manual_seed(seed)
    states = torch.randn(POSITIONS, WIDTH, dtype=torch.float64).requires_grad_()
    table = torch.randn(NOTES + 9, WIDTH, dtype=torch.float64).requires_grad_()
    pitch = torch.randn(POSITIONS, PITCHES, dtype=torch.float64).requires_grad_()
    gain = torch.randn(ROWS, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, NOTES + 9, (1, POSITIONS))
    targets[0, 4] = IGNORED
    return states, table, targets, Melody(pitch, gain)


@pytest.mark.usefixtures("chunks")
class TestMelody:
    @staticmethod
    def logits(states: Tensor, table: Tensor, melody: Melody) -> Tensor:
        notes = torch.cat([gain * melody.pitch for gain in melody.gain], dim=1)
        return states @ table.T + torch.cat([notes, torch.zeros(POSITIONS, 9)], dim=1)

    def test_it_is_added_to_the_logits_of_notes(self) -> None:
        states, table, targets, melody = with_melody()
        found = mean_loss(states, table, targets, torch.ones(1, POSITIONS), melody)
        expected = cross_entropy(self.logits(states, table, melody), targets[0], ignore_index=IGNORED)
        torch.testing.assert_close(found, expected)
        parameters = states, table, *melody
        for one, other in zip(gradients(found, *parameters), gradients(expected, *parameters), strict=True):
            torch.testing.assert_close(one, other)

    def test_the_loss_of_a_position_has_it_too(self) -> None:
        states, table, targets, melody = with_melody()
        with torch.inference_mode():
            found = position_losses(states, table, targets[0], melody)
            expected = cross_entropy(self.logits(states, table, melody), targets[0], reduction="none")
        torch.testing.assert_close(found, expected)
