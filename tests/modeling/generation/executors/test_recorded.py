"""The recorded executor: its step computes what the eager one does, for all layouts, whichever rows are left.

On a CUDA device the step is a graph; elsewhere the same operations run one by one, which is what is tested here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from modeling.generation import ExecutorConfig, SamplingConfig, generate, new_executor
from modeling.generation.executors import Fields
from modeling.generation.executors.eager import EagerExecutor
from modeling.generation.executors.recorded import RecordedExecutor
from modeling.generation.kernels.forward import FIELDS, TEXTURE
from modeling.network.transformer import MuseNet
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

MakeModel = Callable[..., MuseNet]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CAPACITY = 48
KEPT = {25: np.array([3, 0, 2]), 30: np.array([1, 2]), 35: np.array([0, 1, 1])}
"""Rows that are left from a position on: most, which stay where they are; half; some of them twice."""


@pytest.fixture(scope="module")
def fields() -> Fields:
    """Four rows of random tokens and structure."""
    found = np.zeros((FIELDS, 4, CAPACITY), np.int64)
    found[:TEXTURE] = np.random.default_rng(0).integers(0, 32, (TEXTURE, 4, CAPACITY))
    return found


@pytest.mark.parametrize("mode", ["dense", "local", "strided", "fixed", "bigbird", "variable"])
@pytest.mark.parametrize("changes", [{"kv_heads": 1, "positions": "rotary"}, {"structure": ["harmony", "sounding"]}])
def test_it_computes_what_the_eager_one_does(
    mode: str, changes: dict[str, object], make_model: MakeModel, fields: Fields
) -> None:
    model = make_model(mode=mode, **changes).to(DEVICE)
    states = [executor(model).prefill(fields[:, :, :20], CAPACITY) for executor in (EagerExecutor, RecordedExecutor)]
    rows = np.arange(4)
    for position in range(20, 40):
        kept = KEPT.get(position)
        rows = rows if kept is None else rows[kept]
        for state in states:
            if kept is not None:
                state.keep(kept)
            state.decode_step(fields[:, rows, position])
            assert state.cached == position + 1
        np.testing.assert_allclose(states[1].logits, states[0].logits, atol=2e-5)


def test_it_generates_the_same_pieces(make_model: MakeModel, encoding: Combined, vocabulary: Vocabulary) -> None:
    model = make_model(tied_output=False).to(DEVICE)
    with torch.no_grad():
        model.norm.bias.fill_(1.0)
        model.output.weight[vocabulary.end] = -0.5
    header = [vocabulary.style_id("bach"), vocabulary.instrumentation_id(1), vocabulary.start, vocabulary.tempo_id(120)]
    prompts = np.tile(np.array(header, np.uint16), (3, 1))
    pieces = [
        generate(model, encoding, prompts, [30, 100, 100], SamplingConfig(top_p=1.0), 0, executor=executor)
        for executor in (new_executor(model, ExecutorConfig(executor=name)) for name in ("eager", "recorded"))
    ]
    assert [piece.tolist() for piece in pieces[1]] == [piece.tolist() for piece in pieces[0]]
    assert len(pieces[0][1]) > 64, "past the context"
