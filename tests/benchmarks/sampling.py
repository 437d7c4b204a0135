"""Speed of generation on this processor, against a plain decoder: all contestants in turns, in one run.

    python tests/benchmarks/sampling.py [--presets tiny small] [--batches 1 8 32] [--rounds 3] [--json FILE]

Contestants: `compiled` in 32 and in 8 bits and `eager` generate music of a preset's shape, with grammar, structure
features and a nucleus of 0.95; `plain` is a GPT-2 of the same layers, heads and width in stock PyTorch with a cache and
the same nucleus, `huggingface` the one of `transformers`, where that is installed: then it is the baseline. One thread
each; the fastest of the rounds counts. Weights are random.

The share of the bandwidth is that of the weights that a token of one piece reads, against what a loop over a large
array reads in the same time. A late token is one behind 4,000 others under dense attention, which takes as long as one
behind 256 and as reading the keys and values between them. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.plain_decoder import PlainDecoder
from baselines.plain_gpt import PlainConfig, PlainGPT
from numpy.typing import NDArray
from report import Bar, circumstances, show_bars, table, write_json
from synthetic import Run, race

from modeling.config import ModelConfig, SparsityConfig, load_preset
from modeling.generation import ExecutorConfig, Growth, SamplingConfig, generate, new_executor
from modeling.generation.executors import Executor
from modeling.generation.kernels.forward import FIELDS
from modeling.network.transformer import MuseNet
from tokenization.compiled import compiled_arithmetic
from tokenization.encodings import HEADER
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens, Vocabulary

CPU = torch.device("cpu")
TOKENS = {"tiny": 192, "small": 48}
"""Tokens of a piece; half of them from preset `base` on."""
OURS = {
    "compiled": ExecutorConfig(executor="compiled"),
    "compiled, int8": ExecutorConfig(executor="compiled", weights="int8"),
    "eager": ExecutorConfig(executor="eager"),
}
SINGLE_STREAM = {"tiny": 10.0, "small": 4.0}
"""Least speed of the faster compiled contestant, in times of the baseline's."""
BATCHED = 3.0
BANDWIDTH_FROM, BANDWIDTH = "small", 0.6
FIRST_TOKEN = 0.1
"""Seconds."""
EARLY, LATE, LONG_CONTEXT = 256, 4000, 4096
LATE_ROUNDS = 64
LATE_SPEED = 0.6
"""Least speed of a late token, as a share of that expected from an early one and from reading the cache."""
READ_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Figure:
    """One contestant at one batch; times in seconds."""

    preset: str
    contestant: str
    batch: int
    per_step: float
    tokens_per_second: float
    times_baseline: float


def music(preset: str) -> tuple[MuseNet, Combined, Tokens]:
    """A network of a preset with random weights, its encoding, and a header."""
    vocabulary = Vocabulary.load("musenet", ["bach"])
    torch.manual_seed(0)
    model = MuseNet(load_preset(preset).model.over(vocabulary)).eval()
    return model, Combined(vocabulary), header_of(vocabulary)


def header_of(vocabulary: Vocabulary) -> Tokens:
    groups = vocabulary.instrumentation_id(vocabulary.group_mask(["piano", "strings"]))
    return np.array([vocabulary.style_id("bach"), groups, vocabulary.start, vocabulary.tempo_id(120)], np.uint16)


def contestants(preset: str, batch: int, count: int) -> dict[str, Run]:
    """Ways to generate `count` tokens of `batch` pieces."""
    model, encoding, header = music(preset)
    prompts = np.repeat(header[None], batch, axis=0)

    def ours(executor: Executor) -> Run:
        # Planned longer than generated, so that no piece ends.
        lengths = [count + 1000] * batch
        stop = HEADER + count
        return lambda: generate(model, encoding, prompts, lengths, SamplingConfig(), 0, stop, executor=executor)

    runs = {name: ours(new_executor(model, config)) for name, config in OURS.items()}
    config = model.config
    prompt = torch.from_numpy(prompts.astype(np.int64))
    shape = PlainConfig(config.layers, config.heads, config.d_model, config.context, config.vocabulary_size)
    plain = PlainDecoder(PlainGPT(shape), SamplingConfig().top_p)
    runs["plain"] = lambda: plain.generate(prompt, count)
    if find_spec("transformers"):
        runs["huggingface"] = huggingface(config, prompt, count)
    return runs


def huggingface(config: ModelConfig, prompt: torch.Tensor, count: int) -> Run:
    """GPT-2 of the `transformers` library."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_layer": config.layers, "n_head": config.heads, "n_embd": config.d_model, "n_positions": config.context}
    size = GPT2Config(vocab_size=config.vocabulary_size, bos_token_id=None, eos_token_id=None, **shape)
    model = GPT2LMHeadModel(size).eval()
    settings = {"do_sample": True, "top_p": SamplingConfig().top_p, "top_k": 0, "pad_token_id": 0}
    return lambda: model.generate(prompt, min_new_tokens=count, max_new_tokens=count, **settings)


def speeds(preset: str, batch: int, rounds: int) -> list[Figure]:
    count = TOKENS.get(preset, min(TOKENS.values()) // 2)
    spent = race(contestants(preset, batch, count), CPU, rounds)
    baseline = spent[baseline_name()]
    return [
        Figure(preset, name, batch, seconds / count, batch * count / seconds, baseline / seconds)
        for name, seconds in spent.items()
    ]


def baseline_name() -> str:
    return "huggingface" if find_spec("transformers") else "plain"


@compiled_arithmetic
def total(array: NDArray[np.float32]) -> float:
    """The sum of an array: a loop that does nothing but read."""
    found = np.float32(0)
    for index in range(len(array)):
        found += array[index]
    return float(found)


def bandwidth(rounds: int) -> float:
    """Bytes a second that one thread reads."""
    array = np.ones(READ_BYTES // 4, np.float32)
    return READ_BYTES / race({"read": lambda: total(array)}, CPU, 3 * rounds)["read"]


def first_token(preset: str) -> float:
    """Seconds from a request to its first token, with a model that is ready."""
    model, encoding, header = music(preset)
    executor = new_executor(model)

    def run() -> None:
        Growth(executor, model.config.context, encoding, header[None], [1000], SamplingConfig(), 0).draw()

    return race({"first": run}, CPU, 3)["first"]


def late_tokens() -> tuple[float, float]:
    """Seconds of a late token under dense attention, and those of an early one and of reading the cache, in turns."""
    shape = load_preset("tiny").model.model_copy(
        update={"context": LONG_CONTEXT, "sparsity": SparsityConfig(mode="dense"), "vocabulary_size": 512}
    )
    torch.manual_seed(0)
    executor = new_executor(MuseNet(shape.model_copy(update={"note_tokens": 0, "factored_notes": False})).eval())
    fields = np.zeros((FIELDS, 1, LATE), np.int64)
    early, late = (executor.prefill(fields[:, :, :position], LONG_CONTEXT) for position in (EARLY, LATE))
    cache = np.ones(2 * shape.layers * shape.d_model * (LATE - EARLY), np.float32)
    spent = race(
        {
            "early": lambda: early.decode_step(fields[:, :, 0]),
            "late": lambda: late.decode_step(fields[:, :, 0]),
            "read": lambda: total(cache),
        },
        CPU,
        LATE_ROUNDS,
    )
    return spent["late"], spent["early"] + spent["read"]


def judge(figures: Sequence[Figure], speed: float, first: float, late: tuple[float, float]) -> list[Bar]:
    bars = [
        Bar("the first token, times as fast as in 100 ms", FIRST_TOKEN / first, 1.0),
        Bar(f"a token behind {LATE} others, speed expected of one behind {EARLY}", late[1] / late[0], LATE_SPEED),
    ]
    for preset, batch in dict.fromkeys((one.preset, one.batch) for one in figures):
        ours = [one for one in figures if (one.preset, one.batch) == (preset, batch)]
        best = max((one for one in ours if one.contestant in OURS), key=lambda one: one.tokens_per_second)
        limit = SINGLE_STREAM.get(preset) if batch == 1 else BATCHED
        if limit is not None:
            what = f"{preset}, batch {batch} ({best.contestant}), times the baseline"
            bars.append(Bar(what, best.times_baseline, limit))
        if preset == BANDWIDTH_FROM and batch == 1:
            (full,) = (one for one in ours if one.contestant == "compiled")
            share = weight_bytes(preset) / full.per_step / speed
            bars.append(Bar(f"{preset}, share of the bandwidth", share, BANDWIDTH))
    return bars


def weight_bytes(preset: str) -> int:
    """Bytes of weights that a token reads: all matrices, in 32 bits."""
    model, _, _ = music(preset)
    return 4 * (sum(p.numel() for p in model.blocks.parameters()) + model.output_table().numel())


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of generation against a plain decoder.")
    parser.add_argument("--presets", nargs="+", default=["tiny", "small"], help="shapes (default tiny small)")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32], help="pieces at once (default 1 8 32)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    speed = bandwidth(arguments.rounds)
    first, late = first_token("tiny"), late_tokens()
    figures: list[Figure] = []
    for preset in arguments.presets:
        for batch in arguments.batches:
            found = speeds(preset, batch, arguments.rounds)
            print(table(HEADS, [row(one) for one in found]), file=sys.stderr)
            figures += found
    print(table(HEADS, [row(one) for one in figures]))
    print(f"\none thread reads {speed / 1e9:.1f} GB/s; the baseline is {baseline_name()}")
    bars = judge(figures, speed, first, late)
    status = show_bars(bars)
    if arguments.json:
        read: dict[str, Any] = {"bandwidth": speed, "first_token": first, "late": late[0], "expected": late[1]}
        write_json(arguments.json, circumstances(CPU), {**read, "figures": [asdict(one) for one in figures]}, bars)
    return status


HEADS = ("preset", "contestant", "batch", "ms a step", "tokens/s", "times the baseline")


def row(one: Figure) -> list[str]:
    speed = (f"{one.per_step * 1e3:.2f}", f"{one.tokens_per_second:,.0f}", f"{one.times_baseline:.2f}")
    return [one.preset, one.contestant, str(one.batch), *speed]


if __name__ == "__main__":
    sys.exit(main())
