"""Model FLOPs and device peaks: numerator and denominator of model FLOPs utilisation (MFU).

Model FLOPs are the matrix multiplications that the model needs, forward and backward, with the query–key pairs that
the layouts keep. What an implementation adds is not counted: masked pairs, recomputed activations (Chowdhery et al.,
2022, "PaLM", appendix B, which counts all pairs). A multiply–add is two operations.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from functools import lru_cache

import torch

from modeling.config import ModelConfig
from modeling.network.block import feed_forward_size
from modeling.network.embeddings import TIME_PERIODS
from modeling.network.melody import INTERVALS
from modeling.network.sparsity import layer_layouts
from tokenization.encodings.texture import CLASSES

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
"""Peak operations/s of dense bfloat16 matrix multiplications that accumulate in 32 bits, from the vendors' data sheets,
by name; the first one whose words are in the device's name applies."""
MEASURED_SECONDS = 0.2
MEASURED_SIDE = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices that are multiplied on a device without a known peak."""

PROJECTED = {"time": 2 * TIME_PERIODS, "harmony": 2 * CLASSES}
"""Inputs of the structure embeddings that are projections."""


@dataclass(frozen=True)
class ForwardFlops:
    """Operations of a forward pass per token, by component."""

    features: float
    """Projections of the waves of time and of the shares of pitch classes; their inputs need no gradient."""
    projections: float
    """Projections of queries, keys, values and attention's output, and that of echoes."""
    attention: float
    """Scores, and weighted sums of values."""
    feed_forward: float
    output: float
    """Projection to logits, and that of the melody head to intervals."""

    @property
    def total(self) -> float:
        """Operations of the forward pass."""
        return float(sum(astuple(self)))

    @property
    def backward(self) -> float:
        """Operations of the backward pass: two multiplications for each one, for the gradients of both factors."""
        return 2 * self.total - self.features


def forward_flops(config: ModelConfig, length: int | None = None) -> ForwardFlops:
    """Count the operations of a forward pass per token of windows of `length` tokens; None: the context."""
    length = config.context if length is None else length
    d_model, d_ff = config.d_model, feed_forward_size(config)
    d_kv = config.d_head * (config.kv_heads or config.heads)
    matrices = 3 if config.feed_forward == "swiglu" else 2
    layouts = layer_layouts(config.sparsity, config.layers, config.heads)
    pairs = {layout: layout.pairs(length) for layout in set(layouts)}
    kept = sum(pairs[layout] for layout in layouts)
    echo = 2 * d_model * d_model if "echo" in config.structure else 0
    melody = config.melody * INTERVALS + 2 * CLASSES if config.melody else 0
    return ForwardFlops(
        features=2 * d_model * sum(PROJECTED.get(name, 0) for name in config.structure),
        projections=config.layers * 2 * d_model * (2 * d_model + 2 * d_kv) + echo,
        attention=2 * 2 * d_model * kept / length,
        feed_forward=config.layers * 2 * d_model * matrices * d_ff,
        output=2 * d_model * (config.vocabulary_size + melody),
    )


def flops_per_token(config: ModelConfig, length: int | None = None) -> float:
    """Count the operations of a training step, forward and backward, per token of windows of `length` tokens."""
    forward = forward_flops(config, length)
    return forward.total + forward.backward


@lru_cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the peak of a device in matrix multiplications, operations/s.

    It is looked up for known accelerators in 16 bits, otherwise measured once, in a fraction of a second.
    """
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        known = known_peak(torch.cuda.get_device_name(device))
        if known is not None:
            return known
    return _measured_peak(device, dtype)


def known_peak(name: str) -> float | None:
    """Return the 16-bit peak of an accelerator by its driver's name for it, operations/s. None: unknown, or a MIG
    slice."""
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
    """Wait until the device has computed a result."""
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
