"""The critic's windows in a step: divided among micro-batches, and behind the windows of language, which stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modeling.network.batch import Batch
from modeling.network.loss import IGNORED, UNHEARD
from modeling.network.mixup import Mix
from modeling.network.transformer import MuseNet
from modeling.training.critic_rows import CriticRows, join

SIZE = 16


@pytest.fixture
def rows(make_batch: Callable[..., Batch]) -> CriticRows:
    labels = torch.full((6, SIZE), UNHEARD)
    labels[::2, 8:], labels[1::2, 8:] = 1.0, 0.0
    return CriticRows(make_batch(6, SIZE, seed=1), labels, 0.05)


def test_every_window_is_in_one_micro_batch(rows: CriticRows) -> None:
    shares = [rows.share(chunk, 4) for chunk in range(4)]
    assert [len(share.labels) for share in shares] == [2, 2, 1, 1]
    assert torch.equal(torch.cat([share.labels for share in shares]), rows.labels)
    assert sum(share.labelled for share in shares) == rows.labelled == 6 * 8
    assert [len(rows.share(chunk, 8).labels) for chunk in range(8)] == [1] * 6 + [0] * 2
    assert rows.share(7, 8).batch is None


def test_steps_without_the_critic_are_as_they_were(make_batch: Callable[..., Batch]) -> None:
    batch, targets = make_batch(2, SIZE), torch.zeros(2, SIZE, dtype=torch.int32)
    nothing = CriticRows(None, torch.zeros(0, SIZE), 0.05)
    assert join(batch, targets, None, nothing) == (batch, targets, None)


def test_windows_of_language_keep_their_loss(
    rows: CriticRows, make_batch: Callable[..., Batch], make_model: Callable[..., MuseNet]
) -> None:
    model = make_model(critic=8)
    batch, targets = make_batch(3, SIZE), torch.randint(0, 100, (3, SIZE))
    targets[:, :4] = IGNORED
    mix = Mix(torch.tensor([0.3, 0.0, 0.1]), torch.tensor([1, 2, 0]))
    for mixed in (None, mix):
        joined, all_targets, further = join(batch, targets, mixed, rows)
        assert joined.tokens.shape == (9, SIZE)
        language, critic = model(joined, all_targets, further, True, rows.labels)
        torch.testing.assert_close(language, model(batch, targets, mixed))
        assert critic > 0
        assert torch.isfinite(critic)


def test_in_packed_rows_each_window_is_a_document(rows: CriticRows, make_batch: Callable[..., Batch]) -> None:
    packed = make_batch(2, SIZE)._replace(document=torch.tensor([[0] * 9 + [1] * 7] * 2, dtype=torch.int16))
    joined, _, _ = join(packed, torch.zeros(2, SIZE, dtype=torch.int32), None, rows)
    assert joined.document is not None
    assert joined.document.dtype == torch.int16
    assert joined.document[2:].sum() == 0


def test_without_rows_all_weights_of_the_head_have_gradients_of_zero(
    make_batch: Callable[..., Batch], make_model: Callable[..., MuseNet]
) -> None:
    """Ranks whose micro-batch has no row reduce the same gradients as the others."""
    model = make_model(critic=8)
    losses = model(make_batch(2, SIZE), torch.randint(0, 100, (2, SIZE)), None, True, torch.zeros(0, SIZE))
    losses.sum().backward()
    assert model.critic is not None
    assert all(p.grad is not None and not p.grad.any() for p in model.critic.parameters())
