"""The configuration of one training run, as `run.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from infra.errors import UserError
from modeling.config.base import StrictModel
from modeling.config.model import ModelConfig
from modeling.config.parent import ParentModel
from modeling.config.training import TrainingConfig

RUN_FORMAT: Literal[2] = 2
"""Format of a stored `RunConfig`. 2: `model.d_model`, `model.d_ff`, `model.sparsity.backend` and `world_size` have
these names; format 1 was not numbered."""


class RunFormatError(UserError, ValueError):
    """A run's configuration in the format of another version of musenet."""


class RunConfig(StrictModel):
    """All that one training run needs, written to `run.json` by the launcher and read by `modeling.training.train`."""

    format: Literal[2] = RUN_FORMAT
    dataset: Path
    """Folder of a dataset version."""
    folder: Path
    """Folder of the run: checkpoints, metrics and weights."""
    model: ModelConfig
    training: TrainingConfig
    world_size: Annotated[int, Field(ge=1)] = 1
    """Data-parallel processes (ranks)."""
    archive: Path | None = None
    """Folder of past generations, where `training.critic` is set."""
    cache: Path | None = None
    """Folder of the token cache, shared by the ranks of a machine. None: tokens are held in memory."""
    parent: ParentModel | None = None
    """The model that `training.parent` names, whose files are in the run's folder; None: weights are drawn."""

    @model_validator(mode="after")
    def _batch_divides(self) -> RunConfig:
        multiple = self.training.micro_batch_size * self.world_size
        if self.training.batch_size % multiple:
            raise ValueError(
                f"batch_size {self.training.batch_size} is not a multiple of micro_batch_size × ranks = {multiple}"
            )
        if self.training.critic is not None and self.archive is None:
            raise ValueError("training.critic needs an archive to keep generations in")
        return self


def read_run_config(content: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that a run's file holds.

    Raises RunFormatError for another format than RUN_FORMAT, and pydantic's ValidationError for one that does not fit.
    """
    found = content.get("format", 1)
    if found != RUN_FORMAT:
        raise RunFormatError(
            f"the run's configuration has format {found}, this version of musenet reads format {RUN_FORMAT}: "
            "remove the run's folder and train again"
        )
    return RunConfig.model_validate(content)
