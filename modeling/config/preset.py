"""Presets: models with the training that suits them, by name, and changes to them by dotted key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from infra.errors import UserError
from modeling.config.base import StrictModel
from modeling.config.model import ModelConfig
from modeling.config.training import TrainingConfig


class PresetError(UserError, ValueError):
    """An unknown preset or a setting that does not fit; the message says what exists or is expected."""


class Preset(StrictModel):
    """A model and the training that suits it."""

    name: str
    model: ModelConfig
    training: TrainingConfig


def preset_names() -> list[str]:
    """Return the names of all presets, small to large."""
    order = ["tiny", "small", "base", "musenet"]
    found = {entry.name.removesuffix(".toml") for entry in (resources.files("modeling.config") / "presets").iterdir()}
    return [name for name in order if name in found] + sorted(found - {*order})


def load_preset(name: str) -> Preset:
    """Load a preset by name. Raises PresetError, which lists those that exist."""
    if name not in preset_names():
        raise PresetError(f"no preset {name!r}; there are: {', '.join(preset_names())}")
    text = (resources.files("modeling.config") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))


def with_settings(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """Return a preset with settings changed by dotted key: `{"training.steps": 400, "model.sparsity.mode": "dense"}`.

    Values may be text, as a command line gives them: `none` for None, `4,8` for a tuple. Raises PresetError, one line,
    with the nearest known key.
    """
    content = preset.model_dump()
    for key, value in settings.items():
        *path, last = key.split(".")
        place: Any = content
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if key == "name" or not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
            near = get_close_matches(key, [k for k in flattened(content) if k != "name"], n=1, cutoff=0.4)
            raise PresetError(f"no setting {key!r}" + (f"; nearest: {near[0]!r}" if near else ""))
        if isinstance(value, str) and value != "none" and _takes_several(Preset, [*path, last]):
            value = [part.strip() for part in value.split(",")] if value else []
        place[last] = None if value == "none" else value
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "preset"
        given = f" = {first['input']!r}" if isinstance(first["input"], str | int | float | None) else ""
        raise PresetError(f"{where}{given}: {first['msg'].removeprefix('Value error, ')}") from error


def _takes_several(model: type[BaseModel], path: Sequence[str]) -> bool:
    """Return True if the setting at an existing path is a tuple."""
    field = model.model_fields[path[0]].annotation
    if len(path) > 1 and isinstance(field, type) and issubclass(field, BaseModel):
        return _takes_several(field, path[1:])
    return tuple in (get_origin(field), *map(get_origin, get_args(field)))


def flattened(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys: `{"a": {"b": 1}}` → `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
