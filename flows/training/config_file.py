"""Run files: what to train, as a TOML file that can be kept, compared and run again.

    dataset = "lakh"
    preset = "base"
    hostfile = "hosts"        # beside this file

    [training]
    steps = 20000

    [model.sparsity]
    mode = "local"

Everything in it may also be said on the command line, which wins; `--set` wins over both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import UserError
from infra.settings import SettingError, flatten, one_line
from modeling.config import load_preset, with_settings

DEFAULT_PRESET = "tiny"


class RunFile(BaseModel):
    """The content of a run file; what it does not say is None."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: str | None = None
    """`NAME` or `NAME@DIGEST`."""
    preset: str | None = None
    ranks: int | None = Field(None, ge=1)
    hostfile: str | None = None
    """Relative to the run file."""
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}


def read_run_file(path: Path) -> RunFile:
    """A run file, its hostfile's path made absolute. Raises UserError that names the file and the key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"run file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML: {error}") from error
    try:
        file = RunFile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error, RunFile)}") from error
    if file.hostfile is None:
        return file
    return file.model_copy(update={"hostfile": str(path.absolute().parent / Path(file.hostfile).expanduser())})


def train_choices(path: Path | None, line: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """What `TrainParameters` takes: the run file's choices, over them what the command line says (None: nothing) and
    its `--set` settings.

    Raises UserError for a mistake in the file, SettingError for one in the command line.
    """
    file = RunFile() if path is None else read_run_file(path)
    said = {key: value for key, value in line.items() if value is not None}
    choices = {"preset": DEFAULT_PRESET, **file.model_dump(exclude_none=True, exclude={"model", "training"}), **said}
    if "dataset" not in choices:
        raise UserError(
            "no dataset is named; give --dataset NAME" + ("" if path is None else f", or dataset in {path}")
        )
    changes = flatten({"model": file.model, "training": file.training})
    preset = load_preset(choices["preset"])
    try:
        with_settings(preset, {**changes, **settings})
    except SettingError:
        try:  # whose mistake is it?
            with_settings(preset, changes)
        except SettingError as error:
            raise UserError(f"{path}: {error}") from error
        raise
    return {**choices, "settings": {**changes, **settings}}
