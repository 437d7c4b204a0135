"""Speed and memory of the network on a GPU: one command, one table.

    python tests/benchmarks/gpu.py [--markdown FILE] [--json FILE] [--sections NAME …] [--small]

    training  MFU and peak memory of the presets `base` (150 M parameters) and `musenet` (72 layers, 2.05 G) at 4096
              tokens: DeepSpeed, ZeRO-1, bfloat16, with and without recomputed activations, the micro-batches that fit
    kernels   attention alone, forward and backward, of every layout at 4k, 16k and 32k tokens, against dense causal
              attention by cuDNN; 16 heads of 64, 32k tokens in all
    steps     whole training steps of the `base` model with these layouts against dense attention
    sampling  tokens a second of generation with these presets, one piece and many at once

Random tokens, median of CUDA events, compiled code warm. Besides torch and deepspeed it needs what `modeling` imports:
numpy, numba and pydantic. Exit status 1 when a bar is missed. `--small` takes sizes that any processor manages in a
minute and judges no bars; so does a machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_sampling import sampling
from gpu_training import compile_parts
from report import Bar, circumstances, show_bars, table, write_json
from synthetic import SMALL_MODEL, Run, peak_bytes, race, random_batch, sized
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from modeling.config import ModelConfig, SparsityConfig, load_preset
from modeling.network.attention import attention
from modeling.network.sparsity import Layout, density, layer_layouts
from modeling.network.transformer import MuseNet

SECTIONS = ("training", "kernels", "steps", "sampling")
MODES = ("local", "strided", "fixed", "bigbird", "bslongformer", "variable")
MFU_FLOOR, MFU_AIM = 0.40, 0.45
KERNEL_SPEED_UPS = {4096: 1.8, 16384: 3.5, 32768: 5.0}
"""Of the mode `strided`, the presets' own."""
TOKENS = 32768
"""In all windows of a kernel or a step together."""
LENGTHS = tuple(KERNEL_SPEED_UPS)
SMALL_TOKENS, SMALL_LENGTHS = 256, (64, 256)
BLOCK, SMALL_BLOCK = 128, 16
"""Also the stride."""
MICRO_BATCHES = {
    ("base", False): (4, 8, 16),
    ("base", True): (16, 32),
    ("musenet", False): (1, 2),
    ("musenet", True): (4, 8),
}
"""By preset and whether activations are recomputed."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of models and batches."""

    small: bool
    tokens: int
    lengths: Sequence[int]
    block: int
    rounds: int

    @classmethod
    def of(cls, small: bool) -> Sizes:
        return (
            cls(True, SMALL_TOKENS, SMALL_LENGTHS, SMALL_BLOCK, 2) if small else cls(False, TOKENS, LENGTHS, BLOCK, 5)
        )

    def model(self, mode: str, length: int) -> ModelConfig:
        """The `base` model with a mode's layouts, for windows of a length."""
        sparsity = SparsityConfig.model_validate({"mode": mode, "block": self.block, "stride": self.block})
        changes = {**(SMALL_MODEL if self.small else {}), "context": length, "recompute": False, "sparsity": sparsity}
        return sized(load_preset("base").model.model_copy(update=changes))


@dataclass(frozen=True)
class SpeedUp:
    """A mode at a length, in milliseconds and against dense attention."""

    mode: str
    length: int
    density: float
    milliseconds: float
    speed_up: float
    peak_bytes: int


def tell(what: str, found: Sequence[SpeedUp]) -> None:
    """Say early what a run that is cut short would not print."""
    speeds = ", ".join(f"{one.mode} {one.speed_up:.2f}×" for one in found)
    print(f"{what} at {found[0].length:,} tokens: {speeds}", file=sys.stderr)


def training(sizes: Sizes, compiled: str) -> list[dict[str, Any]]:
    """The figures of `gpu_training.py` for every preset, each in a process of its own."""
    found: list[dict[str, Any]] = []
    cases = {("musenet", True): (1, 2)} if sizes.small else MICRO_BATCHES
    for (preset, recompute), micro_batches in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "figures.json"
            script = Path(__file__).with_name("gpu_training.py")
            options = ["--preset", preset, "--compile", compiled, "--rounds", str(sizes.rounds), "--json", str(result)]
            options += ["--micro-batches", *map(str, micro_batches)]
            options += ["--recompute"] * recompute
            options += ["--small", "--accumulation", "2"] if sizes.small else []
            done = subprocess.run([sys.executable, str(script), *options], stdout=subprocess.DEVNULL)
            if done.returncode == 0:
                found += json.loads(result.read_text(encoding="utf-8"))
            else:
                print(f"{preset}: failed with exit status {done.returncode}", file=sys.stderr)
    return found


def cudnn(device: torch.device) -> AbstractContextManager[None]:
    """Dense attention as the device does it fastest."""
    return sdpa_kernel(SDPBackend.CUDNN_ATTENTION) if device.type == "cuda" else nullcontext()


def attention_run(layouts: Sequence[Layout] | None, shape: ModelConfig, rows: int, device: torch.device) -> Run:
    """Forward and backward through one attention of each layout; None: through a dense one by cuDNN."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    size = (rows, shape.context, shape.heads, shape.d_head)
    q, k, v = (torch.randn(size, device=device, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3))
    gradient = torch.randn(size, device=device, dtype=dtype).transpose(1, 2)

    def dense() -> None:
        with cudnn(device):
            out = scaled_dot_product_attention(q, k, v, is_causal=True)
        torch.autograd.grad(out, (q, k, v), gradient)

    def sparse() -> None:
        for layout in layouts or ():
            torch.autograd.grad(attention("auto", layout, q, k, v), (q, k, v), gradient)

    return dense if layouts is None else sparse


def kernels(sizes: Sizes, modes: Sequence[str], device: torch.device) -> list[SpeedUp]:
    """Attention alone; the layers that a mode alternates between count as their mean."""
    found = []
    for length in sizes.lengths:
        rows = sizes.tokens // length
        layouts = {
            mode: layer_layouts(sizes.model(mode, length).sparsity, 2, sizes.model(mode, length).heads)
            for mode in modes
        }
        shape = sizes.model("dense", length)
        runs = {"dense": attention_run(None, shape, rows, device)}
        runs |= {mode: attention_run(pair, shape, rows, device) for mode, pair in layouts.items()}
        spent = race(runs, device, sizes.rounds, warm_up=2)
        memory = {mode: peak_bytes(run, device) for mode, run in runs.items()}
        spent |= {mode: spent[mode] / 2 for mode in modes}
        share = {"dense": 1.0} | {mode: sum(density(one, length) for one in pair) / 2 for mode, pair in layouts.items()}
        found += [
            SpeedUp(mode, length, share[mode], spent[mode] * 1e3, spent["dense"] / spent[mode], memory[mode])
            for mode in runs
        ]
        tell("attention", found[-len(runs) :])
    return found


def step_of(config: ModelConfig, rows: int, device: torch.device, compiled: str) -> Run:
    """A training step of a model: loss, gradients, AdamW."""
    with device:
        model = MuseNet(config)
    model = model.to(torch.bfloat16) if device.type == "cuda" else model
    compile_parts(model, compiled)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    batch, targets = random_batch(rows, config.context, device)

    def run() -> None:
        loss: Tensor = model(batch, targets)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def steps(sizes: Sizes, modes: Sequence[str], device: torch.device, compiled: str) -> list[SpeedUp]:
    """Whole training steps, one mode after the other, for several models might not fit side by side."""
    found: list[SpeedUp] = []
    for length in sizes.lengths:
        dense = 0.0
        for mode in ("dense", *modes):
            config = sizes.model(mode, length)
            run = step_of(config, sizes.tokens // length, device, compiled)
            spent = race({mode: run}, device, sizes.rounds, warm_up=2)[mode]
            dense = dense or spent
            layouts = layer_layouts(config.sparsity, config.layers, config.heads)
            share = sum(density(layout, length) for layout in layouts) / config.layers
            found.append(SpeedUp(mode, length, share, spent * 1e3, dense / spent, peak_bytes(run, device)))
            del run
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.compiler.reset()
        tell("steps", found[-len(modes) - 1 :])
    return found


def bars(
    trained: Sequence[dict[str, Any]], attention: Sequence[SpeedUp], sampled: Sequence[dict[str, Any]]
) -> list[Bar]:
    reached = []
    for name in dict.fromkeys(one["model"] for one in trained):
        best = max(one["mfu"] for one in trained if one["model"] == name)
        reached.append(Bar(f"MFU of {name} (aim {MFU_AIM})", best, MFU_FLOOR))
    for one in attention:
        if one.mode == "strided":
            what = f"strided attention at {one.length:,} tokens, times dense"
            reached.append(Bar(what, one.speed_up, KERNEL_SPEED_UPS[one.length]))
    for each in sampled:
        if each["steps"] == "recorded":
            what = f"tokens a second of {each['model']}, {each['batch']} at once"
            reached.append(Bar(what, each["tokens_per_second"], each["wanted"]))
    return reached


def tables(figures: dict[str, Any]) -> str:
    """All that was measured, as Markdown."""
    parts = []
    if figures["training"]:
        sizes = ("model", "parameters", "context", "micro-batch", "recompute")
        rows = [training_row(one) for one in figures["training"]]
        parts.append(table((*sizes, "tokens/s", "MFU", "peak GiB"), rows))
    for section, what in (("kernels", "attention"), ("steps", "training step")):
        if figures[section]:
            rows = [speed_row(SpeedUp(**one)) for one in figures[section]]
            parts.append(table((what, "tokens", "density", "ms", "speed-up", "peak GiB"), rows))
    if figures["sampling"]:
        names = ("model", "batch", "steps")
        rows = [[*(str(x[name]) for name in names), f"{x['tokens_per_second']:,.0f}"] for x in figures["sampling"]]
        parts.append(table((*names, "tokens/s"), rows))
    return "\n\n".join(parts)


def training_row(one: dict[str, Any]) -> list[str]:
    sizes = (f"{one['parameters'] / 1e6:,.1f} M", f"{one['context']:,}", str(one["micro_batch"]))
    reached = (f"{one['tokens_per_second']:,.0f}", f"{one['mfu']:.1%}", f"{one['peak_bytes'] / 2**30:.2f}")
    return [one["model"], *sizes, "yes" if one["recompute"] else "no", *reached]


def speed_row(one: SpeedUp) -> list[str]:
    speed = (f"{one.milliseconds:,.2f}", f"{one.speed_up:.2f}×", f"{one.peak_bytes / 2**30:.2f}")
    return [one.mode, f"{one.length:,}", f"{one.density:.1%}", *speed]


def main() -> int:
    parser = argparse.ArgumentParser(description="MFU, kernel and step speed-ups, and memory on a GPU.")
    parser.add_argument("--small", action="store_true", help="toy sizes, no bars")
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="what to measure (default all)"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, help="layouts (default all)")
    parser.add_argument(
        "--compile", choices=("off", "blocks", "model"), help="torch.compile what (default blocks; small: off)"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = Sizes.of(arguments.small or device.type == "cpu")
    compiled = arguments.compile or ("off" if sizes.small else "blocks")
    where = circumstances(device)
    # First of all, while this process holds no memory of the device.
    trained = training(sizes, compiled) if "training" in arguments.sections else []
    attention = kernels(sizes, arguments.modes, device) if "kernels" in arguments.sections else []
    whole = steps(sizes, arguments.modes, device, compiled) if "steps" in arguments.sections else []
    sampled = sampling(sizes.small, sizes.rounds, device) if "sampling" in arguments.sections else []
    figures = {
        "training": trained,
        "kernels": [asdict(one) for one in attention],
        "steps": [asdict(one) for one in whole],
        "sampling": sampled,
    }
    page = f"{', '.join(f'{name} {value}' for name, value in where.items())}\n\n{tables(figures)}\n"
    print(page)
    reached = [] if sizes.small else bars(trained, attention, sampled)
    status = show_bars(reached)
    if arguments.markdown:
        arguments.markdown.write_text(page, encoding="utf-8")
    if arguments.json:
        write_json(arguments.json, where, figures, reached)
    return status


if __name__ == "__main__":
    sys.exit(main())
