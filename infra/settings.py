"""Settings by dotted key: one grammar for every `--set KEY=VALUE`, applied to any pydantic model.

training.steps=400                  a number, text, true or false: read as the setting's own type
training.max_minutes=none           no value, for a setting that may have none
model.sparsity.local_window_blocks=4,8        a list; or as JSON: [4, 8]
limits={"min_notes": 8}             a group of settings, as a JSON table
"""

from __future__ import annotations

import copy
import json
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from infra.errors import UserError, nearest

Model = TypeVar("Model", bound=BaseModel)

SEQUENCES = (list, tuple, set, frozenset)
NONE = "none"


class SettingError(UserError, ValueError):
    """A setting that does not exist, or whose value does not fit; the message names the key."""


def parse_assignments(pairs: Sequence[str]) -> dict[str, str]:
    """Split texts `KEY=VALUE` at their first `=`. Raises SettingError for a text without one."""
    for pair in pairs:
        if "=" not in pair:
            raise SettingError(f"{pair!r} is not KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys: `{"a": {"b": 1}}` → `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def apply(
    model: type[Model], content: Mapping[str, Any], changes: Mapping[str, Any], fixed: Collection[str] = ()
) -> Model:
    """Validate `content` as a `model` after changing settings by dotted key.

    Values may be text in the grammar of this module, or be of the setting's type already. Keys in `fixed` are no
    settings. Raises SettingError, with the nearest key for one that does not exist.
    """
    changed = copy.deepcopy(dict(content))
    for key, value in _by_setting(model, changes, fixed):
        *path, last = key.split(".")
        place = changed
        for step in path:
            if not isinstance(place.get(step), dict):
                place[step] = place[step].model_dump() if isinstance(place.get(step), BaseModel) else {}
            place = place[step]
        place[last] = value
    try:
        return model.model_validate(changed)
    except ValidationError as error:
        raise SettingError(one_line(error, model)) from error


def one_line(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Describe the first fault that pydantic found: key, value if it is a scalar, and what is wrong with it.

    An unknown key comes first, for a misspelt key is also missing; with `model`, the nearest known one is named.
    """
    return sentence_of(error.errors(), model)


def sentence_of(faults: Sequence[Mapping[str, Any]], model: type[BaseModel] | None = None) -> str:
    """Describe the first of pydantic's faults, as `one_line` does."""
    fault = min(faults, key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"no setting {key!r}{nearest(key, _siblings(model, fault['loc']))}"
    problem: str = fault["msg"].removeprefix("Value error, ")
    if not key:
        return problem
    value = f" = {fault['input']!r}" if isinstance(fault["input"], str | int | float | None) else ""
    return f"{key}{value}: {problem}"


def _by_setting(
    model: type[BaseModel], changes: Mapping[str, Any], fixed: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the changes with values read as their settings' types, groups split into their settings."""
    for key, value in changes.items():
        annotation = None if key in fixed else _annotation(model, key.split("."))
        group = None if annotation is None else _group(annotation)
        if group is not None:
            table = _json(key, value) if isinstance(value, str) and value.startswith("{") else value
            if isinstance(table, Mapping):
                yield from _by_setting(model, {f"{key}.{inner}": each for inner, each in table.items()}, fixed)
                continue
        if annotation is None or group is not None:
            known = [name for name in _keys(model) if name not in fixed]
            raise SettingError(f"no setting {key!r}{nearest(key, known)}")
        yield key, _value(key, value, annotation) if isinstance(value, str) else value


def _value(key: str, text: str, annotation: Any) -> Any:
    """Read text as far as pydantic does not: `none`, lists and tables."""
    kinds = _alternatives(annotation)
    if text == NONE and types.NoneType in kinds:
        return None
    origins = {get_origin(kind) or kind for kind in kinds}
    several, table = not origins.isdisjoint(SEQUENCES), not origins.isdisjoint({dict, Mapping})
    if (several and text.startswith("[")) or (table and text.startswith("{")):
        return _json(key, text)
    if several and str not in kinds:
        return [part.strip() for part in text.split(",")] if text else []
    return text


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{key} = {text}: neither a value nor JSON: {error}") from error


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all settings, groups left out."""
    for name, field in model.model_fields.items():
        group = _group(field.annotation)
        if group is None:
            yield f"{prefix}{name}"
        else:
            yield from _keys(group, f"{prefix}{name}.")


def _siblings(model: type[BaseModel] | None, location: Sequence[int | str]) -> list[str]:
    """Return the dotted keys beside a location that pydantic gave."""
    *path, _ = map(str, location)
    for step in path:
        field = None if model is None else model.model_fields.get(step)
        model = None if field is None else _group(field.annotation)
    return [] if model is None else [".".join((*path, name)) for name in model.model_fields]


def _annotation(model: type[BaseModel], path: Sequence[str]) -> Any:
    """Return the type of the setting or group at a path, None where there is none."""
    field = model.model_fields.get(path[0])
    if field is None or len(path) == 1:
        return None if field is None else field.annotation
    group = _group(field.annotation)
    return None if group is None else _annotation(group, path[1:])


def _group(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a type is or may be, None for a plain setting."""
    models = [kind for kind in _alternatives(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if models else None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
