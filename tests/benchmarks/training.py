"""Training tokens/s on this processor: our whole trainer against a plain GPT's loop of equal size.

    python tests/benchmarks/training.py --lake DIR --dataset NAME [--contexts 512 1024] [--compiled] [--json FILE]

    plain      `plain_gpt.py`: stock modules, dense attention, memory-mapped tokens, random windows
    ours       `modeling.training.trainer`: DeepSpeed's engine, all embeddings, the strided layout, batches
               prefetched with augmentation and dropout of labels, reports written
    dense      the same with dense attention
    muon       ours with Muon for the matrices inside the blocks
    compiled   ours under torch.compile, with --compiled

All but muon have AdamW, whatever the preset says.
All see the dataset's training split in batches of equal shape and precision. They take turns of a few steps each, so
that a busy machine slows all of them; the fastest turn counts. Exit status 1 when ours is slower than plain.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.plain_gpt import PlainConfig, PlainLoop
from report import Bar, circumstances, show_bars, table, write_json
from synthetic import Run, race

from infra.lake import Lake
from modeling.config import Preset, RunConfig, load_preset, with_settings
from modeling.data import load_split
from tokenization.dataset import find_version

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "medium": {"model.layers": 6, "model.heads": 6, "model.d_model": 384},
}
"""Changes to the preset `tiny`."""
LOADER = {"training.augmentation.transpose": 5, "training.augmentation.velocity": 12}
"""Augmentation of the loader, as in the larger presets."""
ADAMW = {"training.optimiser": "adamw"}
LEAST = 1.0
"""Times the speed of plain."""
ONE_RANK = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29532"}


@dataclass(frozen=True)
class Figures:
    """One contestant at one size and context."""

    size: str
    context: int
    contestant: str
    parameters: int
    tokens_per_second: float
    times_plain: float


@dataclass(frozen=True)
class Contestant:
    parameters: int
    step: Run


def preset_of(size: str, context: int, batch_size: int, precision: str, **changes: Any) -> Preset:
    common = {
        "model.context": context,
        "training.batch_size": batch_size,
        "training.micro_batch_size": batch_size,
        "training.precision": precision,
        "training.compile": "off",
        "training.steps": 10**6,
        "training.max_minutes": "none",
    }
    return with_settings(load_preset("tiny"), {**SIZES[size], **LOADER, **ADAMW, **common, **changes})


@contextmanager
def ours(preset: Preset, dataset: Path, folder: Path) -> Iterator[Contestant]:
    """Our trainer, its batches prefetched."""
    from modeling.data import Prefetcher
    from modeling.training.trainer import Trainer  # loads DeepSpeed: seconds that --help should not take

    run = RunConfig(dataset=dataset, folder=folder, model=preset.model, training=preset.training)
    folder.mkdir(parents=True)
    trainer = Trainer(run, rank=0)
    trainer.engine.train()
    with Prefetcher(trainer.data.loader.batch) as batches:
        yield Contestant(trainer.model.parameter_count(), lambda: trainer.train_step(*next(batches)))


def plain(preset: Preset, tokens: Path, vocabulary_size: int) -> Contestant:
    """The plain loop at the preset's size."""
    model, training = preset.model, preset.training
    shape = PlainConfig(model.layers, model.heads, model.d_model, model.context, vocabulary_size, model.dropout)
    sizes = (training.batch_size, training.micro_batch_size)
    loop = PlainLoop(shape, tokens, *sizes, training.learning_rate, training.precision == "bf16")
    return Contestant(sum(p.numel() for p in loop.model.parameters()), loop.step)


def measured(
    presets: dict[str, Preset], dataset: Path, tokens: Path, vocabulary_size: int, steps: int, rounds: int
) -> dict[str, tuple[int, float]]:
    """Parameters and tokens/s of each contestant: the plain one, and ours with each preset."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        racing = {"plain": plain(presets["ours"], tokens, vocabulary_size)}
        for name, preset in presets.items():
            racing[name] = stack.enter_context(ours(preset, dataset, folder / name))

        def turn(one: Contestant) -> Run:
            def run() -> None:
                for _ in range(steps):
                    one.step()

            return run

        spent = race({name: turn(one) for name, one in racing.items()}, torch.device("cpu"), rounds)
    training = presets["ours"].training
    count = steps * training.batch_size * presets["ours"].model.context
    return {name: (racing[name].parameters, count / spent[name]) for name in racing}


def row(one: Figures) -> list[str]:
    size = f"{one.parameters / 1e6:.2f} M"
    return [
        one.size,
        f"{one.context:,}",
        one.contestant,
        size,
        f"{one.tokens_per_second:,.0f}",
        f"{one.times_plain:.2f}",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Training tokens/s: our trainer and a plain GPT's loop.")
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake")
    parser.add_argument("--dataset", required=True, help="NAME or NAME@DIGEST")
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=tuple(SIZES), help="networks (default all)")
    parser.add_argument("--contexts", type=int, nargs="+", default=(512, 1024), help="tokens in a window")
    parser.add_argument("--batch-size", type=int, default=4, help="windows in a step (default 4)")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="of both (default auto)")
    parser.add_argument("--compiled", action="store_true", help="measure ours under torch.compile, too")
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    if min(arguments.steps, arguments.rounds, arguments.batch_size) < 1:
        parser.error("--steps, --rounds and --batch-size are at least 1")

    # They load DeepSpeed, which takes seconds; --help should not.
    from modeling.network.precision import use_bf16
    from modeling.training.process_group import process_group

    os.environ.update({name: os.environ.get(name, value) for name, value in ONE_RANK.items()})
    precision = "bf16" if use_bf16(arguments.precision, torch.device("cpu")) else "fp32"
    lake = Lake.at(arguments.lake)
    dataset = find_version(lake, arguments.dataset).local(lake).path
    split = load_split(dataset, "train")
    figures: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder, process_group():
        tokens = Path(folder) / "tokens.bin"
        np.concatenate(list(split.pieces)).astype(np.uint16).tofile(tokens)
        for size in arguments.sizes:
            for context in arguments.contexts:
                variants = {
                    "ours": {},
                    "dense": {"model.sparsity.mode": "dense"},
                    "muon": {"training.optimiser": "muon"},
                }
                variants |= {"compiled": {"training.compile": "on"}} if arguments.compiled else {}
                presets = {
                    name: preset_of(size, context, arguments.batch_size, precision, **changes)
                    for name, changes in variants.items()
                }
                found = measured(presets, dataset, tokens, split.vocabulary.size, arguments.steps, arguments.rounds)
                gc.collect()
                slowest = found["plain"][1]
                figures += [
                    Figures(size, context, name, parameters, speed, speed / slowest)
                    for name, (parameters, speed) in found.items()
                ]
                print(f"{size} at {context:,} measured", file=sys.stderr)

    print(f"{arguments.batch_size} windows a step, {precision}, {torch.get_num_threads()} threads")
    print(table(("size", "context", "", "parameters", "tokens/s", "times plain"), [row(one) for one in figures]))
    reached = [one for one in figures if one.contestant == "ours"]
    bars = [Bar(f"ours, {one.size} at {one.context:,}, times plain", one.times_plain, LEAST) for one in reached]
    status = show_bars(bars)
    if arguments.json:
        settings = {"batch_size": arguments.batch_size, "precision": precision}
        found_all = {**settings, "figures": [asdict(one) for one in figures]}
        write_json(arguments.json, circumstances(torch.device("cpu")), found_all, bars)
    return status


if __name__ == "__main__":
    sys.exit(main())
