"""TOML files that people write: read as data or as a pydantic model, with one form of message for what is wrong.

gate.toml cannot be read: No such file or directory
gate.toml is not valid TOML: Invalid value (at line 2, column 12)
gate.toml: distance.most_worse = 'much': Input should be a valid number
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from infra.errors import UserError
from infra.settings import one_line

Content = TypeVar("Content", bound=BaseModel)


def toml_content(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises UserError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid TOML: {error}") from error


def read_toml(file: Path, model: type[Content], defaults: Mapping[str, Any] = MappingProxyType({})) -> Content:
    """Read a TOML file as a model; `defaults`: of keys that it may leave out. Raises UserError, which names the key."""
    try:
        return model.model_validate({**defaults, **toml_content(file)})
    except ValidationError as error:
        raise UserError(f"{file}: {one_line(error, model)}") from error
