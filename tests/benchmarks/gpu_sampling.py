"""Speed of generation on a GPU: whole pieces' beginnings, grammar and structure features included.

`gpu.py` runs it as its section `sampling`: the presets `base` and `musenet`, one piece and many at once, with recorded
steps (CUDA graphs) and without, in bfloat16, with random weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from synthetic import SMALL_MODEL, race

from modeling.config import load_preset
from modeling.generation import ExecutorConfig, SamplingConfig, generate, new_executor
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

CASES = {("base", 1): 2000.0, ("base", 128): 30_000.0, ("musenet", 1): 400.0}
"""Preset and pieces at once, with the tokens a second that are wanted."""
SMALL_CASES = {("base", 2): 0.0}
TOKENS, SMALL_TOKENS = 512, 16
CONTESTANTS = {"recorded": "recorded", "one by one": "eager"}


@dataclass(frozen=True)
class Figure:
    """A preset with so many pieces at once."""

    model: str
    batch: int
    steps: str
    tokens_per_second: float
    wanted: float
    """Of recorded steps."""


def sampling(small: bool, rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Measure all cases, one network after the other."""
    found = []
    for (preset, batch), wanted in (SMALL_CASES if small else CASES).items():
        spent = speeds(preset, batch, SMALL_TOKENS if small else TOKENS, small, rounds, device)
        found += [asdict(Figure(preset, batch, name, speed, wanted)) for name, speed in spent.items()]
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return found


def speeds(preset: str, batch: int, count: int, small: bool, rounds: int, device: torch.device) -> dict[str, float]:
    """Return the tokens a second of each contestant."""
    vocabulary = Vocabulary.load("musenet", ["bach"])
    config = load_preset(preset).model.over(vocabulary).model_copy(update=SMALL_MODEL if small else {})
    torch.manual_seed(0)
    with device:
        model = MuseNet(config).eval()
    model = model.to(torch.bfloat16) if device.type == "cuda" else model
    encoding = Combined(vocabulary)
    groups = vocabulary.instrumentation_id(vocabulary.group_mask(["piano", "strings"]))
    header = [vocabulary.style_id("bach"), groups, vocabulary.start, vocabulary.tempo_id(120)]
    prompts = np.tile(np.array(header, np.uint16), (batch, 1))
    lengths, stop = [count + 1000] * batch, HEADER + count  # planned longer than generated, so that no piece ends

    def run(executor: str) -> None:
        ready = new_executor(model, ExecutorConfig.model_validate({"executor": executor}))
        generate(model, encoding, prompts, lengths, SamplingConfig(), 0, stop, executor=ready)

    runs = {name: (lambda kind=kind: run(kind)) for name, kind in CONTESTANTS.items()}
    return {name: batch * count / seconds for name, seconds in race(runs, device, rounds).items()}
