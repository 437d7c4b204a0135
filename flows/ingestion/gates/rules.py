"""The rules for publishing: limits on a version, of which each has a name."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.ingestion.licences import LicencePattern
from infra.errors import nearest
from tokenization.dataset.manifest import Reason

Share = Annotated[float, Field(ge=0, le=1)]
REASON_RULE = "max_reason_share"


class Gates(BaseModel):
    """Limits that a version must keep to be published. Shares are fractions from 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_pieces: int = Field(1, ge=0)
    """Accepted pieces."""
    min_hours: float = Field(0.0, ge=0)
    """Hours of the accepted pieces."""
    min_accepted_share: Share = 0.0
    """Share of the files that are accepted."""
    max_reason_share: dict[Reason, Share] = Field(default_factory=dict)
    """Largest share of the files that may be refused for a reason: `{truncated = 0.05}`."""
    max_family_files: int | None = Field(None, ge=1)
    """Files of the largest family, duplicates included."""
    max_family_share: Share | None = None
    """Share of the largest family in all files that belong to one: those that are not quarantined."""
    max_style_share: Share | None = None
    """Share of the most frequent style in the accepted pieces; those without style count as one."""
    licences: tuple[LicencePattern, ...] | None = None
    """Licences that every accepted piece must have one of: `["PD", "CC0", "CC-BY-*"]`. `licences.allow` leaves out
    the others instead."""
    max_pieces_drop: Share = 0.5
    """Share of the pieces of the version before that may be missing."""
    max_hours_drop: Share = 0.5
    """Share of the hours of the version before that may be missing."""


RULES = (*(name for name in Gates.model_fields if name != REASON_RULE), *(f"{REASON_RULE}.{each}" for each in Reason))
"""The names of all rules."""


def _known(rule: str) -> str:
    known = (*RULES, REASON_RULE)
    if rule not in known:
        raise ValueError(
            f"there is no such rule{nearest(rule, known) or '; there are: ' + ', '.join(Gates.model_fields)}"
        )
    return rule


RuleName = Annotated[str, AfterValidator(_known)]
"""The name of a rule; `max_reason_share` stands for those of all reasons."""
