"""The parameters of a sweep."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flows.parameters import LakeAddress
from flows.sweeps.sweep_file import SweepFile


class SweepParameters(BaseModel):
    """What is searched, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: SweepFile
    """The content of a sweep file."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""
