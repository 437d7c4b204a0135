"""Presets: models with the training and the drawing that suit them, by name, and changes to them by dotted key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from infra.errors import UserError
from infra.settings import apply
from modeling.config.base import StrictModel
from modeling.config.drawing import DrawingConfig
from modeling.config.model import ModelConfig
from modeling.config.training import TrainingConfig

LIMIT = "training.max_minutes"


class PresetError(UserError, ValueError):
    """An unknown preset; the message lists those that exist."""


class Preset(StrictModel):
    """A model, and the training and drawing that suit it."""

    name: str
    model: ModelConfig
    training: TrainingConfig
    drawing: DrawingConfig = DrawingConfig()


def preset_names() -> list[str]:
    """Return the names of all presets, small to large."""
    order = ["sketch", "tiny", "starter", "small", "base", "musenet"]
    found = {entry.name.removesuffix(".toml") for entry in (resources.files("modeling.config") / "presets").iterdir()}
    return [name for name in order if name in found] + sorted(found - {*order})


def load_preset(name: str) -> Preset:
    """Load a preset by name. Raises PresetError, which lists those that exist."""
    if name not in preset_names():
        raise PresetError(f"no preset {name!r}; there are: {', '.join(preset_names())}")
    text = (resources.files("modeling.config") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))


def choose_preset(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """Return a preset with settings changed, as `with_settings` does; a number of steps that is given lifts its limit.

    The time limit of a small preset is for its own number of steps. Raises SettingError.
    """
    return with_settings(preset, {**settings, LIMIT: None} if lifts_limit(preset, settings) else settings)


def lifts_limit(preset: Preset, settings: Mapping[str, Any]) -> bool:
    """True if settings name the steps, but no time limit, of a preset that has one."""
    return preset.training.max_minutes is not None and "training.steps" in settings and LIMIT not in settings


def with_settings(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """Return a preset with settings changed by dotted key: `{"training.steps": 400, "model.sparsity.mode": "dense"}`.

    Values may be text, in the grammar of `infra.settings`. Raises SettingError, with the nearest known key.
    """
    return apply(Preset, preset.model_dump(), settings, fixed={"name"})
