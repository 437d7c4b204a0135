"""Configuration files of training runs: what to train, as TOML that can be kept, compared and run again.

    dataset = "lakh"
    preset = "base"
    hostfile = "hosts"        # beside this file

    [training]
    steps = 20000

    [model.sparsity]
    mode = "local"

The command line takes precedence over the file, and its `--set` over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from infra.errors import UserError
from infra.settings import SettingError, flatten
from infra.toml_files import read_toml
from modeling.config import load_preset, with_settings

DEFAULT_PRESET = "tiny"


class ConfigFile(BaseModel):
    """The content of a configuration file; None for what it leaves out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: str | None = None
    """`NAME` or `NAME@DIGEST`."""
    preset: str | None = None
    ranks: int | None = Field(None, ge=1)
    hostfile: str | None = None
    """Relative to the configuration file."""
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}


def read_config_file(path: Path) -> ConfigFile:
    """Read a configuration file, the paths of hostfile and parent made absolute.

    Raises UserError naming the file and the key.
    """
    file = read_toml(path, ConfigFile)
    home = path.absolute().parent
    changes: dict[str, Any] = {}
    if file.hostfile is not None:
        changes["hostfile"] = str(home / Path(file.hostfile).expanduser())
    parent = file.training.get("parent")
    if isinstance(parent, str) and (home / Path(parent).expanduser()).exists():  # else the name of a model or run
        changes["training"] = {**file.training, "parent": str(home / Path(parent).expanduser())}
    return file.model_copy(update=changes)


def merge_choices(path: Path | None, options: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of `TrainParameters`: those of the configuration file, overridden by the command line.

    `options` are the command line's options, None for those not given; `settings` its `--set` pairs. Raises UserError
    for an error in the file, SettingError for one in the command line.
    """
    file = ConfigFile() if path is None else read_config_file(path)
    given = {key: value for key, value in options.items() if value is not None}
    choices = {**file.model_dump(exclude_none=True, exclude={"model", "training"}), **given}
    if "dataset" not in choices:
        raise UserError(
            "no dataset is named; give --dataset NAME" + ("" if path is None else f", or dataset in {path}")
        )
    from_file = flatten({"model": file.model, "training": file.training})
    preset = load_preset(choices.get("preset") or DEFAULT_PRESET)
    try:
        with_settings(preset, {**from_file, **settings})
    except SettingError:
        try:  # does the error lie in the file alone?
            with_settings(preset, from_file)
        except SettingError as error:
            raise UserError(f"{path}: {error}") from error
        raise
    return {**choices, "settings": {**from_file, **settings}}
