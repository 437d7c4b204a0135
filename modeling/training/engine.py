"""The DeepSpeed engine of a run: device, network, optimiser and schedule."""

from __future__ import annotations

from typing import Any

import torch

from modeling.config import RunConfig, TrainingConfig
from modeling.network.inheritance import inherit
from modeling.network.transformer import MuseNet
from modeling.training.deepspeed_package import deepspeed
from modeling.training.optimisers import build_optimiser, build_schedule
from modeling.training.process_group import quiet
from modeling.training.run_folder import RunFolder
from tokenization.dataset import read_vocabulary
from tokenization.vocabulary import Vocabulary


def local_device() -> torch.device:
    """Return this rank's device: its GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def build_model(run: RunConfig, vocabulary: Vocabulary) -> MuseNet:
    """Return a network of the run's configuration for a vocabulary, its weights drawn from the run's seed, or those of
    the run's parent. Raises WeightsError for a parent whose weights do not fit."""
    config, critic = run.model.over(vocabulary), run.training.critic
    torch.manual_seed(run.training.seed)
    model = MuseNet(config if critic is None else config.model_copy(update={"critic": critic.hidden}))
    if run.parent is not None:
        parent = RunFolder(run.folder).parent
        inherit(model, parent, read_vocabulary(parent), vocabulary)
    return model


def build_engine(
    model: MuseNet, training: TrainingConfig, deepspeed_config: dict[str, Any], device: torch.device
) -> deepspeed.DeepSpeedEngine:
    """Return DeepSpeed's engine around a network, with its optimiser and schedule."""
    optimiser = build_optimiser(model, training)
    if training.compile == "on" or (training.compile == "auto" and device.type == "cuda"):
        for block in model.blocks:  # compiled once for all blocks, whereas compiling the model would unroll them
            block.compile()
    with quiet():
        engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=optimiser,
            lr_scheduler=build_schedule(optimiser, training),
            config=deepspeed_config,
        )
    return engine
