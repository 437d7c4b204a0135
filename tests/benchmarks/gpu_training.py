"""Training speed of one preset with DeepSpeed, ZeRO-1, on random tokens: tokens/s, MFU and peak memory.

    python tests/benchmarks/gpu_training.py --preset musenet --micro-batches 1 2 [--recompute] [--json FILE]

`gpu.py` runs it in a process of its own for each model, so that none finds another one's memory taken. Micro-batches
are tried in the order given, to the first that does not fit. A step is complete: forward and backward passes of
`--accumulation` micro-batches, clipping and AdamW; the median of the timed steps counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from synthetic import SMALL_MODEL, peak_bytes, random_batch, seconds, sized

from modeling.config import ModelConfig, TrainingConfig, load_preset
from modeling.network.flops import flops_per_token, peak_flops
from modeling.network.transformer import MuseNet
from modeling.training.deepspeed_config import build_deepspeed_config, load_settings
from modeling.training.optimisers import build_optimiser

ONE_RANK = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29531"}


@dataclass(frozen=True)
class Figures:
    """One model with one micro-batch."""

    model: str
    parameters: int
    context: int
    micro_batch: int
    accumulation: int
    recompute: bool
    precision: str
    compiled: str
    tokens_per_second: float
    mfu: float
    """Share of the device's peak that the model's own arithmetic makes use of."""
    peak_bytes: int


def compile_parts(model: MuseNet, what: str) -> None:
    """torch.compile the whole `model`, its `blocks` one by one, which are alike and so compiled once, or nothing."""
    for part in {"model": [model], "blocks": [*model.blocks], "off": []}[what]:
        part.compile(dynamic=False)


class Training:
    """A model with its engine; a step computes the same random windows again and again."""

    def __init__(self, config: ModelConfig, training: TrainingConfig, device: torch.device, compiled: str) -> None:
        import deepspeed  # takes seconds to load; --help should not

        from modeling.training.process_group import quiet

        self.bf16 = device.type == "cuda"
        self.device = device
        self.accumulation = training.batch_size // training.micro_batch_size
        with device:
            self.model = MuseNet(config)
        optimiser = build_optimiser(self.model, training)
        compile_parts(self.model, compiled)
        settings = build_deepspeed_config(load_settings(stage=1, offload=False), training, 1, self.bf16)
        with quiet():
            self.engine, *_ = deepspeed.initialize(model=self.model, optimizer=optimiser, config=settings)
        self.engine.train()

    def step(self, rows: int, context: int) -> None:
        """One optimiser step over `accumulation` micro-batches of so many windows."""
        batch, targets = random_batch(rows, context, self.device)
        for _ in range(self.accumulation):
            self.engine.backward(self.engine(batch, targets))
            self.engine.step()


def measured(
    name: str,
    config: ModelConfig,
    training: TrainingConfig,
    micro_batches: Sequence[int],
    device: torch.device,
    compiled: str,
    rounds: int,
) -> list[Figures]:
    """Figures of each micro-batch up to the first that does not fit into memory."""
    whole = Training(config, training, device, compiled)
    dtype = torch.bfloat16 if whole.bf16 else torch.float32
    per_token, peak = flops_per_token(config), peak_flops(device, dtype)
    found = []
    for rows in micro_batches:

        def step(rows: int = rows) -> None:
            whole.step(rows, config.context)

        try:
            memory = peak_bytes(step, device)  # compiles, too
            spent = median(seconds(step, device) for _ in range(rounds))
        except torch.OutOfMemoryError:
            print(f"{name}: {rows} windows do not fit into memory", file=sys.stderr)
            break
        speed = rows * whole.accumulation * config.context / spent
        settings = (config.context, rows, whole.accumulation, config.recompute, str(dtype).removeprefix("torch."))
        figures = Figures(
            name, whole.model.parameter_count(), *settings, compiled, speed, speed * per_token / peak, memory
        )
        print(f"{name}, micro-batch {rows}: {speed:,.0f} tokens/s, MFU {figures.mfu:.1%}", file=sys.stderr)
        found.append(figures)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Training speed of a preset on random tokens.")
    parser.add_argument("--preset", required=True, help="whose model and settings")
    parser.add_argument("--small", action="store_true", help="a toy of the preset, for a processor")
    parser.add_argument("--micro-batches", type=int, nargs="+", default=[1], help="windows, tried in this order")
    parser.add_argument("--accumulation", type=int, default=8, help="micro-batches in a step (default 8)")
    parser.add_argument("--recompute", action="store_true", help="recompute activations in the backward pass")
    parser.add_argument("--compile", choices=("off", "blocks", "model"), default="off", help="torch.compile what")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if min(*arguments.micro_batches, arguments.accumulation, arguments.rounds) < 1:
        parser.error("--micro-batches, --accumulation and --rounds are at least 1")

    preset = load_preset(arguments.preset)
    shape = preset.model.model_copy(update=SMALL_MODEL if arguments.small else {})
    config = sized(shape).model_copy(update={"recompute": arguments.recompute})
    batches = {"micro_batch_size": 1, "batch_size": arguments.accumulation}
    from modeling.training.process_group import process_group

    os.environ.update({name: os.environ.get(name, value) for name, value in ONE_RANK.items()})
    with process_group():
        found = measured(
            preset.name + (" (small)" if arguments.small else ""),
            config,
            preset.training.model_copy(update=batches),
            arguments.micro_batches,
            torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            arguments.compile,
            arguments.rounds,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
