"""The plain GPT: as large as our network without its embeddings, and it learns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from baselines.plain_gpt import PlainConfig, PlainGPT, PlainLoop
from modeling.config import ModelConfig
from modeling.network.transformer import MuseNet

SHAPE = {"layers": 2, "heads": 2, "d_model": 32, "context": 16, "vocabulary_size": 50}


def test_it_is_as_large_as_ours_without_the_extra_embeddings() -> None:
    ours = MuseNet(ModelConfig.model_validate({**SHAPE, "structure": ()}))
    plain = PlainGPT(PlainConfig(**SHAPE))
    assert sum(p.numel() for p in plain.parameters()) == ours.parameter_count()


def test_it_begins_by_guessing_and_learns_what_repeats(tmp_path: Path) -> None:
    torch.manual_seed(0)
    np.tile(np.arange(50, dtype=np.uint16), 40).tofile(tmp_path / "tokens.bin")
    loop = PlainLoop(PlainConfig(**SHAPE), tmp_path / "tokens.bin", 8, 4, learning_rate=3e-3, bf16=False)
    first = loop.step()
    assert math.isclose(first, math.log(50), rel_tol=0.05)
    assert [loop.step() for _ in range(30)][-1] < first / 2
