"""Buffers: memory that is reused, and never while a reference to it exists."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modeling.data.buffers import Buffers
from modeling.network.batch import Batch

SHAPE = (2, 8)


def place(targets: Tensor) -> int:
    """Return the address of the memory that a batch shares with its targets."""
    return targets.untyped_storage().data_ptr()


class TestRoom:
    @pytest.mark.parametrize(("pack", "bytes_each"), [(False, 15), (True, 17)])
    def test_a_position_costs_few_bytes(self, pack: bool, bytes_each: int) -> None:
        batch, targets = Buffers().batch((3, 5), pack)
        tensors = [x for x in (*batch, targets) if x is not None]
        assert {tuple(x.shape) for x in tensors} == {(3, 5)}
        assert sum(x.nbytes for x in tensors) == 3 * 5 * bytes_each
        assert (batch.document is not None) is pack

    def test_documents_have_numbers_as_wide_as_a_row_may_need(self) -> None:
        for length in (2**15, 2**15 + 1):
            document = Buffers().batch((1, length), pack=True)[0].document
            assert document is not None
            assert torch.iinfo(document.dtype).max >= length - 1

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 8)])
    def test_tensors_do_not_overlap(self, shape: tuple[int, int]) -> None:
        batch, targets = Buffers().batch(shape, pack=True)
        tensors = [x for x in (*batch, targets) if x is not None]
        for number, x in enumerate(tensors):
            x.fill_(number)
        assert [x.unique().tolist() for x in tensors] == [[number] for number in range(7)]


class TestMemory:
    def test_it_is_used_again_once_a_batch_is_dropped(self) -> None:
        buffers = Buffers()
        places = set()
        for _ in range(5):
            batch, targets = buffers.batch(SHAPE, pack=True)
            places.add(place(targets))
            del batch, targets
        assert len(places) == 1

    @pytest.mark.parametrize(
        "hold",
        [
            lambda batch, targets: batch,
            lambda batch, targets: targets,
            lambda batch, targets: batch.rows(slice(1, 2)).countdown,
            lambda batch, targets: targets[1:].view(-1)[3:],
            lambda batch, targets: targets.numpy()[1:],
        ],
    )
    def test_whatever_is_still_held_stays_as_it_is(self, hold: Callable[[Batch, Tensor], object]) -> None:
        buffers = Buffers()
        batch, targets = buffers.batch(SHAPE, pack=True)
        first = place(targets)
        held = hold(batch, targets)
        del batch, targets
        assert first not in {place(buffers.batch(SHAPE, pack=True)[1]) for _ in range(3)}
        del held
        assert first in {place(targets) for _, targets in [buffers.batch(SHAPE, pack=True) for _ in range(2)]}

    def test_another_shape_gets_memory_of_its_own(self) -> None:
        buffers = Buffers()
        buffers.batch(SHAPE, pack=False)
        batch, targets = buffers.batch((4, 9), pack=False)
        assert batch.tokens.shape == targets.shape == (4, 9)
