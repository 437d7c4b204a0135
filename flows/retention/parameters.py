"""The parameters of a collection of what is no longer needed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import LakeAddress
from flows.retention.rules import RetentionRules, parse_age


class CollectParameters(BaseModel):
    """What stays, and whether the rest is removed or only listed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    keep: int = Field(1, ge=1)
    """Newest versions of each dataset that stay."""
    older_than: str = Field("7d", pattern=r"^\d{1,6}[mhdw]$")
    """Age from which on anything goes: `30m`, `12h`, `7d`, `2w`."""
    samples: bool = False
    """True to remove composed pieces, too."""
    remove: bool = False
    """True to remove; otherwise what would be removed is listed."""
    lake: LakeAddress
    """A folder on disk."""

    @property
    def rules(self) -> RetentionRules:
        """The rules of the collection."""
        return RetentionRules(self.keep, parse_age(self.older_than), self.samples)
