"""Executors: folding computes the layout's attention exactly, forward and backward, and nothing from the future."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modeling.attention import EXECUTORS, Executor, dense_mask, fold
from modeling.sparsity import Column, Dense, Layout, Local

QUICK = settings(max_examples=40, deadline=None)
WHOLE_AND_BROKEN = [1, 5, 8, 16, 19, 40]
"""Lengths: shorter than a block, whole blocks, and with a broken last block."""

layouts = st.one_of(st.just(Dense()), st.integers(1, 12).map(Local), st.integers(1, 12).map(Column))


def tensors(length: int, seed: int, batch: int = 2, heads: int = 3, width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, batch, heads, length, width)
    q, k, v = torch.randn(shape, generator=generator, dtype=torch.float64).unbind(0)
    return q, k, v


def with_gradients(execute: Executor, layout: Layout, length: int, seed: int) -> list[Tensor]:
    """The output and the gradients of queries, keys and values under a random linear loss."""
    inputs = [x.clone().requires_grad_() for x in tensors(length, seed)]
    out = execute(layout, *inputs)
    weights = tensors(length, seed + 1)[0]
    return [out, *torch.autograd.grad((out * weights).sum(), inputs)]


class TestFold:
    @pytest.mark.parametrize("length", WHOLE_AND_BROKEN)
    @pytest.mark.parametrize(
        "layout", [Dense(), Local(8), Column(8), Local(1), Column(1), Local(3), Column(5)], ids=str
    )
    def test_it_equals_the_oracle(self, layout: Layout, length: int) -> None:
        for folded, masked in zip(
            with_gradients(fold, layout, length, 0), with_gradients(dense_mask, layout, length, 0)
        ):
            torch.testing.assert_close(folded, masked, rtol=1e-10, atol=1e-12)

    @QUICK
    @given(layout=layouts, length=st.integers(1, 50), seed=st.integers(0, 99))
    def test_it_equals_the_oracle_anywhere(self, layout: Layout, length: int, seed: int) -> None:
        for folded, masked in zip(
            with_gradients(fold, layout, length, seed), with_gradients(dense_mask, layout, length, seed)
        ):
            torch.testing.assert_close(folded, masked, rtol=1e-10, atol=1e-12)

    def test_it_keeps_the_type_and_shape(self) -> None:
        q, k, v = (x.bfloat16() for x in tensors(19, 0))
        for layout in (Dense(), Local(8), Column(8)):
            out = fold(layout, q, k, v)
            assert (out.shape, out.dtype) == (q.shape, q.dtype)

    def test_training_may_follow_generation(self) -> None:
        with torch.inference_mode():
            fold(Local(7), *tensors(21, 0))
        folded = with_gradients(fold, Local(7), 21, 0)
        for found, expected in zip(folded, with_gradients(dense_mask, Local(7), 21, 0)):
            torch.testing.assert_close(found, expected)

    def test_an_unknown_layout_is_refused(self) -> None:
        @dataclass(frozen=True)
        class Spiral:
            def mask(self, length: int) -> Tensor:
                return Dense().mask(length)

            def keys(self, position: int) -> slice:
                return Dense().keys(position)

        with pytest.raises(NotImplementedError, match="Spiral"):
            fold(Spiral(), *tensors(4, 0))


@pytest.mark.parametrize("name", sorted(EXECUTORS))
class TestEveryExecutor:
    @pytest.mark.parametrize(
        ("layout", "means"),
        [
            # Queries of zero weigh what they see alike, so that the output is the mean of the values seen.
            (Dense(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
            (Local(2), [0.0, 0.5, 1.0, 1.5, (2 + 3 + 4) / 3, (2 + 3 + 4 + 5) / 4, (4 + 5 + 6) / 3]),
            (Column(3), [0.0, 1.0, 2.0, 1.5, 2.5, 3.5, 3.0]),
        ],
        ids=str,
    )
    def test_means_by_hand(self, name: str, layout: Layout, means: list[float]) -> None:
        values = torch.arange(7, dtype=torch.float64)[None, None, :, None]
        out = EXECUTORS[name](layout, torch.zeros_like(values), values, values)
        assert out.flatten().tolist() == pytest.approx(means)

    @QUICK
    @given(layout=layouts, length=st.integers(2, 40), data=st.data())
    def test_nothing_leaks_from_the_future(self, name: str, layout: Layout, length: int, data: st.DataObject) -> None:
        changed = data.draw(st.integers(1, length - 1))
        before = tensors(length, 0)
        after = [torch.cat([x[:, :, :changed], y[:, :, changed:]], dim=2) for x, y in zip(before, tensors(length, 1))]
        execute = EXECUTORS[name]
        torch.testing.assert_close(
            execute(layout, *after)[:, :, :changed], execute(layout, *before)[:, :, :changed], rtol=1e-10, atol=1e-12
        )

    @pytest.mark.parametrize("layout", [Dense(), Local(4), Column(3)], ids=str)
    def test_pieces_of_a_batch_and_heads_do_not_mix(self, name: str, layout: Layout) -> None:
        q, k, v = tensors(14, 0)
        together = EXECUTORS[name](layout, q, k, v)
        alone = EXECUTORS[name](layout, q[1:, 2:], k[1:, 2:], v[1:, 2:])
        torch.testing.assert_close(together[1:, 2:], alone)
