"""How much arithmetic training takes, and how much a device can do: the two sides of model FLOPs utilisation (MFU).

Counted is what the model needs: its matrix multiplications, forward and backward, and the query–key pairs that the
layouts keep. What an implementation adds does not count, neither masked pairs nor recomputed activations (Chowdhery
et al., 2022, "PaLM", appendix B, but for the pairs, which are all counted there). A multiplication and its addition
are two operations.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from functools import lru_cache

import torch

from modeling.config import ModelConfig
from modeling.network.block import feed_forward_size
from modeling.network.embeddings import TIME_PERIODS
from modeling.network.sparsity import layer_layouts

DENSE_16_BIT_PEAKS = {
    "B200": 2250e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Multiplications of bfloat16 matrices that add in 32 bits, without structured sparsity, operations/s, by the maker's
data sheets. The first name whose words are in the device's counts."""
MEASURED_SECONDS = 0.2
MEASURED_SIDE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices that a device without a known peak multiplies."""


@dataclass(frozen=True)
class ForwardFlops:
    """Operations of a forward pass per token, by what they are for."""

    time: float
    """The projection of the waves of time; what goes into it needs no gradient."""
    projections: float
    """Queries, keys, values and attention's output."""
    attention: float
    """Scores and their weighted sums."""
    feed_forward: float
    output: float

    @property
    def total(self) -> float:
        return float(sum(astuple(self)))

    @property
    def backward(self) -> float:
        """Operations of the backward pass: two multiplications for each one, for the two factors' gradients."""
        return 2 * self.total - self.time


def forward_flops(config: ModelConfig, length: int | None = None) -> ForwardFlops:
    """Per token of windows of `length` tokens; None: of the configuration's context."""
    length = config.context if length is None else length
    width, inner = config.d_model, feed_forward_size(config)
    kv_width = config.d_head * (config.kv_heads or config.heads)
    matrices = 3 if config.feed_forward == "swiglu" else 2
    layouts = layer_layouts(config.sparsity, config.layers, config.heads)
    pairs = {layout: layout.pairs(length) for layout in set(layouts)}
    kept = sum(pairs[layout] for layout in layouts)
    return ForwardFlops(
        time=2 * 2 * TIME_PERIODS * width if "time" in config.structure else 0,
        projections=config.layers * 2 * width * (2 * width + 2 * kv_width),
        attention=2 * 2 * width * kept / length,
        feed_forward=config.layers * 2 * width * matrices * inner,
        output=2 * width * config.vocabulary_size,
    )


def flops_per_token(config: ModelConfig, length: int | None = None) -> float:
    """Operations of a training step, forward and backward, per token of windows of `length` tokens."""
    forward = forward_flops(config, length)
    return forward.total + forward.backward


@lru_cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations/s that a device can do at best in matrix multiplications.

    From a table for known accelerators and 16 bits; anything else is measured, once, in a fraction of a second.
    """
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        known = known_peak(torch.cuda.get_device_name(device))
        if known is not None:
            return known
    return _measured_peak(device, dtype)


def known_peak(name: str) -> float | None:
    """The 16-bit peak of an accelerator by the name that its driver gives, operations/s; None: unknown, or a share of
    one."""
    words = f" {name.replace('-', ' ')} "
    if " MIG " in words:
        return None
    return next((peak for known, peak in DENSE_16_BIT_PEAKS.items() if f" {known} " in words), None)


def _measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    side = MEASURED_SIDE.get(device.type, MEASURED_SIDE["cpu"])
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    shortest, spent = float("inf"), 0.0
    _finish(left @ right)
    while spent < MEASURED_SECONDS:
        began = time.perf_counter()
        _finish(left @ right)
        took = time.perf_counter() - began
        shortest, spent = min(shortest, took), spent + took
    return 2 * side**3 / shortest


def _finish(result: torch.Tensor) -> None:
    """Wait until the device has computed it."""
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
