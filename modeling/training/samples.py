"""Samples of a run: short pieces by the weights of an evaluation, under the headers of validation pieces.

They are for people who look at a run, and the same at every evaluation but for the weights: how the music changes is
what the loss does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from infra.files import replace_folder, staging_folder
from modeling.config import ModelConfig, RunConfig
from modeling.data import Split
from modeling.generation import SamplingConfig, generate
from modeling.network.weights import from_weights
from modeling.training.checkpoints import full_state_dict
from modeling.training.deepspeed_package import deepspeed
from tokenization.encodings import HEADER
from tokenization.midi.writing import write_midi
from tokenization.pictures.piano_roll_svg import piano_roll_svg, standalone

SAMPLE_TOKENS = 512
"""Of a sample, header included; fewer where the validation piece is shorter."""


def compose_samples(
    engine: deepspeed.DeepSpeedEngine, run: RunConfig, folder: Path, config: ModelConfig, split: Split
) -> str:
    """Collective: compose `run.training.samples` pieces by the weights of now; rank 0 writes them, the others wait.

    The folder, which appears whole, gets a MIDI file and a piano roll of each, `<style>-<number>.mid` and `.svg`.
    Return a warning where the device has no memory left for a second network.
    """
    weights = full_state_dict(engine)
    if weights is None:
        return ""
    try:
        _write(
            folder,
            config,
            weights,
            next(engine.module.parameters()).device,
            split,
            run.training.samples,
            run.training.seed,
        )
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return "no samples: the device has no memory left for them; training.samples=0 asks for none"
    return ""


def _write(
    folder: Path,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    device: torch.device,
    split: Split,
    count: int,
    seed: int,
) -> None:
    chosen = choose_pieces(split, count)
    prompts = np.stack([split.pieces[piece][:HEADER] for piece in chosen])
    lengths = [int(min(split.sizes[piece], SAMPLE_TOKENS)) for piece in chosen]
    model = from_weights(config, weights, device)
    found = generate(model, split.encoding, prompts, lengths, SamplingConfig(), seed)
    with staging_folder(folder.parent) as staged:
        for number, (piece, tokens) in enumerate(zip(chosen, found), 1):
            notes = split.encoding.decode(tokens)
            name = f"{split.styles[piece] or 'no-style'}-{number}"
            roll = piano_roll_svg(notes, split.vocabulary, f"{name}, {folder.name}")
            (staged / f"{name}.mid").write_bytes(write_midi(notes))
            (staged / f"{name}.svg").write_text(standalone(roll), encoding="utf-8")
        replace_folder(staged, folder)


def choose_pieces(split: Split, count: int) -> list[int]:
    """Return the indices of the pieces whose headers samples have: styles in turn, pieces in their order."""
    by_style: dict[str, list[int]] = {}
    for piece, style in enumerate(split.styles):
        by_style.setdefault(style or "", []).append(piece)
    queues = [by_style[style] for style in sorted(by_style)]
    turns = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    return [turns[number % len(turns)] for number in range(count)]
