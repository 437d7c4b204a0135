"""The parameters of a promotion."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flows.parameters import LakeAddress
from registry.models import CHAMPION


class PromoteParameters(BaseModel):
    """The version to promote, and by which rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str
    """Alias or version number."""
    alias: str = CHAMPION
    gate: Path | None = None
    """File of rules; None: the lake's `gate.toml`, else the shipped one."""
    force: bool = False
    """True to promote it whatever the gate says, which is recorded."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""
