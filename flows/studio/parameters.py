"""Parameters of the flow that composes samples for the studio."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import LakeAddress
from infra.hardware import available_cores


class PrepareParameters(BaseModel):
    """How many samples of which model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    count: int = Field(2, ge=1, le=100)
    """Of each style."""
    seconds: float = Field(30.0, gt=0, le=600)
    """Of a sample."""
    model: str = "champion"
    """An alias or a version number."""
    workers: int = Field(default_factory=available_cores, ge=1)
    """Processes; each loads the model."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""
