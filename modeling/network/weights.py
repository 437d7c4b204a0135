"""A trained model as files: `model.json` (configuration) and `model.safetensors` (weights); nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from infra.errors import RunError
from modeling.config import MODEL_CONFIG, MODEL_WEIGHTS, ModelConfig
from modeling.network.transformer import MuseNet

MODEL_FORMAT = 2
"""Format of a stored model. 2: the names of `ModelConfig` and of the weights since `d_model`, `qkv_proj`, `out_proj`,
`up_proj`, `down_proj`; format 1 was not numbered."""
STYLE_TABLE = "embeddings.style.weight"
DRAWS = (init.normal_, init.kaiming_uniform_)
"""What PyTorch's and our own modules initialise their weights by; the callers of these do not use what they return."""
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


def from_weights(config: ModelConfig, weights: Mapping[str, Tensor], device: torch.device) -> MuseNet:
    """Return a model of weights that are in memory, in 32 bits, in evaluation mode."""
    with torch.device("meta"), _WithoutDrawing():
        model = MuseNet(config)
    model.load_state_dict(weights, assign=True)
    return model.float().to(device).eval()


class _WithoutDrawing(TorchFunctionMode):
    """Leaves new tensors as they are. On the meta device, the first draw would load the compiler of PyTorch."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return None if func in DRAWS else func(*args, **(kwargs or {}))


def style_vectors(folder: Path, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return the embeddings of styles, shape (styles, d_model), from the files of a model; `ids` are their tokens.

    Where the model repeats the style at every position, that embedding is added, as it is in the network. Raises
    WeightsError.
    """
    try:
        with safe_open(folder / MODEL_WEIGHTS, "pt") as file:
            rows = torch.tensor(ids)
            found = file.get_tensor("embeddings.token.own")[rows].float()
            if STYLE_TABLE in file.keys():  # noqa: SIM118 (is no mapping)
                header = read_config(folder).header
                slots = rows - header.style_base
                slots = slots.where((slots >= 0) & (slots < header.styles), header.styles)
                found = found + file.get_tensor(STYLE_TABLE)[slots].float()
    except UNREADABLE as error:
        raise WeightsError(f"no embeddings of styles can be read from {folder}: {error}") from error
    vectors: NDArray[np.float32] = found.numpy()
    return vectors


def load_model(folder: Path, device: torch.device | str = "cpu") -> MuseNet:
    """Load the model of a folder in 32 bits, in evaluation mode. Raises WeightsError."""
    config = read_config(folder)
    try:
        return from_weights(config, load_file(folder / MODEL_WEIGHTS), torch.device(device))
    except UNREADABLE as error:
        raise _unreadable(folder, error) from error


def read_config(folder: Path) -> ModelConfig:
    """Return the configuration of the model of a folder. Raises WeightsError."""
    try:
        content = json.loads((folder / MODEL_CONFIG).read_text(encoding="utf-8"))
        found = content.pop("format", 1)
        if found == MODEL_FORMAT:
            return ModelConfig.model_validate(content)
    except (*UNREADABLE, AttributeError) as error:
        raise _unreadable(folder, error) from error
    raise WeightsError(
        f"{folder / MODEL_CONFIG} has format {found}, this version of musenet reads format {MODEL_FORMAT}: "
        "train the model again and register it"
    )


def _unreadable(folder: Path, error: Exception) -> WeightsError:
    return WeightsError(f"no model can be read from {folder}: {error}")


def round_weights(folder: Path) -> None:
    """Round all weights in a folder, those of a critic too, to 16 bits (float16): half the size. Raises WeightsError.

    Not atomic: pass a staging folder. They are loaded in 32 bits as before. Of the two formats of 16 bits this one has
    the shorter steps, and no weight of a network is near its greatest value.
    """
    for file in sorted(folder.glob("*.safetensors")):
        try:
            state = {name: tensor.half() for name, tensor in load_file(file).items()}
        except UNREADABLE as error:
            raise WeightsError(f"{file} cannot be read: {error}") from error
        if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
            raise WeightsError(f"{file} has weights that 16 bits cannot hold")
        file.unlink()  # it may be a second name of a file that stays as it is
        save_file(state, file)
