"""A trained model as files: `model.json` (configuration) and `model.safetensors` (weights); nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.errors import RunError
from modeling.config import ModelConfig
from modeling.network.transformer import MuseNet

MODEL_CONFIG, MODEL_WEIGHTS = "model.json", "model.safetensors"
MODEL_FORMAT = 2
"""Format of a stored model. 2: the names of `ModelConfig` and of the weights since `d_model`, `qkv_proj`, `out_proj`,
`up_proj`, `down_proj`; format 1 was not numbered."""
UNREADABLE = (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError)
"""Errors of reading: no file, a damaged file, or weights (RuntimeError) that do not fit the configuration."""


class WeightsError(RunError, ValueError):
    """Weights that are missing, damaged or of another format."""


def save_model(model: MuseNet, folder: Path) -> None:
    """Write a model into a folder. Not atomic: pass a staging folder."""
    save_weights(model.config, model.state_dict(), folder)


def save_weights(config: ModelConfig, state: Mapping[str, Tensor], folder: Path) -> None:
    """Write a model, given as configuration and weights by name, into a folder. Not atomic: pass a staging folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": MODEL_FORMAT, **config.model_dump(mode="json")}
    (folder / MODEL_CONFIG).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / MODEL_WEIGHTS)


def load_model(folder: Path, device: torch.device | str = "cpu") -> MuseNet:
    """Load the model of a folder in 32 bits, in evaluation mode. Raises WeightsError."""
    try:
        content = json.loads((folder / MODEL_CONFIG).read_text(encoding="utf-8"))
        found = content.pop("format", 1)
        if found != MODEL_FORMAT:
            raise WeightsError(
                f"{folder / MODEL_CONFIG} has format {found}, this version of musenet reads format {MODEL_FORMAT}: "
                "train the model again and register it"
            )
        config = ModelConfig.model_validate(content)
        state = load_file(folder / MODEL_WEIGHTS)
        with torch.device("meta"):  # skips drawing initial weights
            model = MuseNet(config)
        model.load_state_dict(state, assign=True)
    except WeightsError:
        raise
    except UNREADABLE as error:
        raise WeightsError(f"no model can be read from {folder}: {error}") from error
    return model.float().to(device).eval()
