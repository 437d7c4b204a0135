"""The eager executor: its rows are kept and copied, and it leaves the number of threads as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from modeling.generation.executors.eager import EagerExecutor
from modeling.network.transformer import MuseNet


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_rows_that_are_kept_or_copied_go_on_as_before(make_model: Callable[..., MuseNet]) -> None:
    executor = EagerExecutor(make_model(tied_output=False))
    fields = np.random.default_rng(0).integers(0, 32, (5, 3, 12))
    whole = executor.prefill(fields, 12).logits
    state = executor.prefill(fields[:, :, :10], 12)
    rows = np.array([2, 0, 2])
    state.keep(rows)
    for position in (10, 11):
        state.decode_step(fields[:, rows, position])
    np.testing.assert_allclose(state.logits, whole[rows], atol=1e-5)
    assert state.cached == 12


def test_the_number_of_threads_is_restored(make_model: Callable[..., MuseNet], two_threads: None) -> None:
    model = make_model()
    used = []
    model.norm.register_forward_hook(lambda *_: used.append(torch.get_num_threads()))
    EagerExecutor(model).prefill(np.zeros((5, 1, 4), np.int64), 8).decode_step(np.zeros((5, 1), np.int64))
    assert used == [1, 1]
    assert torch.get_num_threads() == 2
