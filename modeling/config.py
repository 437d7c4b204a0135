"""Typed configuration of a model and of its training, and the presets that come with the package.

Unknown keys are errors, so that a misspelt setting never passes for a default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tokenization.augmentation import AugmentationSchedule


class StrictModel(BaseModel):
    """Base of all configuration: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PresetError(ValueError):
    """An unknown preset or a setting that does not fit; the message says what exists or is expected."""


class SparsityConfig(StrictModel):
    """Which earlier positions a position attends to; key names follow DeepSpeed's former `sparse_attention`."""

    mode: Literal["dense", "local", "strided"] = "strided"
    """`dense`: all. `local`: its own block and the one before. `strided`: layers alternate between `local` and
    every `stride`-th earlier position (Child et al., 2019, "Generating Long Sequences with Sparse
    Transformers", strided pattern, one half per layer)."""
    block: int = Field(64, ge=1)
    """Tokens in a block of the local layers."""
    stride: int = Field(32, ge=1)
    """Distance between the positions that a strided layer sees."""
    executor: Literal["fold", "dense_mask"] = "fold"
    """`fold` computes only what the layout keeps; `dense_mask` masks full attention: slow, the oracle."""


class ModelConfig(StrictModel):
    """Shape of the transformer."""

    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    width: int = Field(ge=8)
    """Size of the residual stream; a multiple of `heads`."""
    context: int = Field(ge=16)
    """Tokens in a window."""
    vocabulary_size: int = Field(0, ge=0)
    """Filled in from the dataset."""
    note_tokens: int = Field(0, ge=0, multiple_of=128)
    """Ids that are notes, the first ones of the vocabulary. Filled in from the dataset."""
    factored_notes: bool = True
    """Embed a note as the sum of what its token, its row (instrument and velocity) and its pitch have learned, so
    that rare notes know what common ones do. MuseNet's own tokens shared nothing."""
    dropout: float = Field(0.0, ge=0, lt=1)
    tied_output: bool = True
    """Whether the output projection is the token embedding's transpose."""
    recompute: bool = False
    """Recompute activations in the backward pass: a third more work, far less memory."""
    sparsity: SparsityConfig = SparsityConfig()

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class TrainingConfig(StrictModel):
    """How long and how a model is trained."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Windows per step over all ranks."""
    micro_batch_size: int = Field(ge=1)
    """Windows that one rank computes at once; the rest of the batch is accumulated."""
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(20, ge=0)
    final_learning_rate: float = Field(0.1, ge=0, le=1)
    """Fraction of the learning rate that the cosine schedule ends at."""
    weight_decay: float = Field(0.1, ge=0)
    gradient_clipping: float = Field(1.0, gt=0)
    style_dropout: float = Field(0.1, ge=0, le=1)
    """Share of windows whose style is hidden, so that the model also works without one."""
    augmentation: AugmentationSchedule = AugmentationSchedule()
    """How windows are varied as they are read, beside what the dataset's copies are."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto`: bf16 where the device multiplies it natively, else fp32."""
    zero_stage: int = Field(1, ge=1, le=2)
    """What DeepSpeed shards among ranks: 1 optimiser state, 2 gradients too."""
    max_minutes: float | None = Field(None, gt=0)
    """Stop early, with a checkpoint, once training has taken this long."""
    evaluate_every: int = Field(100, ge=1)
    """Steps between evaluations on the validation split."""
    checkpoint_every: int = Field(100, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    seed: int = Field(0, ge=0)


class Preset(StrictModel):
    """A model and a way to train it that fit each other."""

    name: str
    model: ModelConfig
    training: TrainingConfig


class RunConfig(StrictModel):
    """All that one training run needs, written to `run.json` by the launcher and read by `modeling.train`."""

    dataset: Path
    """Folder of a dataset version."""
    folder: Path
    """Where checkpoints, metrics and weights go."""
    model: ModelConfig
    training: TrainingConfig
    ranks: Annotated[int, Field(ge=1)] = 1
    deepspeed: dict[str, Any] = {}
    """DeepSpeed settings from `infra/deepspeed/`, completed by `modeling.train`."""

    @model_validator(mode="after")
    def _batch_divides(self) -> RunConfig:
        unit = self.training.micro_batch_size * self.ranks
        if self.training.batch_size % unit:
            raise ValueError(
                f"batch_size {self.training.batch_size} is not a multiple of micro_batch_size × ranks = {unit}"
            )
        return self


def preset_names() -> list[str]:
    """The presets that exist, small to large."""
    order = ["tiny", "small", "base", "musenet"]
    found = {entry.name.removesuffix(".toml") for entry in (resources.files("modeling") / "presets").iterdir()}
    return [name for name in order if name in found] + sorted(found - {*order})


def load_preset(name: str) -> Preset:
    """A preset by name. Raises PresetError listing those that exist."""
    if name not in preset_names():
        raise PresetError(f"no preset {name!r}; there are: {', '.join(preset_names())}")
    text = (resources.files("modeling") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))


def with_settings(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """A preset with changes by dotted key: `{"training.steps": 400, "model.sparsity.mode": "dense"}`.

    Values may be text, as a command line gives them. Raises PresetError naming the nearest known key.
    """
    content = preset.model_dump()
    for key, value in settings.items():
        *path, last = key.split(".")
        place: Any = content
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if key == "name" or not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
            near = get_close_matches(key, _dotted_keys(content), n=1, cutoff=0.4)
            raise PresetError(f"no setting {key!r}" + (f"; nearest: {near[0]!r}" if near else ""))
        place[last] = None if value == "none" else value
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "preset"
        given = f" = {first['input']!r}" if isinstance(first["input"], str | int | float | None) else ""
        raise PresetError(f"{where}{given}: {first['msg'].removeprefix('Value error, ')}") from error


def _dotted_keys(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in content.items():
        keys += _dotted_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return [key for key in keys if key != "name"]
