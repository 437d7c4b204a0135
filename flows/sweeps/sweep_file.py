"""Sweep files: what is trained, which settings are searched and how often, as TOML.

name = "rates"                  # default: the name of the file
dataset = "mine"
preset = "tiny"
trials = 20

[training]                      # the same in all trials
steps = 300

[search]
"training.learning_rate" = { low = 1e-3, high = 3e-2, log = true }
"training.warmup_steps" = { low = 10, high = 100, step = 10 }
"model.layers" = [2, 4]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.training.config_file import DEFAULT_PRESET
from infra.errors import UserError
from infra.settings import SettingError, flatten
from infra.toml_files import read_toml
from modeling.config import load_preset, with_settings

Scalar = bool | int | float | str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(_Strict):
    """Numbers between two bounds, both included; whole numbers if both bounds are."""

    low: int | float
    high: int | float
    log: bool = False
    """True to search orders of magnitude: bounds above 0, no step."""
    step: int | float | None = None
    """Distance of the numbers that are tried; None: any, of whole numbers every one."""

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _has_numbers(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} must be below high = {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log = true takes bounds above 0 and no step")
        if self.step is not None and (self.step <= 0 or (self.is_whole and not isinstance(self.step, int))):
            raise ValueError(f"step = {self.step} must be above 0, and whole between whole bounds")
        return self


class SweepFile(_Strict):
    """The content of a sweep file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)
    """Of the sweep, in the lake and in MLflow."""
    dataset: str
    """`NAME` or `NAME@DIGEST`; a sweep that goes on keeps the version that it began with."""
    preset: str = DEFAULT_PRESET
    ranks: int = Field(1, ge=1)
    trials: int = Field(20, ge=1)
    """Training runs in all; may be raised later."""
    seed: int = Field(0, ge=0)
    """Of the suggestions."""
    minimise: Literal["nats_per_note", "nats_per_token"] = "nats_per_note"
    """The loss on validation pieces; nats per note where the search is over encodings or datasets."""
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    search: dict[str, Range | list[Scalar]] = Field(min_length=1)
    """By dotted setting: a range, or a list of values to choose from."""

    @model_validator(mode="after")
    def _lists_have_choices(self) -> SweepFile:
        for key, values in self.search.items():
            if isinstance(values, list) and len(values) < 2:
                raise ValueError(f"search.{key} is a list of {len(values)}: give two values at least")
        return self

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that all trials have, by dotted key."""
        return flatten({"model": self.model, "training": self.training})

    def examples(self) -> dict[str, Scalar]:
        """Return one value of each searched setting."""
        return {key: each.low if isinstance(each, Range) else each[0] for key, each in self.search.items()}


def read_sweep_file(path: Path) -> SweepFile:
    """Read a sweep file; every setting in it is known. Raises UserError naming the file and the key."""
    file = read_toml(path, SweepFile, {"name": path.stem.lower()})
    preset = load_preset(file.preset)
    for key, value in {**file.fixed, **file.examples()}.items():  # each by itself: it must exist, whatever goes with it
        try:
            with_settings(preset, {key: value})
        except SettingError as error:
            if f"no setting {key!r}" in str(error):
                raise UserError(f"{path}: {error}") from error
    return file
