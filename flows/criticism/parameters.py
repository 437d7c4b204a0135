"""The parameters of criticism."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.parameters import LakeAddress
from infra.settings import apply
from modeling.config import ArchiveConfig, CriticConfig

MIN_PIECES = 4
"""Fewest pieces of a split, longer than a window, that a critic is trained on; and of those held out, to measure."""


class CriticParameters(BaseModel):
    """The model whose critic to train, and the size of the training."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    run: str = "latest"
    """Id of a finished training run (a prefix is enough), or `latest`."""
    model: str | None = None
    """An alias or version number of a registered model, whose run it is then."""
    rounds: int = Field(1, ge=1)
    """Rounds of generation and training. From the second on, the archive gets those generations that the critic of the
    round before takes for real."""
    train_pieces: int = Field(128, ge=8)
    """Generations of a round, beside windows of the training split."""
    held_out_pieces: int = Field(64, ge=MIN_PIECES)
    """Generations beside windows of families that were held out; half of the families are measured with, and all
    calibrate."""
    start: Literal["parent", "new"] = "parent"
    """`parent`: begin with the critic of the run's parent, where that has one whose head is of this shape and hears the
    network's own states; `new`: begin anew."""
    critic: CriticConfig = CriticConfig()
    archive: ArchiveConfig = ArchiveConfig()
    seed: int = Field(0, ge=0)
    lake: LakeAddress

    @classmethod
    def changed(cls, given: Mapping[str, Any], settings: Mapping[str, Any]) -> Self:
        """Return the parameters that are given, the others by default but for settings by dotted key.

        Raises SettingError for a setting that does not exist, is given already or has a wrong value.
        """
        defaults = cls.model_validate(given).model_dump(mode="json")
        return apply(cls, defaults, settings, fixed=set(given))

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.model is not None and self.run != "latest":
            raise ValueError(f"run = {self.run} and model = {self.model} exclude each other; give one")
        return self

    def content(self) -> dict[str, Any]:
        """Return what the critic of a run depends on, as JSON values."""
        return self.model_dump(exclude={"run", "model", "lake"}, mode="json")
