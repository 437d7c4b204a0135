"""The parameters of the recovery flow."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flows.parameters import LakeAddress


class RecoverParameters(BaseModel):
    """The lake whose runs were killed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    lake: LakeAddress
    """A folder, or the URL of one in an object store."""
