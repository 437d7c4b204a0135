"""Speed of sparse layouts on this processor, attention alone and whole training steps, against dense attention.

    python tests/benchmarks/sparse.py [--lengths 1024 2048 …] [--rounds 3] [--json FILE]

At each length all modes and dense causal attention (PyTorch's own) take turns, forward and backward; the fastest of
the rounds counts. A mode of two layouts that layers alternate between counts as half of each. A step is that of a
small network: loss, gradients, AdamW; memory is what tensors take at most during a step, the weights included. Exit
status 1 when a mode that keeps less than half of the pairs is no faster than dense attention at the longest length.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from report import Bar, circumstances, show_bars, table, write_json
from synthetic import Run, peak_bytes, race, random_batch, sized
from torch import Tensor

from modeling.config import ModelConfig, SparsityConfig
from modeling.network.attention import attention
from modeling.network.sparsity import Layout, density, layer_layouts
from modeling.network.transformer import MuseNet

CPU = torch.device("cpu")
MODES = ("dense", "local", "strided", "fixed", "bigbird", "bslongformer", "variable")
BLOCK = 64
LAYERS, HEADS, WIDTH = 2, 4, 256
"""Of the small network: layers for both halves of a mode, and heads of 64."""
LENGTHS = (1024, 2048, 4096, 8192, 16384)
SPARSE_ENOUGH = 0.5
"""Share of the pairs below which a mode has to be faster."""


@dataclass(frozen=True)
class Figures:
    """One mode at one length; times in seconds."""

    mode: str
    length: int
    density: float
    attention: float
    attention_speed_up: float
    step: float
    step_speed_up: float
    peak_bytes: int


def network(mode: str, length: int) -> ModelConfig:
    sparsity = SparsityConfig.model_validate({"mode": mode, "block": BLOCK, "stride": BLOCK})
    return sized(ModelConfig(layers=LAYERS, heads=HEADS, d_model=WIDTH, context=length, sparsity=sparsity))


def attention_run(layouts: Sequence[Layout], length: int) -> Run:
    """Forward and backward through one attention of each layout."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, length, HEADS, WIDTH // HEADS)
    inputs = [torch.randn(shape, generator=generator).transpose(1, 2).requires_grad_() for _ in range(3)]
    gradient = torch.randn(shape, generator=generator).transpose(1, 2)

    def run() -> None:
        for layout in layouts:
            torch.autograd.grad(attention("auto", layout, *inputs), inputs, gradient)

    return run


class Step:
    """A training step of the small network."""

    def __init__(self, mode: str, length: int) -> None:
        torch.manual_seed(0)
        self.model = MuseNet(network(mode, length))
        self.optimiser = torch.optim.AdamW(self.model.parameters())
        self.batch, self.targets = random_batch(1, length, CPU)

    def __call__(self) -> None:
        loss: Tensor = self.model(self.batch, self.targets)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()


def measured(length: int, modes: Sequence[str], rounds: int) -> list[Figures]:
    layouts = {mode: layer_layouts(network(mode, length).sparsity, LAYERS, HEADS) for mode in modes}
    attention = race({mode: attention_run(layouts[mode], length) for mode in modes}, CPU, rounds)
    steps = {mode: Step(mode, length) for mode in modes}
    whole = race(steps, CPU, rounds)
    memory = {mode: peak_bytes(step, CPU) for mode, step in steps.items()}
    return [
        Figures(
            mode,
            length,
            sum(density(layout, length) for layout in layouts[mode]) / LAYERS,
            attention[mode] / LAYERS,
            attention["dense"] / attention[mode],
            whole[mode],
            whole["dense"] / whole[mode],
            memory[mode],
        )
        for mode in modes
    ]


def row(one: Figures) -> list[str]:
    times = (f"{one.attention * 1e3:,.1f}", f"{one.attention_speed_up:.2f}×")
    steps = (f"{one.step * 1e3:,.0f}", f"{one.step_speed_up:.2f}×", f"{one.peak_bytes / 2**20:,.0f}")
    return [one.mode, f"{one.length:,}", f"{one.density:.1%}", *times, *steps]


def main() -> int:
    parser = argparse.ArgumentParser(description="Sparse against dense attention on the processor.")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens in a window")
    parser.add_argument("--modes", nargs="+", choices=MODES[1:], default=MODES[1:], help="beside dense (default all)")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or min(arguments.lengths) < 1:
        parser.error("--rounds and --lengths are at least 1")

    print(f"{LAYERS} layers of {HEADS} heads, width {WIDTH}, blocks and strides of {BLOCK}; fp32, one window a step")
    figures: list[Figures] = []
    measure = partial(measured, modes=("dense", *arguments.modes), rounds=arguments.rounds)
    for length in sorted(arguments.lengths):
        figures += measure(length)
        print(f"{length:,} tokens measured", file=sys.stderr)
    heads = ("mode", "tokens", "density", "attention ms", "speed-up", "step ms", "speed-up", "peak MiB")
    print(table(heads, [row(one) for one in figures]))
    longest = [one for one in figures if one.length == max(arguments.lengths) and one.density < SPARSE_ENOUGH]
    bars = [Bar(f"{one.mode} attention at {one.length:,}, times dense", one.attention_speed_up, 1.0) for one in longest]
    status = show_bars(bars)
    if arguments.json:
        write_json(arguments.json, circumstances(CPU), {"figures": [asdict(one) for one in figures]}, bars)
    return status


if __name__ == "__main__":
    sys.exit(main())
