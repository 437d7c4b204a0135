"""Norms, against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import rms_norm

from modeling.network.norms import EPSILON, RMSNorm


def norm(width: int, dtype: torch.dtype) -> RMSNorm:
    made = RMSNorm(width).to(dtype)
    torch.nn.init.uniform_(made.weight, 0.5, 1.5)
    return made


def with_gradients(out: Tensor, x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    return (out, *torch.autograd.grad(out, (x, weight), gradient))


class TestRMSNorm:
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
    def test_computes_what_pytorch_does(self, dtype: torch.dtype, tolerance: float) -> None:
        torch.manual_seed(0)
        own = norm(24, dtype)
        x = torch.randn(3, 5, 2, 24, dtype=dtype).mul(10).transpose(1, 2).requires_grad_()
        gradient = torch.randn(3, 2, 5, 24, dtype=dtype)
        found = with_gradients(own(x), x, own.weight, gradient)
        expected = with_gradients(rms_norm(x, (24,), own.weight, EPSILON), x, own.weight, gradient)
        for ours, theirs in zip(found, expected):
            assert ours.dtype == theirs.dtype
            torch.testing.assert_close(
                ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.detach().abs().max())
            )

    def test_gradients_are_those_of_the_function(self) -> None:
        torch.manual_seed(0)
        own = norm(6, torch.float64)
        x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(own, x)

    def test_rows_of_zeros_stay(self) -> None:
        x = torch.zeros(2, 8, requires_grad=True)
        out = RMSNorm(8)(x)
        out.sum().backward()
        assert torch.equal(out, torch.zeros(2, 8))
        assert x.grad is not None and x.grad.isfinite().all()
