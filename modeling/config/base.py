"""The base class of all configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """An immutable configuration that refuses unknown keys, so that a misspelt setting never passes for a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)
